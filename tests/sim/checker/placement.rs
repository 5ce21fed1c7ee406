//! Rule: a key determines the partition, the same as with Kafka's own producer.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Facts;
use super::{Found, Rule};
use crate::events::{Event, EventKind, RecordId};
use crate::scenario::{Fault, Scenario};

/// A record with a key and without a partition of its own is in the partition that Kafka's default partitioner chooses:
/// murmur2 of the key without its sign bit, modulo the number of partitions. That number is one that the topic has at
/// some time.
///
/// The rule applies only to producers with Kafka's default partitioner.
pub(super) struct Placement {
    /// Whether each producer uses the default partitioner.
    producers: Vec<bool>,
    /// Partition counts that each topic may have; brokers may create a missing topic.
    counts: BTreeMap<String, BTreeSet<u32>>,
    /// Hashes of the keys of the records to which the rule applies, without the sign bit.
    hashes: BTreeMap<RecordId, u32>,
}

const RULE: &str = "placement";
const DEFAULT: &str = "org.apache.kafka.clients.producer.internals.DefaultPartitioner";
/// Partition count of auto-created topics.
const MADE: u32 = 3;

impl Placement {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let producers = scenario.producers.iter().map(|producer| {
            let class = producer.config.get("partitioner.class");
            let is_default = class.is_none_or(|class| class.trim() == DEFAULT);
            is_default && producer.plugins.partitioner.is_none()
        });
        let mut counts: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        for topic in &scenario.topics {
            let count = match topic.partitions {
                0 => MADE,
                count => count.into(),
            };
            counts.entry(topic.name.clone()).or_default().insert(count);
        }
        for timed in &scenario.faults {
            let (topic, count) = match &timed.fault {
                Fault::GrowTopic { topic, to: count }
                | Fault::RecreateTopic {
                    topic,
                    partitions: count,
                } => (topic, u32::from(*count)),
                Fault::DeleteTopic { topic } => (topic, MADE),
                _ => continue,
            };
            counts.entry(topic.clone()).or_default().insert(count);
        }
        Self {
            producers: producers.collect(),
            counts,
            hashes: BTreeMap::new(),
        }
    }
}

impl Rule for Placement {
    fn see(&mut self, _: &Facts, event: &Event, found: &mut Found) {
        match &event.kind {
            EventKind::RecordOffered {
                record,
                producer,
                partition: None,
                key: Some(key),
                ..
            } if self.producers.get(*producer) == Some(&true) => {
                self.hashes.insert(*record, murmur2(key) & 0x7fff_ffff);
            }
            EventKind::Appended {
                topic,
                partition,
                records,
                ..
            } => {
                let Some(counts) = self.counts.get(topic) else {
                    return;
                };
                for record in records {
                    let Some(hash) = self.hashes.get(record) else {
                        continue;
                    };
                    let is_at = |count: &u32| {
                        *count > 0 && i64::from(hash % count) == i64::from(*partition)
                    };
                    if !counts.iter().any(is_at) {
                        let text = format!(
                            "{record} was written to {topic}-{partition}, where its key does not belong: {counts:?} \
                             partitions, hash {hash}"
                        );
                        found.add(RULE, event.at, text);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Murmur2 (32 bits, by Austin Appleby) with Kafka's seed.
fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    let words = key.chunks_exact(4);
    let rest = words.remainder();
    for word in words {
        let mut word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        word = (word ^ (word >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ word;
    }
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, fault, scenario};

    /// Test vectors of `UtilsTest#testMurmur2`.
    #[test]
    fn the_hash_is_kafkas() {
        for (key, expected) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, expected, "{key}");
        }
    }

    #[test]
    fn a_key_outside_its_partition_is_caught() {
        let of = |faults: &[_], keys: &[(&str, &str)]| {
            let scenario = scenario(keys, faults);
            Story::of(Placement::of(&scenario), &scenario)
        };
        // With two partitions the key belongs to the second, with three to the first.
        let hash = murmur2(b"abc") & 0x7fff_ffff;
        assert_eq!((hash % 2, hash % 3), (1, 0));
        let grown = [fault(Fault::GrowTopic {
            topic: "t".into(),
            to: 3,
        })];
        let robin = (
            "partitioner.class",
            "org.apache.kafka.clients.producer.RoundRobinPartitioner",
        );
        for (faults, keys, partition, expected) in [
            (&[][..], &[][..], 1, 0),
            (&[], &[], 0, 1),
            (&grown, &[], 0, 0),
            (&grown, &[], 2, 1),
            (&[], &[robin], 0, 0),
        ] {
            let mut story = of(faults, keys);
            story.send_keyed(0, "t", None, b"abc");
            story.append("t", partition, 0, &[0]);
            assert_eq!(story.found().len(), expected, "{partition} {keys:?}");
        }
    }

    #[test]
    fn a_record_without_a_key_or_with_a_partition_passes_anywhere() {
        let scenario = scenario(&[], &[]);
        let mut story = Story::of(Placement::of(&scenario), &scenario);
        story.send(0, "t", None);
        story.send_keyed(1, "t", Some(0), b"abc");
        story.append("t", 0, 0, &[0, 1]);
        assert_eq!(story.found(), [""; 0]);
    }
}
