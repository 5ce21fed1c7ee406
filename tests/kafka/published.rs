//! Writes tables of test results into the documentation.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::runner::TestResult;

/// Replaces the text between the marks of this name in a file of the repository.
pub(crate) fn write_between(file: &str, mark: &str, text: &str) -> TestResult {
    let (begin, end) = (
        format!("<!-- {mark}:begin -->"),
        format!("<!-- {mark}:end -->"),
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let old = fs::read_to_string(&path)?;
    let Some((before, rest)) = old.split_once(&begin) else {
        return Err(format!("{file} has no line {begin}").into());
    };
    let Some((_, after)) = rest.split_once(&end) else {
        return Err(format!("{file} has no line {end}").into());
    };
    fs::write(&path, format!("{before}{begin}\n{text}{end}{after}"))?;
    println!("\nwritten into {file}:\n\n{text}");
    Ok(())
}

/// Formats with thousands separators, as in 100,000.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The tested commit; with the suffix `-changed` if there are uncommitted changes.
pub(crate) fn commit() -> String {
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    // Published tables do not count as changes.
    let of_the_run = ["src", "tests", "Cargo.toml", "Cargo.lock"];
    let changed = git(&[&["status", "--porcelain", "--"][..], &of_the_run].concat());
    match changed {
        Some(changed) if changed.is_empty() => commit,
        _ => format!("{commit}-changed"),
    }
}

/// The output of a git command; `None` if it fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let output = output.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
