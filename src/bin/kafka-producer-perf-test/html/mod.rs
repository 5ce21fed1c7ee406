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

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use kafka_producer::ProducerConfig;

use crate::cpu_clock::{CpuClock, REPORTS_CPU_TIME, cpu_time};
use crate::options::PerfTestOptions;
use crate::resources::peak_memory_kb;
use crate::stats::Stats;
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

/// CPU time and peak memory of the process, as far as the system reports them.
#[derive(Debug, Clone, Copy, Default)]
struct ProcessUsage {
    cpu_seconds: Option<f64>,
    peak_memory_bytes: Option<u64>,
}

impl ProcessUsage {
    fn now() -> Self {
        Self {
            cpu_seconds: REPORTS_CPU_TIME.then(|| cpu_time(CpuClock::Process).as_secs_f64()),
            peak_memory_bytes: peak_memory_kb().map(|kb| kb * 1024),
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
    pub(crate) fn write(&self, stats: &Stats, outcome: &RunOutcome) -> Result<(), String> {
        let mut is_written = self
            .is_written
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *is_written {
            return Ok(());
        }
        let page = page::render(&self.facts, &stats.summary(), outcome, ProcessUsage::now());
        self.file.write(&page).map_err(|error| {
            let path: &Path = self.file.path();
            format!("the page {} cannot be written: {error}", path.display())
        })?;
        *is_written = true;
        Ok(())
    }
}
