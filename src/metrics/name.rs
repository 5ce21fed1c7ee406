//! Metric name: group, name and tags.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::definition::MetricDefinition;

/// The name of a metric: its group, name and tags, which are unique together within a producer.
///
/// Printed as Kafka's tools do: `producer-topic-metrics:record-send-rate:{client-id=billing, topic=orders}`.
///
/// # Kafka
/// `org.apache.kafka.common.MetricName`.
#[derive(Clone, PartialEq, Eq)]
pub struct MetricName {
    name: &'static str,
    group: &'static str,
    description: &'static str,
    tags: Arc<BTreeMap<&'static str, String>>,
}

impl MetricName {
    pub(crate) fn new(
        group: &'static str,
        definition: &MetricDefinition,
        tags: &Arc<BTreeMap<&'static str, String>>,
    ) -> Self {
        Self {
            name: definition.name,
            group,
            description: definition.description,
            tags: Arc::clone(tags),
        }
    }

    /// The name within the group, such as `record-send-rate`.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The group, such as `producer-metrics`, `producer-node-metrics` or `producer-topic-metrics`.
    pub fn group(&self) -> &str {
        self.group
    }

    /// The description of the metric, a sentence.
    pub fn description(&self) -> &str {
        self.description
    }

    /// The tags: `client-id` for all metrics, also `node-id` or `topic` for those of nodes and topics.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tags.iter().map(|(tag, value)| (*tag, value.as_str()))
    }

    /// The value of a tag; `None` if there is no such tag.
    pub fn tag(&self, tag: &str) -> Option<&str> {
        self.tags.get(tag).map(String::as_str)
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{{", self.group, self.name)?;
        for (at, (tag, value)) in self.tags().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{tag}={value}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MetricName({self})")
    }
}
