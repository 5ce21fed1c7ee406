//! Runs this program under callgrind, so that repeated runs give the same count.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Callgrind counts only while this function is on the stack, so start, warm-up and checks are not counted.
#[inline(never)]
pub(crate) fn counted_by_callgrind<T>(work: impl FnOnce() -> T) -> T {
    // Prevents a tail call, whose return callgrind would not detect.
    std::hint::black_box(work())
}

/// Matches the name of the function above, mangled or not.
const COUNTED: &str = "--toggle-collect=*counted_by_callgrind*";

/// glibc chooses among its functions for copying and comparing memory by the features of the processor. This setting
/// makes it choose the functions for the oldest processors. Other C libraries ignore it.
const PLAIN_PROCESSOR: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX_Fast_Unaligned_Load,-BMI2,-ERMS,-FSRM,-SSSE3,-SSE4_1",
);

/// The installed valgrind.
pub(crate) struct Callgrind {
    valgrind: PathBuf,
    version: String,
    /// The folder of the profiles.
    folder: PathBuf,
}

impl Callgrind {
    /// Finds valgrind; `None` if it is not installed.
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

    /// The path of the profile of a case, for `callgrind_annotate`.
    pub(crate) fn profile(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.callgrind"))
    }

    /// Runs this program with `arguments` and counts the instructions in [`counted_by_callgrind`].
    ///
    /// The count does not depend on the caller: the environment is empty and the program is called by its
    /// file name only, so that the stack begins at the same address. Valgrind itself uses the same memory
    /// layout in every run.
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

/// The standard output of a program.
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
