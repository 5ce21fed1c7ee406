//! Running this program under callgrind so that each run counts the same.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Callgrind counts while this is on the stack, and only then: start, warm-up and checks stay out.
#[inline(never)]
pub(crate) fn counted_by_callgrind<T>(work: impl FnOnce() -> T) -> T {
    // What follows the call keeps it from becoming a jump, which callgrind would not see returning.
    std::hint::black_box(work())
}

/// Matches the name of the function above, mangled or not.
const COUNTED: &str = "--toggle-collect=*counted_by_callgrind*";

/// glibc takes other ways to copy and to compare on processors that can do more: all of them go the way
/// of the oldest. Other C libraries take no notice.
const PLAIN_PROCESSOR: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX_Fast_Unaligned_Load,-BMI2,-ERMS,-FSRM,-SSSE3,-SSE4_1",
);

/// Valgrind, found on this machine.
pub(crate) struct Callgrind {
    valgrind: PathBuf,
    version: String,
    /// Where profiles are kept.
    folder: PathBuf,
}

impl Callgrind {
    /// None where valgrind is not installed.
    pub(crate) fn find() -> Result<Option<Self>, String> {
        let path = env::var_os("PATH").unwrap_or_default();
        let candidates = env::split_paths(&path).map(|folder| folder.join("valgrind"));
        let Some(valgrind) = candidates.into_iter().find(|file| file.is_file()) else {
            return Ok(None);
        };
        let version = stdout_of(Command::new(&valgrind).arg("--version"))?;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("instructions");
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Some(Self {
            valgrind,
            version: version.trim().to_owned(),
            folder,
        }))
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Where the profile of a case is: for `callgrind_annotate`.
    pub(crate) fn profile(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.callgrind"))
    }

    /// Runs this program with `arguments` and counts the instructions in [`counted_by_callgrind`].
    ///
    /// What could make runs differ is pinned: the environment is empty and the program is called by its
    /// bare name, so that the stack begins at the same place; valgrind itself lays out memory the same
    /// way each time.
    pub(crate) fn count(&self, arguments: &[&str], name: &str) -> Result<u64, String> {
        let program = env::current_exe().map_err(|error| format!("this program: {error}"))?;
        let (Some(folder), Some(file)) = (program.parent(), program.file_name()) else {
            return Err(format!("{} is no path to a program", program.display()));
        };
        let profile = self.profile(name);
        let mut command = Command::new(&self.valgrind);
        command
            .args(["--tool=callgrind", "--quiet", "--vgdb=no"])
            .args(["--collect-atstart=no", COUNTED])
            .arg(format!("--callgrind-out-file={}", profile.display()))
            .arg(Path::new(".").join(file))
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env(PLAIN_PROCESSOR.0, PLAIN_PROCESSOR.1);
        stdout_of(&mut command).map_err(|error| format!("case {name}: {error}"))?;
        let text = fs::read_to_string(&profile)
            .map_err(|error| format!("{}: {error}", profile.display()))?;
        let total = text.lines().find_map(|line| line.strip_prefix("summary: "));
        match total.and_then(|total| total.trim().parse().ok()) {
            None | Some(0) => Err(format!(
                "case {name}: callgrind did not count anything in counted_by_callgrind; has the program \
                 no symbols? see {}",
                profile.display()
            )),
            Some(total) => Ok(total),
        }
    }
}

/// What a program prints.
pub(crate) fn stdout_of(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} ended with {}:\n{said}", output.status))
}
