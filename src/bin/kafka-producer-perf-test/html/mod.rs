//! The page of a run, written with `--html`: one HTML file with charts as inline SVG, without scripts and without
//! references to other files.
//!
//! [`PageFile::check`] checks the path before the run, [`RunPage::prepare`] copies the settings, and [`RunPage::write`]
//! renders and writes the page at the end.

mod axis;
mod calendar;
mod chart;
mod facts;
mod figures;
mod markup;
mod number;
mod page;
mod page_file;
mod tables;

use std::sync::{Mutex, PoisonError};

use kafka_producer::ProducerConfig;

use crate::cpu_clock::REPORTS_CPU_TIME;
use crate::options::PerfTestOptions;
use crate::resources::Usage;
use crate::summary::RunSummary;
use facts::RunFacts;
pub(crate) use page_file::PageFile;

/// The outcome of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunOutcome {
    /// All records were sent; some may have failed.
    Completed,
    /// By the signal with this name.
    Interrupted(&'static str),
    /// By an error of the producer, with its message.
    Failed(String),
}

/// CPU time of the run and peak memory of the process, as far as the system reports them.
#[derive(Debug, Clone, Copy, Default)]
struct ProcessUsage {
    cpu_seconds: Option<f64>,
    peak_memory_bytes: Option<u64>,
}

impl ProcessUsage {
    fn of(usage: &Usage) -> Self {
        Self {
            cpu_seconds: REPORTS_CPU_TIME.then_some(usage.process.as_secs_f64()),
            peak_memory_bytes: usage.peak_memory_kb.map(|kb| kb * 1024),
        }
    }
}

/// The page of one run.
#[derive(Debug)]
pub(crate) struct RunPage {
    file: PageFile,
    facts: RunFacts,
    /// Whether the page is written. The lock is held while it is written.
    is_written: Mutex<bool>,
}

impl RunPage {
    pub(crate) fn prepare(
        file: PageFile,
        options: &PerfTestOptions,
        config: &ProducerConfig,
    ) -> Self {
        Self {
            file,
            facts: RunFacts::new(options, config),
            is_written: Mutex::new(false),
        }
    }

    /// Writes the page, unless another thread has written it.
    pub(crate) fn write(
        &self,
        summary: &RunSummary,
        outcome: &RunOutcome,
        usage: &Usage,
    ) -> Result<(), String> {
        let mut is_written = self
            .is_written
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *is_written {
            return Ok(());
        }
        let page = page::render(&self.facts, summary, outcome, ProcessUsage::of(usage));
        self.file.write(&page).map_err(|error| {
            let path = self.file.path().display();
            format!("the page {path} cannot be written: {error}")
        })?;
        *is_written = true;
        Ok(())
    }
}
