//! Tests of the producer against real brokers: delivery, retries, idle connections, record sizes, metrics.

pub(crate) mod faults;
pub(crate) mod idle;
pub(crate) mod late_write;
pub(crate) mod metrics;
pub(crate) mod million;
pub(crate) mod oversize;
pub(crate) mod partitions;
pub(crate) mod reporters;

use kafka_producer::{KafkaProducer, ProducerConfig, ProducerConfigBuilder};

/// A producer with byte keys and values.
pub(crate) type Producer = KafkaProducer<[u8], [u8]>;

pub(crate) fn config(servers: &str) -> ProducerConfigBuilder {
    ProducerConfig::builder().bootstrap_servers([servers])
}

pub(crate) fn build(config: ProducerConfigBuilder) -> Result<Producer, Box<dyn std::error::Error>> {
    Ok(Producer::new(config.build()?)?)
}
