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
    /// The page, set before the producer is built; `None` if there is none. A signal before that decides that there is
    /// none: a page that is set a moment later would be written at once, while the run begins.
    page: OnceLock<Option<RunPage>>,
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

    /// Has no effect after [`decide_page`](Self::decide_page).
    pub(crate) fn set_page(&self, page: RunPage) {
        self.page.get_or_init(|| Some(page));
    }

    pub(crate) fn has_page(&self) -> bool {
        self.page().is_some()
    }

    fn page(&self) -> Option<&RunPage> {
        self.page.get()?.as_ref()
    }

    /// Whether the run has a page. If it has none yet, it never gets one.
    pub(crate) fn decide_page(&self) -> bool {
        self.page.get_or_init(|| None).is_some()
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
        let Some(page) = self.page() else {
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
            // An error of closing the producer is a consequence.
            (None, _) if streams::is_lost() => {
                RunOutcome::Failed("standard output cannot be written".to_owned())
            }
            (None, Some(error)) => RunOutcome::Failed(error.to_string()),
            (None, None) => RunOutcome::Completed,
        }
    }

    /// Writes the page while another thread may still be blocked in the producer. Returns the function that prints the
    /// total line. It may block: standard output may be a full pipe. Before the run has begun there is neither.
    pub(crate) fn give_up(&'static self) -> impl FnOnce() + Send + 'static {
        let has_page = self.decide_page();
        let written = self.write_page(None);
        move || {
            if let Err(error) = written {
                console::err(&error);
            }
            if has_page {
                self.stats().print_total();
            } else {
                console::err(&format!(
                    "{NAME}: ended before the run began: no page is written"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_producer::ProducerConfig;

    use super::*;
    use crate::html::PageFile;
    use crate::options::{self, PerfTestCommand};

    #[test]
    fn a_page_that_is_set_after_the_run_was_given_up_is_not_written() {
        let line = "--topic t --num-records 1 --record-size 1 --throughput -1 --producer-props a=b";
        let parser = lexopt::Parser::from_args(line.split_whitespace());
        let Ok(PerfTestCommand::Run(options)) = options::parse(parser) else {
            panic!("{line}");
        };
        let name = format!("kafka-perf-late-page-{}.html", std::process::id());
        let path = std::env::temp_dir().join(name);
        let config = ProducerConfig::builder().build().unwrap();
        let page = RunPage::prepare(PageFile::check(&path).unwrap(), &options, &config);
        let shared = SharedRun::leaked(1).unwrap();
        let _print = shared.give_up();
        shared.set_page(page);
        assert!(!shared.has_page());
        shared.write_page(None).unwrap();
        assert!(!path.exists());
    }
}
