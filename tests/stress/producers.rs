//! Producers with random settings, shared by the threads, and checked once they are closed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use kafka_producer::{KafkaProducer, ProducerConfig};

use crate::ledger::Guarantee;
use crate::world::World;

pub(crate) type Producer = KafkaProducer<[u8], [u8]>;

pub(crate) struct Shared {
    pub(crate) producer: Producer,
    pub(crate) number: u64,
    pub(crate) guarantee: Guarantee,
    pub(crate) max_block: Duration,
    pub(crate) delivery_timeout: Duration,
    /// The number of accepted records: those that have a future.
    pub(crate) accepted: AtomicU64,
    /// Whether a call of `close` has returned.
    pub(crate) is_closed: AtomicBool,
    settings: String,
}

fn one_of<'a>(dice: &mut Rng, from: &[&'a str]) -> &'a str {
    from[dice.usize(..from.len())]
}

impl Shared {
    pub(crate) fn build(world: &World, dice: &mut Rng) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let guarantee = match dice.u8(..8) {
            0 => Guarantee::Nothing,
            1 | 2 => Guarantee::AtLeastOnce,
            _ => Guarantee::Once,
        };
        let acks = match guarantee {
            Guarantee::Once => "all",
            Guarantee::AtLeastOnce => one_of(dice, &["1", "all"]),
            Guarantee::Nothing => "0",
        };
        let linger = dice.u64(0..3) * dice.u64(0..20);
        let request_timeout = dice.u64(50..600);
        let delivery_timeout = linger + request_timeout + dice.u64(0..1500);
        let max_block = dice.u64(0..200);
        let settings = [
            ("acks", acks.to_owned()),
            (
                "enable.idempotence",
                (guarantee == Guarantee::Once).to_string(),
            ),
            ("linger.ms", linger.to_string()),
            ("request.timeout.ms", request_timeout.to_string()),
            ("delivery.timeout.ms", delivery_timeout.to_string()),
            ("max.block.ms", max_block.to_string()),
            (
                "batch.size",
                one_of(dice, &["0", "200", "4000", "16384"]).to_owned(),
            ),
            (
                "buffer.memory",
                one_of(dice, &["16384", "65536", "1000000"]).to_owned(),
            ),
            (
                "compression.type",
                one_of(dice, &["none", "none", "gzip", "snappy", "lz4", "zstd"]).to_owned(),
            ),
            (
                "max.in.flight.requests.per.connection",
                dice.u8(1..=5).to_string(),
            ),
            (
                "retries",
                one_of(dice, &["1", "4", "2147483647"]).to_owned(),
            ),
            ("reconnect.backoff.ms", dice.u8(0..20).to_string()),
            ("reconnect.backoff.max.ms", "50".to_owned()),
            ("retry.backoff.ms", dice.u8(0..30).to_string()),
            ("metadata.max.age.ms", dice.u32(50..3000).to_string()),
            (
                "connections.max.idle.ms",
                one_of(dice, &["-1", "300"]).to_owned(),
            ),
            ("client.id", format!("stress-{number}")),
        ];
        let config = settings
            .iter()
            .fold(ProducerConfig::builder(), |config, (key, value)| {
                config.set(*key, value.as_str())
            })
            .set("bootstrap.servers", world.cluster.bootstrap_servers());
        world.count("producers", "built");
        let shared = Arc::new(Self {
            producer: Producer::new(config.build().unwrap()).unwrap(),
            number,
            guarantee,
            max_block: Duration::from_millis(max_block),
            delivery_timeout: Duration::from_millis(delivery_timeout),
            accepted: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            settings: settings
                .map(|(key, value)| format!("{key}={value}"))
                .join(" "),
        });
        let mut producers = world.producers.lock().unwrap();
        producers.retain(|producer| producer.strong_count() > 0);
        producers.push(Arc::downgrade(&shared));
        drop(producers);
        shared
    }

    /// Checks a closed producer without other handles: it has all its memory back and no record left.
    fn check(&self, world: &World) {
        let snapshot = self.producer.snapshot();
        let reported = snapshot.records_acknowledged + snapshot.records_failed;
        let accepted = self.accepted.load(Ordering::Relaxed);
        let is_drained = snapshot.memory_free_bytes == snapshot.memory_total_bytes
            && snapshot.threads_waiting_for_memory == 0
            && snapshot.batches_queued == 0;
        if !is_drained || reported != accepted {
            world.violation(format!(
                "{reported} of {accepted} accepted records have an outcome (drained: {is_drained}) in {self:?}"
            ));
        }
        world.count("producers", "closed and checked");
    }

    /// Keeps a closed producer until no other thread has a handle, and checks it then.
    pub(crate) fn retire(self: Arc<Self>, world: &World) {
        world.retired.lock().unwrap().push(self);
        Self::check_retired(world);
    }

    pub(crate) fn check_retired(world: &World) {
        let retired = std::mem::take(&mut *world.retired.lock().unwrap());
        for shared in retired {
            match Arc::try_unwrap(shared) {
                Ok(shared) => shared.check(world),
                Err(shared) => world.retired.lock().unwrap().push(shared),
            }
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let closed = self.is_closed.load(Ordering::Relaxed);
        let snapshot = self.producer.snapshot();
        write!(
            f,
            "producer {} (closed: {closed}; {}; {snapshot:?})",
            self.number, self.settings
        )
    }
}
