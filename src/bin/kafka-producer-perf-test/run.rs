//! One run: configuration, sending, report.

use std::error::Error;

use kafka_producer::ProducerConfig;

use crate::clock::RunClock;
use crate::console::{self, Console};
use crate::load::{BytesProducer, Load, ToProducer};
use crate::options::PerfTestOptions;
use crate::payload::Payloads;
use crate::report;
use crate::resources::{OwnShare, Usage};
use crate::stats::Stats;
use crate::throttle::Throttle;
use crate::transactions::InTransactions;

/// The serializer of keys and values. It overrides the configuration, because the tool's records are bytes.
const BYTES: &str = "org.apache.kafka.common.serialization.ByteArraySerializer";

pub(crate) fn run(options: &PerfTestOptions) -> Result<(), Box<dyn Error>> {
    let mut payloads = Payloads::open(&options.payload)?;
    let config = config(options)?;
    let buffer_memory = config.buffer_memory();
    let producer = BytesProducer::new(config)?;
    let clock = RunClock::start();
    // Leaked on purpose: see `Stats`.
    let stats: &'static Stats =
        Box::leak(Box::new(Stats::new(clock, Console::new(options.records))?));
    let load = Load {
        topic: &options.topic,
        records: options.records,
        throttle: Throttle::new(options.throughput),
        clock,
    };
    let before = options.print_resources.then(Usage::now);
    let outlet = ToProducer {
        producer: &producer,
        stats,
    };
    match &options.transactions {
        None => load.send(&outlet, &mut payloads)?,
        Some(transactions) => {
            let outlet = InTransactions::new(outlet, transactions.duration)?;
            load.send(&outlet, &mut payloads)?;
            outlet.finish()?;
        }
    }
    // Flush first: metrics and CPU time are read before the producer is closed, and must include all records.
    if options.print_metrics || options.print_resources {
        producer.flush()?;
    }
    let usage = before.map(|before| Usage::now().since(&before));
    if options.print_metrics {
        stats.print_total();
        let rows = report::metrics(&producer.metrics());
        console::out(&report::metrics_table(&rows));
        producer.close()?;
    } else {
        let closed = producer.close();
        stats.print_total();
        closed?;
    }
    if let Some(usage) = usage {
        let own = OwnShare::measure(&options.topic, &mut payloads)?;
        console::out(&usage.report(stats.records(), &own, buffer_memory));
    }
    Ok(())
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
