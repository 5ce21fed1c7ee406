//! The parts of a run that the thread of the signals uses too.

use std::error::Error;
use std::sync::OnceLock;

use crate::clock::RunClock;
use crate::console::{self, Console};
use crate::html::{RunOutcome, RunPage};
use crate::interrupt::Interruption;
use crate::resources::Usage;
use crate::stats::Stats;
use crate::streams;
use crate::timeline::Timeline;
use crate::usage::NAME;

/// Leaked on purpose: see [`Stats`]. The thread of the signals may live as long as the process.
#[derive(Debug)]
pub(crate) struct SharedRun {
    pub(crate) interruption: Interruption,
    /// Set before the producer is built, if a page is to be written.
    page: OnceLock<RunPage>,
    /// Statistics without records, for a run that ends before it begins.
    empty: Stats,
    /// The statistics from the time the producer is built.
    begun: OnceLock<Stats>,
    /// The usage when the run began.
    usage_before: OnceLock<Usage>,
    usage: OnceLock<Usage>,
}

impl SharedRun {
    pub(crate) fn leaked(records: u64) -> Result<&'static Self, Box<dyn Error>> {
        Ok(Box::leak(Box::new(Self {
            interruption: Interruption::default(),
            page: OnceLock::new(),
            empty: Stats::new(RunClock::start(), Console::new(records), None)?,
            begun: OnceLock::new(),
            usage_before: OnceLock::new(),
            usage: OnceLock::new(),
        })))
    }

    pub(crate) fn set_page(&self, page: RunPage) {
        self.page.get_or_init(|| page);
    }

    pub(crate) fn has_page(&self) -> bool {
        self.page.get().is_some()
    }

    /// Begins the measurement: time and CPU time count from now on.
    pub(crate) fn begin(&self, clock: RunClock, records: u64) -> Result<&Stats, Box<dyn Error>> {
        let timeline = self.has_page().then(Timeline::new);
        let stats = Stats::new(clock, Console::new(records), timeline)?;
        self.usage_before.get_or_init(Usage::now);
        Ok(self.begun.get_or_init(|| stats))
    }

    pub(crate) fn stats(&self) -> &Stats {
        self.begun.get().unwrap_or(&self.empty)
    }

    /// The usage of the run until the first call, so that the page and standard output have the same figures.
    pub(crate) fn usage(&self) -> Usage {
        *self.usage.get_or_init(|| {
            let now = Usage::now();
            let before = self.usage_before.get();
            before.map_or(now, |before| now.since(before))
        })
    }

    /// Writes the page, if there is one, unless it is written. `error` is the reason why the run ended early. Returns
    /// why the page cannot be written.
    pub(crate) fn write_page(&self, error: Option<&dyn Error>) -> Result<(), String> {
        let Some(page) = self.page.get() else {
            return Ok(());
        };
        // Before the page is rendered, which takes CPU time and memory too.
        let usage = self.usage();
        let summary = self.stats().final_summary();
        page.write(&summary, &self.outcome(error), &usage)
    }

    /// A run that ends with an error after a signal was interrupted, too.
    fn outcome(&self, error: Option<&dyn Error>) -> RunOutcome {
        match (self.interruption.signal(), error) {
            (Some(signal), _) => RunOutcome::Interrupted(signal.name()),
            (None, Some(error)) => RunOutcome::Failed(error.to_string()),
            (None, None) if streams::is_lost() => {
                RunOutcome::Failed("standard output cannot be written".to_owned())
            }
            (None, None) => RunOutcome::Completed,
        }
    }

    /// Writes the page while another thread may still be blocked in the producer. Returns the function that prints the
    /// total line. It may block: standard output may be a full pipe. Before the run has begun there is neither.
    pub(crate) fn give_up(&'static self) -> impl FnOnce() + Send + 'static {
        let written = self.write_page(None);
        move || {
            if let Err(error) = written {
                console::err(&error);
            }
            if self.has_page() {
                self.stats().print_total();
            } else {
                console::err(&format!(
                    "{NAME}: ended before the run began: no page is written"
                ));
            }
        }
    }
}
