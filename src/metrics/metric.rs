//! `Metric`: public handle to one metric.

use std::fmt;
use std::sync::Arc;

use super::definition::{MetricDefinition, Stat};
use super::group::MetricGroup;
use super::name::MetricName;
use super::value::{MetricKind, MetricValue};

/// Handle to a metric: its name and its current value.
///
/// It stays readable after the metric was removed, and after the producer was closed or dropped. Totals then keep their
/// last value, rates and averages decay, and gauges report an empty state (no memory in use; `NaN` as the age of
/// metadata).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use kafka_producer::testing::MockProducer;
/// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
/// use kafka_producer::MetricValue;
///
/// let metrics = producer.metrics();
/// let free = metrics.get("producer-metrics", "buffer-available-bytes", &[]).ok_or("no such metric")?;
/// assert_eq!(free.name().name(), "buffer-available-bytes");
/// if let MetricValue::Number(bytes) = free.value() {
///     println!("{bytes} bytes are free");
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Threads
/// Reading locks the metric's group. The sender thread takes the same lock once per request, and holds it for
/// microseconds while it records all batches of the request.
/// # Kafka
/// `KafkaMetric`.
#[derive(Clone)]
pub struct Metric {
    group: Arc<MetricGroup>,
    /// The index of the metric in the family.
    at: usize,
    /// The index of its sensor in the family.
    sensor: usize,
    definition: &'static MetricDefinition,
}

impl Metric {
    pub(super) fn new(
        group: Arc<MetricGroup>,
        at: usize,
        sensor: usize,
        definition: &'static MetricDefinition,
    ) -> Self {
        Self {
            group,
            at,
            sensor,
            definition,
        }
    }

    /// The metric's name.
    pub fn name(&self) -> MetricName {
        MetricName::new(self.group.family.group, self.definition, &self.group.tags)
    }

    /// The current value.
    pub fn value(&self) -> MetricValue {
        let now = self.group.clock().now();
        let (at, sensor) = (self.at, self.sensor);
        self.group.value(at, sensor, self.definition, now)
    }

    /// The kind of the metric: a total, a value that goes up and down, or a text.
    pub fn kind(&self) -> MetricKind {
        match self.definition.stat {
            stat if stat.is_counter() => MetricKind::Counter,
            Stat::Gauge if matches!(self.value(), MetricValue::Text(_)) => MetricKind::Info,
            _ => MetricKind::Gauge,
        }
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metric({} = {})", self.name(), self.value())
    }
}
