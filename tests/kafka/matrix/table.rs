//! The table of the matrix in the README.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use super::releases::{CODECS, RELEASES, Release};
use super::run::COUNT;
use crate::harness::Result;
use crate::published::{commit, grouped, write_between};

/// The result of one version with one codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// Everything was read back unchanged.
    Equal {
        batches: usize,
    },
    /// The version does not support the codec, and the error names the codec.
    Refused,
    Failed,
}

static CELLS: Mutex<Vec<(&str, &str, Cell)>> = Mutex::new(Vec::new());

/// Stores the result of a version with a codec.
pub(super) fn note(release: &Release, codec: &'static str, cell: &Result<Cell>) {
    let cell = cell.as_ref().copied().unwrap_or(Cell::Failed);
    let mut cells = CELLS.lock().unwrap_or_else(PoisonError::into_inner);
    cells.push((release.version, codec, cell));
}

/// Writes the results into the README; returns false if there are none. It is an error if not every version was run.
pub(crate) fn publish() -> std::result::Result<bool, Box<dyn std::error::Error>> {
    let cells = CELLS.lock().unwrap_or_else(PoisonError::into_inner);
    if cells.is_empty() {
        return Ok(false);
    }
    let table = render(&cells)?;
    write_between("README.md", "matrix", &table)?;
    Ok(true)
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
