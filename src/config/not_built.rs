//! Keys of Kafka's producer that this version of the library does not support: those of later versions, and config
//! providers.

use std::collections::BTreeMap;

use super::checks::Notice;
use crate::error::ConfigError;
use crate::util::log::Level;

/// A key that is not supported.
struct NotBuilt {
    key: &'static str,
    /// Values with which Kafka's producer does what this one does anyway; compared in lower case.
    same: &'static [&'static str],
    reaction: Reaction,
    /// What this library does not do.
    lacking: &'static str,
    /// What to do instead.
    remedy: &'static str,
}

/// What is done about the key, which would otherwise be ignored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reaction {
    /// An error: other records would be sent, or elsewhere.
    Refuse,
    /// A warning: only times differ, or what is known about the producer.
    Warn,
}

const NOT_BUILT: &[NotBuilt] = &[
    NotBuilt {
        key: "config.providers",
        same: &[""],
        reaction: Reaction::Refuse,
        lacking: "this version of the library does not resolve variables like ${file:path:key}",
        remedy: "Put the values in their place before the configuration is built, and leave the key out",
    },
    NotBuilt {
        key: "partitioner.ignore.keys",
        same: &["false"],
        reaction: Reaction::Refuse,
        lacking: "this version of the library has no partitioner that ignores keys",
        remedy: "Leave the key out, and use RoundRobinPartitioner or a partitioner of your own",
    },
    NotBuilt {
        key: "transaction.two.phase.commit.enable",
        same: &["false"],
        reaction: Reaction::Refuse,
        lacking: "this version of the library does not take part in two-phase commits",
        remedy: "Leave the key out",
    },
    NotBuilt {
        key: "partitioner.adaptive.partitioning.enable",
        same: &["false"],
        reaction: Reaction::Warn,
        lacking: "records without a key go to all available partitions alike, however quick their brokers are",
        remedy: "Leave the key out",
    },
    NotBuilt {
        key: "partitioner.availability.timeout.ms",
        same: &["0"],
        reaction: Reaction::Warn,
        lacking: "a partition whose broker takes no batches for a while still gets records without a key",
        remedy: "Leave the key out",
    },
    NotBuilt {
        key: "enable.metrics.push",
        same: &["false"],
        reaction: Reaction::Warn,
        lacking: "metrics are not pushed to the brokers",
        remedy: "Leave the key out, and read the metrics with KafkaProducer::metrics or a MetricsReporter",
    },
];

/// Whether it is a key of Kafka's producer that is known not to be supported.
pub(super) fn is_known(key: &str) -> bool {
    NOT_BUILT.iter().any(|row| row.key == key)
}

/// Reports the given keys that are not supported: as problems where Kafka's producer would do something else, otherwise
/// as notices.
pub(super) fn check(
    given: &BTreeMap<String, String>,
    problems: &mut Vec<ConfigError>,
) -> Vec<Notice> {
    let mut notices = Vec::new();
    for row in NOT_BUILT {
        let Some(value) = given.get(row.key) else {
            continue;
        };
        if row.same.contains(&&*value.trim().to_ascii_lowercase()) {
            continue;
        }
        match row.reaction {
            Reaction::Refuse => problems.push(ConfigError::not_built(
                row.key,
                Some(value),
                row.lacking,
                row.remedy,
            )),
            Reaction::Warn => notices.push(Notice {
                level: Level::Warn,
                text: format!(
                    "{} has no effect: {}. {}.",
                    row.key, row.lacking, row.remedy
                ),
            }),
        }
    }
    notices
}
