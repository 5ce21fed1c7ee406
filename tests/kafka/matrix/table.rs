//! The matrix as a table, and its place in the README.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::releases::{CODECS, RELEASES, Release};
use super::run::COUNT;
use crate::harness::Result;
use crate::runner::TestResult;

const BEGIN: &str = "<!-- matrix:begin -->";
const END: &str = "<!-- matrix:end -->";

/// What came of one version with one codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// Everything was read back as it was sent.
    Equal {
        batches: usize,
    },
    /// The version does not know the codec, and the error says so.
    Refused,
    Failed,
}

static CELLS: Mutex<Vec<(&str, &str, Cell)>> = Mutex::new(Vec::new());

/// Takes down what came of a version with a codec.
pub(super) fn note(release: &Release, codec: &'static str, cell: &Result<Cell>) {
    let cell = cell.as_ref().copied().unwrap_or(Cell::Failed);
    let mut cells = CELLS.lock().unwrap_or_else(PoisonError::into_inner);
    cells.push((release.version, codec, cell));
}

/// Writes what was noted between the marks in the README. Every version must have been run.
pub(crate) fn publish() -> TestResult {
    let cells = CELLS.lock().unwrap_or_else(PoisonError::into_inner);
    let table = render(&cells)?;
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(&readme)?;
    let Some((before, rest)) = text.split_once(BEGIN) else {
        return Err(format!("README.md has no line {BEGIN}").into());
    };
    let Some((_, after)) = rest.split_once(END) else {
        return Err(format!("README.md has no line {END}").into());
    };
    fs::write(&readme, format!("{before}{BEGIN}\n{table}{END}{after}"))?;
    println!("\nwritten into README.md:\n\n{table}");
    Ok(())
}

fn render(cells: &[(&str, &str, Cell)]) -> std::result::Result<String, String> {
    let mut table = String::new();
    let mut line = |text: String| writeln!(table, "{text}").map_err(|error| error.to_string());
    line(format!("| Kafka | format | {} |", CODECS.join(" | ")))?;
    line(format!("|---|---|{}", "---|".repeat(CODECS.len())))?;
    for release in &RELEASES {
        let mut row = format!("| {} | {} |", release.version, release.magic);
        for codec in CODECS {
            let found = cells
                .iter()
                .find(|(version, of, _)| (*version, *of) == (release.version, codec));
            let Some((_, _, cell)) = found else {
                let version = release.version;
                return Err(format!(
                    "nothing is published: {version} with {codec} was not run; `-- matrix --publish` runs all"
                ));
            };
            let text = match cell {
                Cell::Equal { batches: COUNT } => format!("{} messages", grouped(COUNT)),
                Cell::Equal { batches } => {
                    format!("{} in {} batches", grouped(COUNT), grouped(*batches))
                }
                Cell::Refused => "refused".to_owned(),
                Cell::Failed => "**failed**".to_owned(),
            };
            row.extend([" ", &text, " |"]);
        }
        line(row)?;
    }
    line(String::new())?;
    line(format!("Commit {}.", commit()))?;
    Ok(table)
}

/// With commas, as in 100,000.
fn grouped(number: usize) -> String {
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

fn commit() -> String {
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
