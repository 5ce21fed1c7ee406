//! `Metrics`: public, live view of a producer's metrics.

use std::fmt;
use std::sync::Arc;

use super::metric::Metric;
use super::prometheus;
use super::registry::MetricsRegistry;

/// A live view of a producer's metrics: metrics that are registered later are included.
///
/// ```no_run
/// # use kafka_producer::{KafkaProducer, ProducerConfig};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let config = ProducerConfig::builder().bootstrap_servers(["127.0.0.1:9092"]).build()?;
/// let producer = KafkaProducer::<str, str>::new(config)?;
/// let metrics = producer.metrics();
/// for metric in metrics.all() {
///     println!("{}: {}", metric.name(), metric.value());
/// }
/// let rate = metrics.get("producer-metrics", "record-send-rate", &[]);
/// # Ok(())
/// # }
/// ```
///
/// # Kafka
/// The map that `KafkaProducer#metrics` returns.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<MetricsRegistry>,
}

impl Metrics {
    pub(crate) fn new(registry: Arc<MetricsRegistry>) -> Self {
        Self { registry }
    }

    /// All metrics that exist now, in the order in which they were registered.
    pub fn all(&self) -> Vec<Metric> {
        self.registry.metrics()
    }

    /// The metric of this group and name with exactly these tags, of which `client-id` may be left out; `None` if there
    /// is no such metric.
    ///
    /// The search goes through the metrics of every topic and broker, so look a metric up once and keep the [`Metric`]:
    /// reading its value is cheap.
    pub fn get(&self, group: &str, name: &str, tags: &[(&str, &str)]) -> Option<Metric> {
        let mut metrics = self.registry.metrics().into_iter();
        metrics.find(|metric| {
            let found = metric.name();
            let own = found.tags().filter(|(tag, _)| *tag != "client-id").count();
            let asked = tags.iter().filter(|(tag, _)| *tag != "client-id").count();
            found.group() == group
                && found.name() == name
                && own == asked
                && tags
                    .iter()
                    .all(|(tag, value)| found.tag(tag) == Some(*value))
        })
    }

    /// All metrics in Prometheus' text format, version 0.0.4, to be served as `text/plain; version=0.0.4`.
    ///
    /// The names are those that the JMX exporter gives to the metrics of Kafka's producer, so that dashboards made for
    /// these can be used: `kafka_producer_producer_metrics_record_send_rate{client_id="billing"}`, with the further
    /// labels `topic` and `node_id`. The version is in the labels of `kafka_producer_app_info`. See `docs/METRICS.md`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
    /// let text = producer.metrics().prometheus_text();
    /// assert!(text.contains("kafka_producer_producer_metrics_record_send_rate"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Threads
    /// Each group of metrics (of the sender, of one node, of one topic) is locked while it is read, so
    /// threads that record in other groups are not blocked. The text takes about 1 KiB per topic.
    pub fn prometheus_text(&self) -> String {
        Self::prometheus_text_of([self])
    }

    /// As [`prometheus_text`](Self::prometheus_text), for several producers. Their separate texts cannot be
    /// concatenated, because all samples of a name must be adjacent.
    ///
    /// Each producer needs its own `client.id`. Producers that share one have samples with the same name and labels,
    /// which the format forbids: Prometheus rejects the text, or keeps one of the samples. A producer that is passed
    /// twice is exported once.
    pub fn prometheus_text_of<'a>(producers: impl IntoIterator<Item = &'a Self>) -> String {
        let mut registries: Vec<&Arc<MetricsRegistry>> = Vec::new();
        for producer in producers {
            let registry = &producer.registry;
            // The text format forbids the same series twice.
            if !registries.iter().any(|other| Arc::ptr_eq(other, registry)) {
                registries.push(registry);
            }
        }
        prometheus::text(
            registries
                .into_iter()
                .flat_map(|registry| registry.groups()),
        )
    }

    /// The current value of a numeric metric.
    #[cfg(test)]
    pub(crate) fn number(&self, group: &str, name: &str, tags: &[(&str, &str)]) -> f64 {
        match self.get(group, name, tags).map(|metric| metric.value()) {
            Some(super::value::MetricValue::Number(value)) => value,
            other => panic!("{group}:{name} of {tags:?} is {other:?}"),
        }
    }

    /// The number of metrics.
    pub fn len(&self) -> usize {
        self.registry.len()
    }

    /// Whether there are no metrics; false for every producer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.all();
        let entries = all.iter().map(|metric| (metric.name(), metric.value()));
        f.debug_map().entries(entries).finish()
    }
}
