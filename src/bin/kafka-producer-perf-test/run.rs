//! One run: configuration, sending, report.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use kafka_producer::ProducerConfig;

use crate::clock::RunClock;
use crate::console;
use crate::html::{PageFile, RunPage};
use crate::interrupt::{self, CLOSE_TIMEOUT, SIGNALS};
use crate::load::{BytesProducer, Load, ToProducer};
use crate::options::{DEFAULT_TRANSACTIONAL_ID, PerfTestOptions, TRANSACTION_DURATION};
use crate::payload::Payloads;
use crate::report;
use crate::resources::OwnShare;
use crate::same_file;
use crate::shared_run::SharedRun;
use crate::signals::EndingSignals;
use crate::stats::Stats;
use crate::streams;
use crate::throttle::Throttle;
use crate::timeline::Timeline;
use crate::transactions::InTransactions;
use crate::usage::NAME;

/// The serializer of keys and values. It overrides the configuration, because the tool's records are bytes.
const BYTES: &str = "org.apache.kafka.common.serialization.ByteArraySerializer";

/// The exit code is that of a failure if a record failed and the options say so.
pub(crate) fn run(options: &PerfTestOptions) -> Result<ExitCode, Box<dyn Error>> {
    let shared = SharedRun::leaked(options.records)?;
    let path = options.html.as_deref();
    let page_file = path
        .map(|path| checked_page(path, options, shared))
        .transpose()?;
    let payloads = Payloads::open(&options.payload)?;
    let config = config(options)?;
    if let Some(file) = page_file {
        shared.set_page(RunPage::prepare(file, options, &config));
    }
    let result = send_and_print(options, config, payloads, shared);
    let written = shared.write_page(result.as_ref().err().map(AsRef::as_ref));
    if let Err(error) = &written {
        console::err(error);
    }
    if let Some(signal) = shared.interruption.signal() {
        if let Err(error) = result {
            console::err(&format!("{NAME}: error: {error}"));
        }
        return Ok(ExitCode::from(signal.exit_code()));
    }
    if streams::is_lost() {
        // Records that were not delivered are a consequence. The exit code is that of the lost output.
        return Ok(ExitCode::FAILURE);
    }
    result?;
    let stats = shared.stats();
    let failed = stats.failed_records();
    if options.fail_on_error && failed > 0 {
        return Err(format!("{failed} of {} records failed", stats.records()).into());
    }
    Ok(if written.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Checks the file of the page, and that no other file of the run is the same. From then on a signal ends the run in
/// order.
fn checked_page(
    path: &Path,
    options: &PerfTestOptions,
    shared: &'static SharedRun,
) -> Result<PageFile, Box<dyn Error>> {
    same_file::refuse(path, options)?;
    // Before any thread is started, which inherits the mask, and before the check creates a temporary file, which a
    // signal would leave there.
    let signals = EndingSignals::receive(&SIGNALS)?;
    let file = signals.after(|| PageFile::check(path))?;
    interrupt::watch(
        signals,
        &shared.interruption,
        || shared.decide_page(),
        || shared.give_up(),
    );
    Ok(file)
}

/// The part of a run after which the page is written, also after an error.
fn send_and_print(
    options: &PerfTestOptions,
    config: ProducerConfig,
    mut payloads: Payloads,
    shared: &'static SharedRun,
) -> Result<(), Box<dyn Error>> {
    let buffer_memory = config.buffer_memory();
    let producer = BytesProducer::new(config)?;
    let clock = RunClock::start();
    let run = PerfTestRun {
        options,
        buffer_memory,
        clock,
        shared,
        stats: shared.begin(clock, options.records)?,
    };
    // After an error the producer is still open. Its callbacks are done when it is dropped.
    run.send_all(&producer, &mut payloads)
}

struct PerfTestRun<'a> {
    options: &'a PerfTestOptions,
    /// In bytes.
    buffer_memory: usize,
    clock: RunClock,
    shared: &'static SharedRun,
    stats: &'static Stats,
}

impl PerfTestRun<'_> {
    /// Sends the records, closes the producer, and prints the total line and further figures.
    fn send_all(
        &self,
        producer: &BytesProducer,
        payloads: &mut Payloads,
    ) -> Result<(), Box<dyn Error>> {
        let options = self.options;
        let interruption = &self.shared.interruption;
        if !interruption.is_set() {
            self.send(producer, payloads)?;
        }
        if interruption.is_set() {
            // Records that are not delivered in time fail, and are counted as such.
            let closed = producer.close_timeout(CLOSE_TIMEOUT);
            self.stats.print_total();
            return Ok(closed?);
        }
        // Flush first: metrics and CPU time are read before the producer is closed, and must include all records.
        if options.print_metrics || options.print_resources {
            producer.flush()?;
        }
        let usage = options.print_resources.then(|| self.shared.usage());
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
            interruption: &self.shared.interruption,
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

/// Builds the configuration.
///
/// # Kafka
/// Differs in `transactional.id`: the tool of Kafka 3.0 replaces that of the configuration by the tool's default.
fn config(options: &PerfTestOptions) -> Result<ProducerConfig, Box<dyn Error>> {
    let mut builder = ProducerConfig::builder();
    if options.transactions.is_some() {
        // First, so that the configuration overrides it.
        builder = builder.set("transactional.id", DEFAULT_TRANSACTIONAL_ID);
    }
    if let Some(path) = &options.config_file {
        builder = builder.properties_file(path)?;
    }
    for (key, value) in &options.properties {
        builder = builder.set(key, value);
    }
    for key in ["key.serializer", "value.serializer"] {
        builder = builder.set(key, BYTES);
    }
    let Some(transactions) = &options.transactions else {
        let config = builder.build()?;
        if config.transactional_id().is_some() {
            return Err(format!(
                "transactional.id: records would need transactions, which --{TRANSACTION_DURATION} begins and commits; \
                 give that option, or leave the key out"
            )
            .into());
        }
        return Ok(config);
    };
    if let Some(id) = &transactions.id {
        builder = builder.set("transactional.id", id);
    }
    Ok(builder.build()?)
}
