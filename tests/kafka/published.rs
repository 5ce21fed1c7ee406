//! Tables that runs of these tests write into the documentation.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::runner::TestResult;

/// Puts a text between the marks of this name in a file of the repository.
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

/// With commas, as in 100,000.
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

/// The commit that was run.
pub(crate) fn commit() -> String {
    let output = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}
