//! The reports: the table, the plots, and the README's rows.

pub mod format;
mod plots;
mod publish;
mod readme;
mod table;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::compact;
use crate::raw::Run;

pub use publish::{publish, replace_block};

/// The table's file.
const TABLE: &str = "table.md";

/// Writes the table, the plots and the published part of a run into the folder of its `raw.json`.
pub fn write(run: &Run, folder: &Path) -> Result<()> {
    compact::write(run, folder)?;
    let plots = plots::draw(run, folder)?;
    let table = folder.join(TABLE);
    fs::write(&table, table::render(run, &plots)?)
        .with_context(|| format!("cannot write {}", table.display()))
}
