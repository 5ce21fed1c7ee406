//! Generator of producer configurations: values from the smallest to the largest legal one, in combinations that the
//! library accepts.
//!
//! Most keys keep their default or get a usual value; some get an extreme one. Two passes follow:
//! [`settle`](Numbers::settle) bounds waits that would never end in a run (such as a broker that is never reconnected
//! to, together with records that never expire), and [`agree`](Numbers::agree) makes keys consistent with each other,
//! as the library demands.

use std::collections::{BTreeMap, BTreeSet};

use super::dice::Dice;
use crate::scenario::{Brokers, Network};

pub(super) struct Key {
    pub(super) name: &'static str,
    /// Negative if the key has no default.
    default: i64,
    pub(super) least: i64,
    pub(super) most: i64,
    usual: (u64, u64),
    /// How often the key gets a usual value instead of its default, in percent.
    given: u32,
}

const INT: i64 = i32::MAX as i64;
const LONG: i64 = i64::MAX;

const fn key(
    name: &'static str,
    default: i64,
    (least, most): (i64, i64),
    usual: (u64, u64),
    given: u32,
) -> Key {
    Key {
        name,
        default,
        least,
        most,
        usual,
        given,
    }
}

const LINGER: &str = "linger.ms";
const BATCH: &str = "batch.size";
const BUFFER: &str = "buffer.memory";
const LARGEST: &str = "max.request.size";
const BLOCK: &str = "max.block.ms";
const DELIVERY: &str = "delivery.timeout.ms";
const REQUEST: &str = "request.timeout.ms";
const RETRIES: &str = "retries";
const RETRY: &str = "retry.backoff.ms";
const RETRY_MAX: &str = "retry.backoff.max.ms";
const IN_FLIGHT: &str = "max.in.flight.requests.per.connection";
const IDLE: &str = "connections.max.idle.ms";
const RECONNECT: &str = "reconnect.backoff.ms";
const RECONNECT_MAX: &str = "reconnect.backoff.max.ms";
const SETUP: &str = "socket.connection.setup.timeout.ms";
const SETUP_MAX: &str = "socket.connection.setup.timeout.max.ms";
const AGE: &str = "metadata.max.age.ms";
const TOPIC_IDLE: &str = "metadata.max.idle.ms";
const TRIGGER: &str = "metadata.recovery.rebootstrap.trigger.ms";

pub(super) const KEYS: [Key; 19] = [
    key(LINGER, 0, (0, LONG), (1, 200), 50),
    key(BATCH, 16_384, (0, INT), (64, 65_536), 60),
    key(BUFFER, 33_554_432, (0, LONG), (4_096, 1 << 20), 50),
    key(LARGEST, 1_048_576, (0, INT), (1_024, 1 << 20), 40),
    key(BLOCK, 60_000, (0, LONG), (200, 10_000), 95),
    key(DELIVERY, 120_000, (0, INT), (1_500, 30_000), 95),
    key(REQUEST, 30_000, (0, INT), (200, 5_000), 90),
    key(RETRIES, INT, (0, INT), (1, 20), 15),
    key(RETRY, 100, (0, LONG), (1, 1_000), 40),
    key(RETRY_MAX, -1, (0, LONG), (10, 5_000), 25),
    key(IN_FLIGHT, 5, (1, INT), (1, 8), 50),
    key(IDLE, 540_000, (-1, LONG), (1_000, 60_000), 25),
    key(RECONNECT, 50, (0, LONG), (1, 1_000), 40),
    key(RECONNECT_MAX, 1_000, (0, LONG), (10, 5_000), 40),
    key(SETUP, 10_000, (0, LONG), (200, 10_000), 40),
    key(SETUP_MAX, 30_000, (0, LONG), (200, 30_000), 40),
    key(AGE, 300_000, (0, LONG), (200, 60_000), 50),
    key(TOPIC_IDLE, 300_000, (5_000, LONG), (5_000, 30_000), 30),
    key(TRIGGER, 300_000, (0, LONG), (500, 60_000), 30),
];

/// The codecs of this build.
pub(super) const CODECS: &[&str] = &[
    "none",
    #[cfg(feature = "gzip")]
    "gzip",
    #[cfg(feature = "snappy")]
    "snappy",
    #[cfg(feature = "lz4")]
    "lz4",
    #[cfg(any(feature = "zstd", feature = "zstd-pure"))]
    "zstd",
];

pub(super) const PARTITIONERS: [&str; 3] = [
    "org.apache.kafka.clients.producer.internals.DefaultPartitioner",
    "org.apache.kafka.clients.producer.RoundRobinPartitioner",
    "org.apache.kafka.clients.producer.UniformStickyPartitioner",
];

/// The longest wait that a run accepts, unless the wait is sure to end.
const PATIENCE_MS: i64 = 60_000;

/// Properties of a configuration that the other generators depend on.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) batch_size: u64,
    pub(super) max_request_size: u64,
    pub(super) buffer_memory: u64,
    pub(super) max_block_ms: u64,
    /// `linger.ms` is longer than a run can wait.
    pub(super) lingers_for_ever: bool,
    /// The time-outs of records or calls are so long that a run may not be able to wait for them.
    pub(super) patient: bool,
    /// A connection attempt without a response is never given up.
    pub(super) connects_for_ever: bool,
    /// The time-outs or sizes are so small that nearly every record fails.
    pub(super) hopeless: bool,
    pub(super) all_acks: bool,
    pub(super) rebootstraps: bool,
}

/// Numeric keys. A key that is missing in `given` has its default; keys in `extreme` have an extreme value.
struct Numbers {
    given: BTreeMap<&'static str, i64>,
    extreme: BTreeSet<&'static str>,
}

pub(super) fn configuration(
    dice: &mut Dice,
    network: &Network,
    brokers: &Brokers,
) -> (BTreeMap<String, String>, Facts) {
    let mut numbers = Numbers::draw(dice);
    let hopeless = numbers.settle(network, brokers);
    numbers.agree();

    let mut config = BTreeMap::new();
    let all_acks = acks(dice, brokers, &mut numbers, &mut config);
    codec(dice, brokers, &mut config);
    if dice.percent(40) {
        config.insert("partitioner.class", (*dice.pick(&PARTITIONERS)).to_owned());
    }
    let mut rebootstraps = true;
    if dice.percent(40) {
        rebootstraps = dice.percent(40);
        let strategy = if rebootstraps { "rebootstrap" } else { "none" };
        config.insert("metadata.recovery.strategy", strategy.to_owned());
    }
    let facts = Facts {
        batch_size: numbers.get(BATCH) as u64,
        max_request_size: numbers.get(LARGEST) as u64,
        buffer_memory: numbers.get(BUFFER) as u64,
        max_block_ms: numbers.get(BLOCK) as u64,
        lingers_for_ever: numbers.get(LINGER) > PATIENCE_MS,
        patient: numbers.get(BLOCK).max(numbers.delivery()) > PATIENCE_MS / 2,
        connects_for_ever: numbers.get(SETUP).min(numbers.get(SETUP_MAX)) > PATIENCE_MS,
        hopeless,
        all_acks,
        rebootstraps,
    };
    for (key, value) in numbers.given {
        config.insert(key, value.to_string());
    }
    let config = config
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    (config, facts)
}

/// Time for a request and its response on a new connection, in microseconds.
fn answer_us(network: &Network, brokers: &Brokers) -> u64 {
    let journeys = match &brokers.tls {
        None => 6,
        // With small buffers a flight of the handshake takes several pieces.
        Some(_) if network.capacity < 4_096 => 40,
        Some(_) => 10,
    };
    network.connect_us + network.latency_us * journeys
}

impl Numbers {
    fn draw(dice: &mut Dice) -> Self {
        let mut given = BTreeMap::new();
        // The share of keys that are set differs by seed, from nearly none to nearly all.
        let percent = dice.within(20..=150) as u32;
        for key in &KEYS {
            let bounds = matches!(key.name, BLOCK | DELIVERY | REQUEST);
            let chance = if bounds {
                key.given
            } else {
                key.given * percent / 100
            };
            if dice.percent(chance) {
                let value = dice.spread(key.usual.0..=key.usual.1) as i64;
                given.insert(key.name, value);
            }
        }
        let mut extreme = BTreeSet::new();
        while dice.percent(28) {
            let key = dice.pick(&KEYS);
            let value = match dice.within(0..=3) {
                0 | 1 => key.least,
                2 if key.least == -1 => 0,
                _ => key.most,
            };
            given.insert(key.name, value);
            extreme.insert(key.name);
        }
        Self { given, extreme }
    }

    fn get(&self, name: &str) -> i64 {
        self.given.get(name).copied().unwrap_or_else(|| {
            if name == RECONNECT_MAX && self.given.contains_key(RECONNECT) {
                return self.get(RECONNECT);
            }
            let key = KEYS.iter().find(|key| key.name == name);
            key.expect("a key of the table").default
        })
    }

    fn set(&mut self, name: &'static str, value: i64) {
        self.given.insert(name, value);
    }

    fn at_most(&mut self, name: &'static str, most: i64) {
        if self.get(name) > most {
            self.set(name, most);
        }
    }

    fn at_least(&mut self, name: &'static str, least: i64) {
        if self.get(name) < least {
            self.set(name, least);
        }
    }

    /// Bounds endless waits. Returns whether nearly every record must fail.
    fn settle(&mut self, network: &Network, brokers: &Brokers) -> bool {
        // Time for connecting, ApiVersions and the request itself, with some time to spare.
        let answer_ms = (answer_us(network, brokers) / 1000 + 20) as i64;
        for name in [DELIVERY, REQUEST, SETUP, SETUP_MAX] {
            if !self.extreme.contains(name) {
                self.at_least(name, 2 * answer_ms);
            }
        }
        if self.extreme.contains(DELIVERY) && self.get(DELIVERY) == 0 {
            self.set(LINGER, 0);
            self.set(REQUEST, 0);
        }
        let hopeless = self.get(DELIVERY) < answer_ms
            || self.get(REQUEST) < answer_ms
            || self.get(SETUP).min(self.get(SETUP_MAX)) < answer_ms
            || (0..answer_ms).contains(&self.get(IDLE))
            || self.get(LARGEST) < 300
            || self.get(BUFFER) < 300;
        let retry = match self.get(RETRY_MAX) {
            max if max < 0 => self.get(RETRY),
            max => self.get(RETRY).min(max),
        };
        let reconnect = self.get(RECONNECT).min(self.get(RECONNECT_MAX));
        let pauses = retry.max(reconnect) > PATIENCE_MS;
        if hopeless || pauses {
            self.at_most(LINGER, 100);
            self.at_most(REQUEST, 2_000);
            self.at_most(DELIVERY, 10_000);
            // Records of topics without metadata wait for `max.block.ms` one after the other.
            self.at_most(BLOCK, 200);
        }
        let waits = [BLOCK, DELIVERY, LINGER]
            .into_iter()
            .map(|name| self.get(name))
            .max()
            .unwrap_or_default();
        // Each metadata refresh takes several events, so refreshes have to be rare during long waits.
        if waits > 10 * PATIENCE_MS {
            self.at_least(AGE, 300_000);
        } else if waits > PATIENCE_MS {
            self.at_least(AGE, 1_000);
        }
        // Without a request time-out, an unanswered request ends with its idle connection.
        if self.get(REQUEST) > 10 * PATIENCE_MS && !(0..=540_000).contains(&self.get(IDLE)) {
            self.set(IDLE, 540_000);
        }
        hopeless
    }

    /// Makes keys consistent, as the library demands.
    fn agree(&mut self) {
        let linger = self.get(LINGER).min(INT);
        let least = (linger + self.get(REQUEST)).min(INT);
        if self.given.contains_key(DELIVERY) {
            self.at_least(DELIVERY, least);
        }
        if self.get(BATCH) > self.get(BUFFER) {
            if self.extreme.contains(BUFFER) {
                self.set(BATCH, self.get(BUFFER));
            } else {
                let batches = if self.get(BATCH) == INT { 1 } else { 4 };
                self.set(BUFFER, self.get(BATCH) * batches);
            }
        }
        // `buffer.memory` holds at most two batches of 2 GiB.
        if self.get(BATCH) == INT && self.get(BUFFER) > 2 * INT {
            self.set(BUFFER, 2 * INT);
        }
    }

    /// The effective `delivery.timeout.ms`: at least `linger.ms` and `request.timeout.ms` together, as in the library.
    fn delivery(&self) -> i64 {
        let linger = self.get(LINGER).min(INT);
        self.get(DELIVERY).max(linger + self.get(REQUEST)).min(INT)
    }
}

/// Draws `acks` and idempotence. Returns whether the result is `acks=all`.
fn acks(
    dice: &mut Dice,
    brokers: &Brokers,
    numbers: &mut Numbers,
    config: &mut BTreeMap<&'static str, String>,
) -> bool {
    const ACKS: &str = "acks";
    const IDEMPOTENCE: &str = "enable.idempotence";
    // Brokers before 0.11 reject idempotent producers, so no record gets through.
    let old = brokers.release.starts_with("V0_10");
    let (idempotent, acks) = if old && dice.percent(92) {
        dice.weighted(&[(40, (false, "all")), (40, (false, "1")), (20, (false, "0"))])
    } else {
        dice.weighted(&[
            (40, (true, "")),
            (10, (true, "all")),
            (7, (true, "-1")),
            (13, (false, "all")),
            (18, (false, "1")),
            (12, (false, "0")),
        ])
    };
    if !acks.is_empty() {
        config.insert(ACKS, acks.to_owned());
    }
    if idempotent {
        if numbers.get(IN_FLIGHT) > 5 && !numbers.extreme.contains(IN_FLIGHT) {
            numbers.set(IN_FLIGHT, 5);
        }
        let nothing_against = numbers.get(IN_FLIGHT) <= 5 && numbers.get(RETRIES) > 0;
        if nothing_against && dice.percent(30) {
            config.insert(IDEMPOTENCE, "true".to_owned());
        }
    } else if acks == "all" || dice.percent(50) {
        config.insert(IDEMPOTENCE, "false".to_owned());
    }
    !matches!(acks, "0" | "1")
}

fn codec(dice: &mut Dice, brokers: &Brokers, config: &mut BTreeMap<&'static str, String>) {
    if dice.percent(40) {
        return;
    }
    let codec = *dice.pick(CODECS);
    // Zstd is known since 2.1; older brokers refuse each such batch.
    let known = matches!(&*brokers.release, "V2_1" | "V2_4" | "V3_0");
    if codec == "zstd" && !known && dice.percent(90) {
        return;
    }
    config.insert("compression.type", codec.to_owned());
    let level = match codec {
        "gzip" if dice.percent(20) => ("compression.gzip.level", dice.within(1..=9).to_string()),
        "zstd" if dice.percent(20) => ("compression.zstd.level", dice.within(1..=6).to_string()),
        _ => return,
    };
    config.insert(level.0, level.1);
}
