//! The producer against a real broker: what it acknowledged is there, once and in order.

pub(crate) mod faults;
pub(crate) mod idle;
pub(crate) mod late_write;
mod ledger;
pub(crate) mod million;
pub(crate) mod oversize;
pub(crate) mod partitions;

use std::time::{Duration, Instant};

use kafka_producer::{KafkaProducer, ProducerConfig, ProducerConfigBuilder};

/// Keys and values as they are on the wire.
type Producer = KafkaProducer<[u8], [u8]>;

fn config(servers: &str) -> ProducerConfigBuilder {
    ProducerConfig::builder().bootstrap_servers([servers])
}

fn build(config: ProducerConfigBuilder) -> Result<Producer, Box<dyn std::error::Error>> {
    Ok(Producer::new(config.build()?)?)
}

fn wait_for(limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "it did not happen within {limit:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
