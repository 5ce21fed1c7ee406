//! Helpers of these tests.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use kafka_producer::internals::assert_unlocked;
use kafka_producer::testing::TestCluster;
use kafka_producer::{KafkaProducer, ProducerConfig, ProducerConfigBuilder, ProducerRecord};
use log::{Level, LevelFilter, Log, Metadata, Record};

/// Timeout of everything that must happen eventually and has no timeout of its own.
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// `max.block.ms` in tests that wait for it to pass.
pub(crate) const BLOCK: Duration = Duration::from_millis(400);

pub(crate) type Text = KafkaProducer<str, str>;

pub(crate) fn config(cluster: &TestCluster) -> ProducerConfigBuilder {
    config_for(&cluster.bootstrap_servers())
}

/// Short timeouts, so that tests of failures are fast.
pub(crate) fn config_for(servers: &str) -> ProducerConfigBuilder {
    watch_log_lines();
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

/// Captured log lines, by client id.
static LINES: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());

/// A logger for all levels, which checks that no lock is held when a line is logged.
struct Watch;

impl Log for Watch {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        assert_unlocked();
        true
    }

    fn log(&self, record: &Record<'_>) {
        assert_unlocked();
        let line = record.args().to_string();
        if record.level() > Level::Info {
            return;
        }
        for (client_id, lines) in &mut *LINES.lock().unwrap() {
            if line.contains(&format!("clientId={client_id}]")) {
                lines.push(line.clone());
            }
        }
    }

    fn flush(&self) {}
}

fn watch_log_lines() {
    if log::set_logger(&Watch).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
}

/// Captures the log lines of a client id that have at least the level `INFO`. The client id must be unique among the
/// tests. Returns a function that returns the lines so far.
pub(crate) fn lines_of(client_id: &'static str) -> impl Fn() -> Vec<String> {
    watch_log_lines();
    let mut all = LINES.lock().unwrap();
    all.insert(client_id.to_owned(), Vec::new());
    move || LINES.lock().unwrap()[client_id].clone()
}
