//! Isolation: two brokers, one of which is hostile. It must not affect the records for the other broker.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use kafka_producer::testing::{Api, Rule, TestClusterBuilder};
use kafka_producer::{ProduceError, ProducerConfigBuilder, ProducerRecord};

use crate::case::{DELIVERY, GRACE, REQUEST, Text, impatient, one_at_a_time};
use crate::machine::Threads;
use crate::memory::{BOUND_KIB, PeakMemory};
use crate::proxy::{TamperingProxy, Treatment};

/// Maximum latency of a record to the good broker: less than any timeout that the hostile one can exhaust. The time
/// during which a busy machine keeps the threads involved from running is subtracted.
const SOON: Duration = REQUEST;
/// Minimum duration of the measurement, however soon the hostile broker is detected.
const WHILE: Duration = Duration::from_millis(300);

/// A partition of the good broker, and one of the hostile broker.
const GOOD: i32 = 0;
const BAD: i32 = 1;
/// Prefixes of the names of the threads involved: the producer's, and the good broker's.
const ON_THE_WAY: [&str; 2] = ["kafka-producer-", "test-broker-0-"];
/// Minimum number of records to the good broker.
const COUNT: u32 = 5;

/// A producer with two brokers, the second of which is hostile.
pub(crate) struct Beside {
    pub(crate) proxy: TamperingProxy,
    producer: Text,
    default_treatment: Treatment,
    _alone: MutexGuard<'static, ()>,
}

impl Beside {
    /// Starts both brokers. `default_treatment` is that of connections by the hostile broker until it tampers.
    pub(crate) fn new(
        brokers: TestClusterBuilder,
        default_treatment: Treatment,
        configure: impl FnOnce(ProducerConfigBuilder) -> ProducerConfigBuilder,
    ) -> Self {
        let alone = one_at_a_time();
        let cluster = Arc::new(brokers.nodes(2).topic("t", 2).start().unwrap());
        let (good, bad) = (0, 1);
        assert_eq!(cluster.leader("t", GOOD), Some(good));
        assert_eq!(cluster.leader("t", BAD), Some(bad));
        let proxy = TamperingProxy::before(&cluster, bad, default_treatment.clone());
        // Both brokers advertise the proxy's address for the second one.
        let picture = cluster.metadata_snapshot().with_port(bad, proxy.port());
        let rule = Rule::on(Api::Metadata).answer_as_of(&picture).always();
        cluster.script(rule).unwrap();
        kafka_producer::internals::watch_log_lines();
        let servers = format!("127.0.0.1:{}", cluster.port(good).unwrap());
        let config = configure(impatient(&servers)).build().unwrap();
        Self {
            proxy,
            producer: Text::new(config).unwrap(),
            default_treatment,
            _alone: alone,
        }
    }

    /// Sends a record to the hostile broker, and records to the good broker one after the other meanwhile. Returns the
    /// first record's error, which must come in time; afterwards the producer must work with both brokers.
    pub(crate) fn meanwhile(&self, what: &str, treatment: Treatment) -> ProduceError {
        // The connection to the good broker is established before the measurement.
        self.written(GOOD);
        let peak = PeakMemory::watch();
        let threads = Threads::ours_and(&ON_THE_WAY);
        self.proxy.set_treatment(treatment);
        self.proxy.close_connections();
        let before = self.proxy.connections();
        let began = Instant::now();
        let bad = self.send(BAD);
        let (mut count, mut slowest, mut failed_after) = (0, Duration::ZERO, None);
        while failed_after.is_none() || began.elapsed() < WHILE || count < COUNT {
            let (sent, kept) = (Instant::now(), threads.kept());
            self.written(GOOD);
            let kept = threads.kept().saturating_sub(kept);
            slowest = slowest.max(sent.elapsed().saturating_sub(kept));
            count += 1;
            if failed_after.is_none() && bad.is_done() {
                failed_after = Some(began.elapsed());
            }
            assert!(
                began.elapsed() < DELIVERY + GRACE,
                "{what}: the record got no result in time"
            );
        }
        let error = bad.get().unwrap_err();
        let failed_after = failed_after.unwrap_or_default();
        println!(
            "{what}: error after {failed_after:?}; meanwhile {count} records to the good broker, the slowest {slowest:?}: {error}"
        );
        assert!(
            slowest < SOON,
            "{what}: a record of the good broker took {slowest:?}"
        );
        let attempts = self.proxy.connections() - before;
        assert!(
            attempts < 100,
            "{what}: {attempts} attempts, without pauses"
        );
        self.proxy.stop_tampering();
        self.proxy.set_treatment(self.default_treatment.clone());
        self.proxy.close_connections();
        self.mended(what);
        let taken = peak.taken_kib();
        assert!(taken < BOUND_KIB, "{what}: {taken} KiB were taken");
        error
    }

    fn send(&self, partition: i32) -> kafka_producer::FutureRecordMetadata {
        let record = ProducerRecord::new("t", "v").with_partition(partition);
        self.producer.send(record).unwrap()
    }

    fn written(&self, partition: i32) {
        self.send(partition).get().unwrap();
    }

    /// Waits until a record to the mended broker succeeds: an earlier error may be returned once more.
    fn mended(&self, what: &str) {
        let until = Instant::now() + DELIVERY + GRACE;
        while let Err(error) = self.send(BAD).get() {
            assert!(Instant::now() < until, "{what}: {error}");
        }
    }
}
