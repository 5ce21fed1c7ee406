//! Detects the compiler, the target and the C library.

use std::env;
use std::process::Command;

use crate::baseline::Platform;
use crate::callgrind::stdout_of;

/// Detects the platform. When cargo runs a benchmark, the compiler that built it is in the path.
pub(crate) fn detect() -> Result<Platform, String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = stdout_of(Command::new(rustc).arg("-vV"))?;
    let version = said.lines().find_map(|line| line.strip_prefix("rustc "));
    let target = said.lines().find_map(|line| line.strip_prefix("host: "));
    let libc = stdout_of(Command::new("getconf").arg("GNU_LIBC_VERSION"));
    Ok(Platform {
        rustc: version.unwrap_or_default().to_owned(),
        target: target.unwrap_or_default().to_owned(),
        libc: libc.map_or_else(|_| "not glibc".to_owned(), |libc| libc.trim().to_owned()),
    })
}
