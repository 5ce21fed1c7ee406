//! Installs what the JVMs need in the build folder, once: Kafka's jars with Maven, and the compiled Java classes of the
//! tests.
//!
//! ```text
//! target/kafka/<version>/jars-<hash of the pom and its properties>/*.jar
//! target/kafka/classes-<hash of the sources>/
//! target/kafka/run/<process>-<number>/            data and logs of a running cluster
//! ```
//! A folder is built under a temporary name and renamed when it is complete, so that several processes may install
//! concurrently. A lock file only prevents duplicate work.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use super::process::{POLL, is_running};
use super::{Context, DEFAULT_VERSION, Failure, Result};

/// Timeout of a wait for a lock: downloads may take long. The owner of a lock that is older than this is assumed to be
/// gone.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(600);

/// The jars and classes for one version of Kafka.
#[derive(Clone, Debug)]
pub(crate) struct Jars {
    folder: PathBuf,
    classes: PathBuf,
}

impl Jars {
    /// Installs the jars and classes if necessary.
    pub(crate) fn of(version: &str) -> Result<Self> {
        let missing = missing_tools();
        if !missing.is_empty() {
            let missing = missing.join(" and ");
            return Err(Failure::new(format!(
                "tests against real Kafka need {missing} on the PATH"
            )));
        }
        let folder = jars(version)?;
        // The classes are compiled with Kafka's clients of the default version, which every helper uses.
        let clients = if version == DEFAULT_VERSION {
            folder.clone()
        } else {
            jars(DEFAULT_VERSION)?
        };
        Ok(Self {
            folder,
            classes: classes(&clients)?,
        })
    }

    /// The value of java's `-cp`.
    pub(crate) fn class_path(&self) -> OsString {
        let mut path = self.classes.clone().into_os_string();
        path.push(":");
        path.push(self.folder.join("*"));
        path
    }
}

/// The logging configuration of JVMs.
pub(crate) fn log_settings() -> PathBuf {
    java_sources().join("log4j.properties")
}

/// The required commands that are not installed.
pub(crate) fn missing_tools() -> &'static [&'static str] {
    // The result is kept, because the check takes most of a second.
    static MISSING: OnceLock<Vec<&'static str>> = OnceLock::new();
    MISSING.get_or_init(look_for_tools)
}

fn look_for_tools() -> Vec<&'static str> {
    let runs = |name: &str, argument: &str| {
        let mut command = Command::new(name);
        command
            .arg(argument)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let mut missing = Vec::new();
    for (name, argument) in [
        ("java", "-version"),
        ("javac", "-version"),
        ("mvn", "-version"),
    ] {
        if !runs(name, argument) {
            missing.push(name);
        }
    }
    missing
}

/// A new folder for a cluster.
pub(crate) fn run_folder() -> Result<PathBuf> {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let all = build_folder()?.join("run");
    fs::create_dir_all(&all).context(|| format!("cannot make {}", all.display()))?;
    if number == 0 {
        remove_leftovers(&all)?;
    }
    let folder = all.join(format!("{}-{number}", std::process::id()));
    // An earlier process with the same id may have left a folder of this name.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn remove_leftovers(all: &Path) -> Result<()> {
    let entries = fs::read_dir(all).context(|| format!("cannot read {}", all.display()))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.split('-').next()?.parse().ok());
        let Some(owner) = owner else { continue };
        if owner != std::process::id() && !is_running(owner)? {
            // Another process may be removing it at the same time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

fn jars(version: &str) -> Result<PathBuf> {
    let pom = java_sources().join("pom.xml");
    let text = fs::read(&pom).context(|| format!("cannot read {}", pom.display()))?;
    let number = major_minor(version)?;
    let mut choices = vec![
        format!("-Dkafka.version={version}"),
        format!("-Dscala.version={}", scala_version(version)?),
    ];
    // From 4.0 on some of the broker's tools, such as DumpLogSegments, are in a separate jar.
    if version == DEFAULT_VERSION || number >= (4, 0) {
        choices.push("-Ptools".to_owned());
    }
    if number >= (4, 0) {
        choices.push("-Plog4j2".to_owned());
    } else if number < (1, 0) {
        choices.push("-Pjaxb".to_owned());
    }
    let parent = build_folder()?.join(version);
    let name = format!(
        "jars-{:016x}",
        hash(&[text, choices.join(" ").into_bytes()])
    );
    made_once(&parent, &name, |target| {
        let mut command = Command::new("mvn");
        command.args(["-q", "-B", "-f"]).arg(&pom).args(&choices);
        command.args(["dependency:copy-dependencies", "-Dmdep.prependGroupId=true"]);
        command.arg(format!("-DoutputDirectory={}", target.display()));
        run(&mut command)
    })
}

fn classes(jars: &Path) -> Result<PathBuf> {
    let package = java_sources().join("kafkaproducer").join("testing");
    let entries =
        fs::read_dir(&package).context(|| format!("cannot read {}", package.display()))?;
    let mut sources: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    sources.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "java")
    });
    sources.sort();
    let mut texts = vec![jars.as_os_str().as_encoded_bytes().to_vec()];
    for source in &sources {
        texts.push(fs::read(source).context(|| format!("cannot read {}", source.display()))?);
    }
    let parent = build_folder()?;
    made_once(
        &parent,
        &format!("classes-{:016x}", hash(&texts)),
        |target| {
            let mut command = Command::new("javac");
            command
                .args(["-proc:none", "-encoding", "UTF-8", "-d"])
                .arg(target);
            command.arg("-cp").arg(jars.join("*")).args(&sources);
            run(&mut command)
        },
    )
}

/// The folder `name` in `parent`, created by `make` if it does not exist.
fn made_once(parent: &Path, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let wanted = parent.join(name);
    if wanted.is_dir() {
        return Ok(wanted);
    }
    fs::create_dir_all(parent).context(|| format!("cannot make {}", parent.display()))?;
    let _lock = LockFile::take(&parent.join(format!("{name}.lock")))?;
    if wanted.is_dir() {
        return Ok(wanted);
    }
    let half = parent.join(format!("{name}.{}", std::process::id()));
    let _ = fs::remove_dir_all(&half);
    fs::create_dir_all(&half).context(|| format!("cannot make {}", half.display()))?;
    let made = make(&half).and_then(|()| {
        fs::rename(&half, &wanted)
            .or_else(|error| {
                // A process that took over an abandoned lock may have been first.
                if wanted.is_dir() { Ok(()) } else { Err(error) }
            })
            .context(|| format!("cannot make {}", wanted.display()))
    });
    let _ = fs::remove_dir_all(&half);
    made.map(|()| wanted)
}

/// A lock file that names its owner. It only prevents duplicate work: [`made_once`] is correct without it, so a lock
/// whose owner is gone is taken over.
struct LockFile(PathBuf);

impl LockFile {
    fn take(path: &Path) -> Result<Self> {
        let deadline = Instant::now() + INSTALL_TIMEOUT;
        loop {
            match OpenOptions::new().write(true).create_new(true).open(path) {
                Ok(mut file) => {
                    let owner = std::process::id().to_string();
                    file.write_all(owner.as_bytes())
                        .context(|| format!("cannot write {}", path.display()))?;
                    return Ok(Self(path.to_owned()));
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(Failure::new(format!(
                        "cannot make {}: {error}",
                        path.display()
                    )));
                }
            }
            if Self::is_abandoned(path)? {
                let _ = fs::remove_file(path);
            } else if Instant::now() > deadline {
                let path = path.display();
                return Err(Failure::new(format!(
                    "another process holds {path} for too long"
                )));
            } else {
                std::thread::sleep(POLL);
            }
        }
    }

    fn is_abandoned(path: &Path) -> Result<bool> {
        let Ok(metadata) = fs::metadata(path) else {
            return Ok(false);
        };
        let age = metadata
            .modified()
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_some_and(|age| age > INSTALL_TIMEOUT) {
            return Ok(true);
        }
        let owner = fs::read_to_string(path).unwrap_or_default();
        // An owner that is just writing its process id is alive.
        let Ok(owner) = owner.parse() else {
            return Ok(false);
        };
        // A thread of this process may be the owner.
        Ok(!is_running(owner)?)
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .context(|| format!("cannot run {:?}", command.get_program()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(Failure::new(format!(
        "{command:?} failed:\n{}",
        String::from_utf8_lossy(&text)
    )))
}

/// `target/kafka`, found from the path of the running program, which is below `target`.
fn build_folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context(|| "cannot find this program".to_owned())?;
    let target = program
        .ancestors()
        .skip(1)
        .find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let fallback = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    Ok(target.unwrap_or(&fallback).join("kafka"))
}

fn java_sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join("kafka")
        .join("java")
}

/// The major and minor version.
pub(crate) fn major_minor(version: &str) -> Result<(u32, u32)> {
    let mut numbers = version.split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => Err(Failure::new(format!(
            "{version:?} is not a version of Kafka, such as 3.0.0"
        ))),
    }
}

/// The Scala version that a Kafka version is published for.
fn scala_version(version: &str) -> Result<&'static str> {
    Ok(match major_minor(version)? {
        (0, 0..=9) => return Err(Failure::new("brokers before 0.10 are not supported")),
        (0, 10) => "2.11",
        (0..=1, _) | (2, 0..=4) => "2.12",
        _ => "2.13",
    })
}

fn hash(parts: &[Vec<u8>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}
