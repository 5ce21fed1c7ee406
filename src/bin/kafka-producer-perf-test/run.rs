//! One run, from the configuration to the last line.

use std::error::Error;

use kafka_producer::ProducerConfig;

use crate::clock::Clock;
use crate::console::{self, Console};
use crate::load::{Load, Producer, ToProducer};
use crate::options::Options;
use crate::payload::Payloads;
use crate::report;
use crate::resources::{OwnShare, Usage};
use crate::stats::Stats;
use crate::throttle::Throttle;

/// Whatever serializers the configuration names, records are bytes.
const BYTES: &str = "org.apache.kafka.common.serialization.ByteArraySerializer";

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut payloads = Payloads::open(&options.payload)?;
    let config = config(options)?;
    let client_id = config.client_id().to_owned();
    let buffer_memory = config.buffer_memory();
    let producer = Producer::new(config)?;
    let clock = Clock::start();
    // For ever: see the type.
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
    load.send(&outlet, &mut payloads)?;
    if options.print_metrics || options.print_resources {
        producer.flush()?;
    }
    let usage = before.map(|before| Usage::now().since(&before));
    if options.print_metrics {
        stats.print_total();
        let rows = report::metrics(&producer.snapshot(), &client_id);
        console::out(&report::metrics_table(&rows));
        console::err("only the producer's counters are shown: other metrics do not exist yet");
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

fn config(options: &Options) -> Result<ProducerConfig, Box<dyn Error>> {
    let mut builder = ProducerConfig::builder();
    if let Some(path) = &options.config_file {
        builder = builder.properties_file(path)?;
    }
    for (key, value) in &options.properties {
        builder = builder.set(key, value);
    }
    for key in ["key.serializer", "value.serializer"] {
        builder = builder.set(key, BYTES);
    }
    Ok(builder.build()?)
}
