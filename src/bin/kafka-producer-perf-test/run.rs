//! One run: configuration, sending, report.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use kafka_producer::ProducerConfig;

use crate::clock::RunClock;
use crate::console::{self, Console};
use crate::html::{PageFile, RunOutcome, RunPage};
use crate::interrupt::{CLOSE_TIMEOUT, Interruption, Signals};
use crate::load::{BytesProducer, Load, ToProducer};
use crate::options::PerfTestOptions;
use crate::payload::Payloads;
use crate::report;
use crate::resources::{OwnShare, Usage};
use crate::stats::Stats;
use crate::throttle::Throttle;
use crate::timeline::Timeline;
use crate::transactions::InTransactions;
use crate::usage::NAME;

/// The serializer of keys and values. It overrides the configuration, because the tool's records are bytes.
const BYTES: &str = "org.apache.kafka.common.serialization.ByteArraySerializer";

/// The exit code is that of a failure if a record failed and the options say so.
pub(crate) fn run(options: &PerfTestOptions) -> Result<ExitCode, Box<dyn Error>> {
    let page_file = options.html.as_deref().map(PageFile::check).transpose()?;
    let mut payloads = Payloads::open(&options.payload)?;
    let config = config(options)?;
    let page = page_file.map(|file| RunPage::prepare(file, options, &config));
    let page = page.map(Arc::new);
    // Before the producer starts its thread, which inherits the mask.
    let signals = page.as_ref().map(|_| Signals::block()).transpose()?;
    let buffer_memory = config.buffer_memory();
    let producer = BytesProducer::new(config)?;
    let clock = RunClock::start();
    let console = Console::new(options.records);
    let timeline = page.as_ref().map(|_| Timeline::new());
    // Both are leaked on purpose: see `Stats`. The other thread that reads them may live as long as the process.
    let stats: &'static Stats = Box::leak(Box::new(Stats::new(clock, console, timeline)?));
    let interruption: &'static Interruption = Box::leak(Box::default());
    if let (Some(signals), Some(page)) = (signals, page.clone()) {
        signals.watch(interruption, move || {
            stats.print_total();
            write_page(&page, stats, &outcome(interruption, None));
        })?;
    }
    let run = PerfTestRun {
        options,
        buffer_memory,
        clock,
        stats,
        interruption,
    };
    let result = run.send_all(&producer, &mut payloads);
    // After an error the producer is still open. Its callbacks are done when it is dropped.
    drop(producer);
    let is_written = page.is_none_or(|page| {
        let error = result.as_ref().err().map(AsRef::as_ref);
        write_page(&page, stats, &outcome(interruption, error))
    });
    if let Some(code) = interruption.exit_code() {
        if let Err(error) = result {
            console::err(&format!("{NAME}: error: {error}"));
        }
        return Ok(ExitCode::from(code));
    }
    result?;
    let failed = stats.failed_records();
    if options.fail_on_error && failed > 0 {
        return Err(format!("{failed} of {} records failed", stats.records()).into());
    }
    Ok(if is_written {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A run that ends with an error after a signal was interrupted, too.
fn outcome(interruption: &Interruption, error: Option<&dyn Error>) -> RunOutcome {
    match (interruption.signal_name(), error) {
        (Some(signal), _) => RunOutcome::Interrupted(signal),
        (None, Some(error)) => RunOutcome::Failed(error.to_string()),
        (None, None) => RunOutcome::Completed,
    }
}

/// Returns whether the page is written. If not, the reason is printed.
fn write_page(page: &RunPage, stats: &Stats, outcome: &RunOutcome) -> bool {
    let written = page.write(stats, outcome);
    if let Err(error) = &written {
        console::err(error);
    }
    written.is_ok()
}

struct PerfTestRun<'a> {
    options: &'a PerfTestOptions,
    /// In bytes.
    buffer_memory: usize,
    clock: RunClock,
    stats: &'static Stats,
    interruption: &'static Interruption,
}

impl PerfTestRun<'_> {
    /// Sends the records, closes the producer, and prints the total line and further figures.
    fn send_all(
        &self,
        producer: &BytesProducer,
        payloads: &mut Payloads,
    ) -> Result<(), Box<dyn Error>> {
        let options = self.options;
        let before = options.print_resources.then(Usage::now);
        self.send(producer, payloads)?;
        if self.interruption.is_set() {
            // Records that are not delivered in time fail, and are counted as such.
            let closed = producer.close_timeout(CLOSE_TIMEOUT);
            self.stats.print_total();
            return Ok(closed?);
        }
        // Flush first: metrics and CPU time are read before the producer is closed, and must include all records.
        if options.print_metrics || options.print_resources {
            producer.flush()?;
        }
        let usage = before.map(|before| Usage::now().since(&before));
        if options.print_metrics {
            self.stats.print_total();
            let rows = report::metrics(&producer.metrics());
            console::out(&report::metrics_table(&rows));
            producer.close()?;
        } else {
            let closed = producer.close();
            self.stats.print_total();
            closed?;
        }
        if let Some(usage) = usage {
            let timeline = options.html.as_ref().map(|_| Timeline::new());
            let own = OwnShare::measure(&options.topic, payloads, timeline)?;
            console::out(&usage.report(self.stats.records(), &own, self.buffer_memory));
        }
        Ok(())
    }

    fn send(
        &self,
        producer: &BytesProducer,
        payloads: &mut Payloads,
    ) -> Result<(), Box<dyn Error>> {
        let load = Load {
            topic: &self.options.topic,
            records: self.options.records,
            throttle: Throttle::new(self.options.throughput),
            clock: self.clock,
            interruption: self.interruption,
        };
        let outlet = ToProducer {
            producer,
            stats: self.stats,
        };
        match &self.options.transactions {
            None => load.send(&outlet, payloads),
            Some(transactions) => {
                let outlet = InTransactions::new(outlet, transactions.duration)?;
                load.send(&outlet, payloads)?;
                Ok(outlet.finish()?)
            }
        }
    }
}

fn config(options: &PerfTestOptions) -> Result<ProducerConfig, Box<dyn Error>> {
    let mut builder = ProducerConfig::builder();
    if let Some(path) = &options.config_file {
        builder = builder.properties_file(path)?;
    }
    for (key, value) in &options.properties {
        builder = builder.set(key, value);
    }
    if let Some(transactions) = &options.transactions {
        builder = builder.set("transactional.id", &transactions.id);
    }
    for key in ["key.serializer", "value.serializer"] {
        builder = builder.set(key, BYTES);
    }
    Ok(builder.build()?)
}
