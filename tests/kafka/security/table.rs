//! The table of the security matrix in the README.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use super::records::{COUNT, VERSIONS};
use super::rig::{Mechanism, Wire};
use crate::published::{commit, grouped, write_between};

/// The result of one mechanism with one transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// All records arrived once and in order, with these negotiated parameters.
    Arrived(String),
    Failed,
}

static CELLS: Mutex<Vec<(&str, Mechanism, Wire, Cell)>> = Mutex::new(Vec::new());

/// Stores the result of a cell.
pub(super) fn note(version: &'static str, mechanism: Mechanism, wire: Wire, cell: Cell) {
    let mut cells = CELLS.lock().unwrap_or_else(PoisonError::into_inner);
    cells.push((version, mechanism, wire, cell));
}

/// Writes the results into the README; returns false if there are none. It is an error if not every cell was run.
pub(crate) fn publish() -> Result<bool, Box<dyn std::error::Error>> {
    let cells = CELLS.lock().unwrap_or_else(PoisonError::into_inner);
    if cells.is_empty() {
        return Ok(false);
    }
    if !cfg!(all(feature = "oidc", feature = "gssapi")) {
        return Err("nothing is published: OIDC and GSSAPI belong to the table, run with `--features oidc,gssapi`".into());
    }
    let table = render(&cells)?;
    write_between("README.md", "security", &table)?;
    Ok(true)
}

/// Every mechanism with every version; GSSAPI with one version only.
fn rows() -> Vec<(&'static str, Mechanism)> {
    let mut rows = Vec::new();
    for version in VERSIONS {
        rows.extend(Mechanism::all_with(version).map(|mechanism| (version, mechanism)));
        #[cfg(feature = "gssapi")]
        if version == super::gssapi::VERSION {
            rows.push((version, Mechanism::Gssapi));
        }
    }
    rows
}

fn render(cells: &[(&str, Mechanism, Wire, Cell)]) -> Result<String, Box<dyn std::error::Error>> {
    let mut table = String::new();
    writeln!(table, "| Kafka | | plain text | TLS 1.2 | TLS 1.3 |")?;
    writeln!(table, "|---|---|---|---|---|")?;
    for (version, mechanism) in rows() {
        write!(table, "| {version} | {} |", mechanism.name())?;
        for wire in Wire::ALL {
            let place = (version, mechanism, wire);
            let found = cells
                .iter()
                .find(|(version, mechanism, wire, _)| (*version, *mechanism, *wire) == place);
            match found {
                _ if !mechanism.runs_on(wire) => write!(table, " |")?,
                Some((_, _, _, Cell::Arrived(negotiated))) => {
                    write!(table, " {}: {negotiated} |", grouped(COUNT))?;
                }
                Some((_, _, _, Cell::Failed)) => write!(table, " **failed** |")?,
                None => {
                    return Err(format!(
                        "nothing is published: {} was not run with {version}; `-- security --publish` runs all",
                        mechanism.listener(wire)
                    )
                    .into());
                }
            }
        }
        writeln!(table)?;
    }
    writeln!(table, "\nCommit {}.", commit())?;
    Ok(table)
}
