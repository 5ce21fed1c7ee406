//! Tables of all metrics: one file for each component that records them. The metrics are those of Kafka 3.0; metrics of
//! later versions are marked with the version.

mod app_info;
mod calls;
mod memory;
mod node;
mod selector;
mod sender;
mod topic;

pub(crate) use app_info::{AppInfo, Count};
pub(crate) use calls::CallSensor;
pub(crate) use memory::{MemoryGauge, MemorySensor};
pub(crate) use node::NodeSensor;
pub(crate) use selector::{CipherGauge, SelectorGauge, SelectorSensor};
pub(crate) use sender::{SenderGauge, SenderSensor};
pub(crate) use topic::TopicSensor;

#[cfg(test)]
use super::definition::{Family, SensorSet};

/// All families, for the document and for tests.
#[cfg(test)]
pub(crate) const FAMILIES: [&Family; 12] = [
    SenderSensor::FAMILY,
    SenderGauge::FAMILY,
    MemorySensor::FAMILY,
    MemoryGauge::FAMILY,
    SelectorSensor::FAMILY,
    SelectorGauge::FAMILY,
    CipherGauge::FAMILY,
    CallSensor::FAMILY,
    NodeSensor::FAMILY,
    TopicSensor::FAMILY,
    AppInfo::FAMILY,
    Count::FAMILY,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The list comes from Kafka's own producer, see `tests/kafka/producer/metrics.rs`.
    #[test]
    fn every_metric_that_kafka_3_0_lists_is_in_the_tables() {
        let mut listed = BTreeSet::new();
        for line in include_str!("java-3.0.0.tsv").lines() {
            if line.starts_with('#') {
                continue;
            }
            let fields: Vec<&str> = line.split('\t').collect();
            let [group, name, tags, ..] = fields[..] else {
                panic!("{line:?} is not a metric");
            };
            let is_its = |family: &&Family| {
                let client = std::iter::once("client-id");
                let all: Vec<&str> = client.chain(family.tags.iter().copied()).collect();
                family.group == group && all.join(",") == tags
            };
            let mut metrics = FAMILIES
                .into_iter()
                .filter(is_its)
                .flat_map(Family::metrics);
            let found = metrics.find(|(_, metric)| metric.name == name);
            let (_, metric) = found.unwrap_or_else(|| panic!("{line:?} is not in the tables"));
            assert_eq!(metric.since, None, "{line:?}");
            listed.insert((group, name, tags.to_owned()));
        }
        // 65 of the producer, 12 of a node, 9 of a topic, 3 of the library, and the number of metrics.
        assert_eq!(listed.len(), 90);
        // All further metrics are from later versions, except `connections`, which exists only with TLS.
        let further = FAMILIES.into_iter().flat_map(Family::metrics);
        let further = further.filter(|(_, metric)| metric.since.is_none());
        assert_eq!(further.count(), listed.len() + 1);
    }

    #[test]
    fn no_two_metrics_of_the_same_tags_have_the_same_group_and_name() {
        let mut seen = BTreeSet::new();
        for family in FAMILIES {
            for (_, metric) in family.metrics() {
                let name = (family.group, metric.name, family.tags);
                assert!(seen.insert(name), "{name:?} is defined twice");
                assert!(metric.description.ends_with('.'), "{name:?}");
            }
        }
    }
}
