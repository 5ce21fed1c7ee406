//! Builds drivers. A build failure affects only the cells of that driver.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::Description;
use crate::process::check_interrupted;

/// The result of a build; the error is the compiler's last error line.
pub type Build = std::result::Result<(), String>;

/// The builds so far; clients in one folder may share a build.
pub struct Builds {
    logs: PathBuf,
    made: BTreeMap<(PathBuf, Vec<String>), Build>,
}

impl Builds {
    pub fn new(logs: &Path) -> Self {
        Self {
            logs: logs.to_owned(),
            made: BTreeMap::new(),
        }
    }

    /// Builds a driver, or returns the result of an earlier build with the same folder and command.
    pub fn build(&mut self, driver: &Description) -> Result<Build> {
        let key = (driver.folder.clone(), driver.build.clone());
        if let Some(made) = self.made.get(&key) {
            return Ok(made.clone());
        }
        check_interrupted()?;
        let log = self.logs.join(format!("build-{}.log", driver.name));
        let outcome = run(driver, &log)?;
        self.made.insert(key, outcome.clone());
        Ok(outcome)
    }
}

fn run(driver: &Description, log: &Path) -> Result<Build> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let status = Command::new(&driver.build[0])
        .args(&driver.build[1..])
        .current_dir(&driver.folder)
        // Each driver has its own target folder, regardless of the caller's environment.
        .env_remove("CARGO_TARGET_DIR")
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status();
    Ok(match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let text = fs::read_to_string(log).unwrap_or_default();
            let line = last_error(&text).map_or_else(|| status.to_string(), str::to_owned);
            Err(without_folder(&line, &driver.folder))
        }
        Err(error) => Err(format!("cannot run {}: {error}", driver.build[0])),
    })
}

/// The last line that contains an error, or else the last line.
fn last_error(text: &str) -> Option<&str> {
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .rev();
    let last = lines.clone().next();
    let is_error = |line: &&str| {
        let line = line.to_lowercase();
        line.starts_with("error") || line.starts_with("[error]") || line.contains(" error: ")
    };
    // "could not compile" only repeats that there was an error.
    lines
        .find(|line| is_error(line) && !line.contains("could not compile"))
        .or(last)
}

/// Removes the folder, which differs between machines.
fn without_folder(line: &str, folder: &Path) -> String {
    line.replace(&format!("{}/", folder.display()), "")
        .replace(&folder.display().to_string(), ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_of_a_failed_build_is_reported() {
        let text = "warning: x\nerror[E0425]: cannot find value `a`\n  --> src/main.rs:3:5\n\
                    error: could not compile `driver` (bin \"driver\") due to 1 previous error\n";
        assert_eq!(
            last_error(text),
            Some("error[E0425]: cannot find value `a`")
        );
        assert_eq!(last_error("one\ntwo\n\n"), Some("two"));
        assert_eq!(last_error(""), None);
    }

    #[test]
    fn a_driver_that_does_not_build_reports_the_reason() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let driver = |script: &str| Description {
            name: "broken".into(),
            display: "Broken".into(),
            build: ["sh", "-c", script].map(str::to_owned).into(),
            run: vec!["true".into()],
            only_compressed: false,
            only_sealed: false,
            only_transactional: false,
            folder: folder.clone(),
        };
        let logs = std::env::temp_dir().join(format!("peers-build-{}", std::process::id()));
        fs::create_dir_all(&logs).unwrap();
        let mut builds = Builds::new(&logs);
        let broken = driver("echo \"error: no file $PWD/x.rs\"; exit 1");
        assert_eq!(
            builds.build(&broken).unwrap(),
            Err("error: no file x.rs".to_owned())
        );
        assert_eq!(builds.build(&driver("true")).unwrap(), Ok(()));
        fs::remove_dir_all(&logs).unwrap();
    }
}
