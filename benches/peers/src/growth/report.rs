//! Writes and publishes the results of a run.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::points::{FILE, Run};
use super::{plots, table};
use crate::report::replace_block;

const TABLE: &str = "growth.md";
const BEGIN: &str = "<!-- growth:begin -->";
const END: &str = "<!-- growth:end -->";

/// Writes table and plots into the folder of the run.
pub fn write(run: &Run, folder: &Path) -> Result<()> {
    plots::draw(run, folder)?;
    let file = folder.join(TABLE);
    fs::write(&file, table::render(run)?)
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Copies the files to docs/benchmarks, and replaces the marked block of docs/BENCHMARKS.md.
pub fn publish(run: &Run, folder: &Path, root: &Path) -> Result<()> {
    let document = root.join("docs/BENCHMARKS.md");
    let text = fs::read_to_string(&document).context("cannot read docs/BENCHMARKS.md")?;
    let text = replace_block(&text, [BEGIN, END], table::in_short(run)?.trim_end())?;
    let to = root.join("docs/benchmarks");
    for name in [TABLE, FILE].into_iter().chain(plots::FILES) {
        fs::copy(folder.join(name), to.join(name))
            .with_context(|| format!("cannot copy {name}"))?;
    }
    fs::write(&document, text).context("cannot write docs/BENCHMARKS.md")
}
