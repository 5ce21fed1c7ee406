//! Settings of a scenario's producers, derived from their configuration as the documentation says.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::scenario::Producer;

/// Upper bound of times that Kafka adds in 32 bits.
const LONGEST: Duration = Duration::from_millis(2_147_483_647);

/// Settings that rules depend on, with defaults and derived values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// -1 for acks=all.
    pub(crate) acks: i64,
    pub(crate) idempotent: bool,
    /// Maximum number of requests in flight to a broker.
    pub(crate) in_flight: u64,
    pub(crate) retries: u64,
    pub(crate) delivery_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) max_block: Duration,
    pub(crate) linger: Duration,
    pub(crate) retry_backoff: Duration,
    pub(crate) retry_backoff_max: Duration,
    pub(crate) reconnect_backoff_max: Duration,
    pub(crate) setup_timeout_max: Duration,
    /// Idle time after which a connection is closed; `None` for never.
    pub(crate) connections_idle: Option<Duration>,
    pub(crate) metadata_idle: Duration,
    pub(crate) metadata_age: Duration,
    /// Time without metadata after which the client rebootstraps; `None` for never.
    pub(crate) rebootstrap: Option<Duration>,
    /// In bytes, as is `max_request_size`.
    pub(crate) buffer_memory: u64,
    pub(crate) max_request_size: u64,
    pub(crate) compressed: bool,
    /// `None` if the producer is not transactional.
    pub(crate) transaction_timeout: Option<Duration>,
}

impl Settings {
    pub(crate) fn of(producer: &Producer) -> Self {
        let keys = Keys(&producer.config);
        let acks = match keys.text("acks", "all") {
            "all" | "-1" => -1,
            other => other.parse().unwrap_or(-1),
        };
        let retries = keys.number("retries", 2_147_483_647);
        let in_flight = keys.number("max.in.flight.requests.per.connection", 5);
        let wanted = keys.text("enable.idempotence", "true") == "true";
        let retry_backoff = keys.millis("retry.backoff.ms", 100);
        let reconnect_backoff = keys.millis("reconnect.backoff.ms", 50);
        // With only the base set, the back-off is constant.
        let reconnect_backoff_max = if keys.is_given("reconnect.backoff.ms") {
            keys.millis_or("reconnect.backoff.max.ms", reconnect_backoff)
        } else {
            keys.millis("reconnect.backoff.max.ms", 1_000)
        };
        // As in Kafka, a base above the maximum is the back-off.
        let reconnect_backoff_max = reconnect_backoff_max.max(reconnect_backoff);
        let linger = keys.millis("linger.ms", 0).min(LONGEST);
        let request_timeout = keys.millis("request.timeout.ms", 30_000);
        // If the key is not set, the library raises a default that is too small. It refuses a set value that is too
        // small.
        let delivery_timeout = if keys.is_given("delivery.timeout.ms") {
            keys.millis("delivery.timeout.ms", 120_000)
        } else {
            let least = linger.saturating_add(request_timeout).min(LONGEST);
            Duration::from_secs(120).max(least)
        };
        let rebootstraps = keys.text("metadata.recovery.strategy", "rebootstrap") == "rebootstrap";
        Self {
            acks,
            idempotent: wanted && retries > 0 && acks == -1 && in_flight <= 5,
            in_flight,
            retries,
            delivery_timeout,
            request_timeout,
            max_block: keys.millis("max.block.ms", 60_000),
            linger,
            retry_backoff,
            retry_backoff_max: keys.millis_or("retry.backoff.max.ms", retry_backoff),
            reconnect_backoff_max,
            setup_timeout_max: keys
                .millis("socket.connection.setup.timeout.max.ms", 30_000)
                .max(keys.millis("socket.connection.setup.timeout.ms", 10_000)),
            connections_idle: keys.millis_unless_negative("connections.max.idle.ms", 540_000),
            metadata_idle: keys.millis("metadata.max.idle.ms", 300_000),
            metadata_age: keys.millis("metadata.max.age.ms", 300_000),
            rebootstrap: rebootstraps
                .then(|| keys.millis("metadata.recovery.rebootstrap.trigger.ms", 300_000)),
            buffer_memory: keys.number("buffer.memory", 33_554_432),
            max_request_size: keys.number("max.request.size", 1_048_576),
            compressed: keys.text("compression.type", "none") != "none",
            transaction_timeout: keys
                .is_given("transactional.id")
                .then(|| keys.millis("transaction.timeout.ms", 60_000)),
        }
    }
}

/// A configuration as written.
struct Keys<'a>(&'a BTreeMap<String, String>);

impl Keys<'_> {
    fn is_given(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    fn text<'k>(&'k self, key: &str, default: &'k str) -> &'k str {
        self.0.get(key).map_or(default, |value| value.trim())
    }

    fn integer(&self, key: &str) -> Option<i64> {
        self.0.get(key).and_then(|value| value.trim().parse().ok())
    }

    fn number(&self, key: &str, default: u64) -> u64 {
        let given = self.integer(key);
        given.map_or(default, |value| u64::try_from(value).unwrap_or(0))
    }

    fn millis(&self, key: &str, default: u64) -> Duration {
        Duration::from_millis(self.number(key, default))
    }

    fn millis_or(&self, key: &str, default: Duration) -> Duration {
        match self.integer(key) {
            Some(_) => self.millis(key, 0),
            None => default,
        }
    }

    fn millis_unless_negative(&self, key: &str, default: u64) -> Option<Duration> {
        let is_negative = self.integer(key).is_some_and(|value| value < 0);
        (!is_negative).then(|| self.millis(key, default))
    }
}

#[cfg(test)]
mod tests {
    use kafka_producer::ProducerConfig;

    use super::*;
    use crate::scenario::{Begins, Plugins};

    fn settings(keys: &[(&str, &str)]) -> Settings {
        let config = keys
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Settings::of(&Producer {
            config: config.collect(),
            plugins: Plugins::default(),
            threads: Vec::new(),
            begins: Begins::First,
            crashes: None,
        })
    }

    #[test]
    fn settings_are_derived_as_in_the_library() {
        let cases: &[&[(&str, &str)]] = &[
            &[],
            &[("acks", "1")],
            &[("acks", "0"), ("linger.ms", "9999999999")],
            &[("retries", "0")],
            &[("max.in.flight.requests.per.connection", "6")],
            &[("enable.idempotence", "false"), ("retries", "7")],
            &[("request.timeout.ms", "200000"), ("linger.ms", "5")],
            &[
                ("request.timeout.ms", "20"),
                ("delivery.timeout.ms", "1000"),
            ],
            &[("reconnect.backoff.ms", "7"), ("max.block.ms", "0")],
            &[
                ("retry.backoff.ms", "0"),
                ("reconnect.backoff.max.ms", "77"),
            ],
            &[("compression.type", "lz4"), ("buffer.memory", "70000")],
        ];
        for keys in cases {
            let given = [("bootstrap.servers", "h:1"), ("client.id", "c")];
            let config = ProducerConfig::from_map(given.iter().chain(*keys).copied()).unwrap();
            let effective: BTreeMap<_, _> = config
                .effective()
                .into_iter()
                .map(|(key, value, _)| (key, value))
                .collect();
            let millis = |key: &str| Duration::from_millis(effective[key].parse().unwrap());
            let settings = settings(keys);
            let acks = match settings.acks {
                -1 => "all".to_owned(),
                other => other.to_string(),
            };
            assert_eq!(acks, effective["acks"], "{keys:?}");
            let idempotent = settings.idempotent.to_string();
            assert_eq!(idempotent, effective["enable.idempotence"], "{keys:?}");
            let times = [
                ("delivery.timeout.ms", settings.delivery_timeout),
                ("request.timeout.ms", settings.request_timeout),
                ("max.block.ms", settings.max_block),
                ("linger.ms", settings.linger),
                ("retry.backoff.ms", settings.retry_backoff),
                ("reconnect.backoff.max.ms", settings.reconnect_backoff_max),
                (
                    "socket.connection.setup.timeout.max.ms",
                    settings.setup_timeout_max,
                ),
                ("metadata.max.idle.ms", settings.metadata_idle),
                ("metadata.max.age.ms", settings.metadata_age),
            ];
            for (key, ours) in times {
                assert_eq!(ours, millis(key), "{key} of {keys:?}");
            }
            let numbers = [
                ("buffer.memory", settings.buffer_memory),
                ("max.request.size", settings.max_request_size),
                ("retries", settings.retries),
                ("max.in.flight.requests.per.connection", settings.in_flight),
            ];
            for (key, ours) in numbers {
                assert_eq!(ours.to_string(), effective[key], "{key} of {keys:?}");
            }
        }
    }
}
