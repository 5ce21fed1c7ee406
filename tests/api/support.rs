//! What the tests share.

use std::time::Duration;

use kafka_producer::testing::TestCluster;
use kafka_producer::{KafkaProducer, ProducerConfig, ProducerConfigBuilder, ProducerRecord};

/// The bound of everything that must happen, but has no time-out of its own in a test.
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// `max.block.ms` where a test waits for it to pass.
pub(crate) const BLOCK: Duration = Duration::from_millis(400);

pub(crate) type Text = KafkaProducer<str, str>;

pub(crate) fn config(cluster: &TestCluster) -> ProducerConfigBuilder {
    config_for(&cluster.bootstrap_servers())
}

/// Impatient, so that a test of a failure is short.
pub(crate) fn config_for(servers: &str) -> ProducerConfigBuilder {
    // Whatever a test makes the producer say, it says without holding a lock.
    kafka_producer::internals::watch_log_lines();
    ProducerConfig::builder()
        .set("bootstrap.servers", servers)
        .max_block(LONG)
        .reconnect_backoff(Duration::from_millis(10))
        .reconnect_backoff_max(Duration::from_millis(50))
        .retry_backoff(Duration::from_millis(10))
}

pub(crate) fn cluster(partitions: usize) -> TestCluster {
    TestCluster::builder()
        .topic("t", partitions)
        .start()
        .unwrap()
}

pub(crate) fn producer(config: ProducerConfigBuilder) -> Text {
    Text::new(config.build().unwrap()).unwrap()
}

pub(crate) fn record(value: &str) -> ProducerRecord<'_, str, str> {
    ProducerRecord::new("t", value)
}

pub(crate) fn values(cluster: &TestCluster, partition: i32) -> Vec<String> {
    let text = |value: Option<Vec<u8>>| String::from_utf8(value.unwrap()).unwrap();
    cluster
        .records("t", partition)
        .into_iter()
        .map(|record| text(record.value))
        .collect()
}
