//! The machine and the commit of a run.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::raw::Machine;

pub fn describe() -> Machine {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let memory = value(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let memory_kib: u64 = memory
        .split_whitespace()
        .next()
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0);
    Machine {
        processor: value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        memory_mib: memory_kib / 1024,
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        rustc: first_line("rustc", &["--version"]).unwrap_or_else(unknown),
        java: first_line("java", &["-version"]).unwrap_or_else(unknown),
        load_average: read("/proc/loadavg").trim().to_owned(),
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// The commit of the work tree at `root`, with the suffix `-changed` if there are uncommitted changes.
pub fn commit(root: &Path) -> Result<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(arguments)
            .output();
        let output = output.context("cannot run git")?;
        ensure!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    // Published files do not affect the measured code.
    let changed = git(&[
        "status",
        "--porcelain",
        "--",
        "src",
        "Cargo.toml",
        "benches/peers",
    ])?;
    Ok(if changed.is_empty() {
        commit
    } else {
        format!("{commit}-changed")
    })
}

/// The first line of the output of a program, on standard output or error; `None` if the program is missing.
pub fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let bytes = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    let line = String::from_utf8_lossy(&bytes)
        .lines()
        .next()?
        .trim()
        .to_owned();
    output.status.success().then_some(line)
}
