//! Exports a producer's metrics through the crate `metrics`, to any exporter of that facade.
//!
//! ```text
//! cargo run --manifest-path examples/metrics_bridges/Cargo.toml --bin facade
//! ```
//!
//! Limits of the facade:
//!
//! - A gauge cannot be unset. The average of no values is `NaN`, and is exported as such: exporters print `NaN` or omit
//!   the value. A metric that is removed, because its topic was evicted or its producer closed, keeps its last value in
//!   the recorder, unless the recorder drops idle metrics (as `metrics-exporter-prometheus` does with its
//!   `idle_timeout`).
//! - A counter can only increase, but the totals of each producer begin at 0. Therefore the bridge adds the increase
//!   since its last export, and the counter continues when a topic comes back or a producer is built again. Producers
//!   with the same `client.id` share their counters, and overwrite each other's gauges: give each producer its own
//!   `client.id`.
#![allow(
    clippy::disallowed_types,
    reason = "a user has no other locks than those of std"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kafka_producer::testing::TestCluster;
use kafka_producer::{
    BoxError, KafkaProducer, Metric, MetricKind, MetricsReporter, ProducerConfig, ProducerRecord,
};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

enum Handle {
    /// The counter, and the part of the total that was exported already.
    Counter(Counter, u64),
    Gauge(Gauge),
}

/// A metric, and its handle in the facade.
struct Entry {
    metric: Metric,
    handle: Handle,
}

impl Entry {
    fn tell(&mut self) {
        // The facade has no text values.
        let Some(value) = self.metric.value().as_f64() else {
            return;
        };
        match &mut self.handle {
            Handle::Counter(counter, told) => {
                let value = value as u64;
                counter.increment(value.saturating_sub(*told));
                *told = value;
            }
            Handle::Gauge(gauge) => gauge.set(value),
        }
    }
}

/// The metrics of one producer, each with its handle in the facade. Each producer needs its own bridge.
#[derive(Clone, Default)]
struct Bridge(Arc<Mutex<BTreeMap<String, Entry>>>);

impl Bridge {
    /// Exports all values. To be called every few seconds, on any thread.
    fn tell(&self) {
        for entry in self.entries().values_mut() {
            entry.tell();
        }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Registers the handle of each added metric; `tell` exports the values.
impl MetricsReporter for Bridge {
    fn metric_change(&self, metric: &Metric) -> Result<(), BoxError> {
        let name = metric.name();
        let words = |text: &str| text.replace('-', "_");
        let key = format!("kafka_{}_{}", words(name.group()), words(name.name()));
        let labels: Vec<(String, String)> = name
            .tags()
            .map(|(tag, value)| (words(tag), value.to_owned()))
            .collect();
        let handle = if metric.kind() == MetricKind::Counter {
            metrics::describe_counter!(key.clone(), name.description().to_owned());
            Handle::Counter(metrics::counter!(key, &labels), 0)
        } else {
            metrics::describe_gauge!(key.clone(), name.description().to_owned());
            Handle::Gauge(metrics::gauge!(key, &labels))
        };
        let metric = metric.clone();
        self.entries()
            .insert(name.to_string(), Entry { metric, handle });
        Ok(())
    }

    fn metric_removal(&self, metric: &Metric) -> Result<(), BoxError> {
        // The last increments would be lost without this export.
        if let Some(mut last) = self.entries().remove(&metric.name().to_string()) {
            last.tell();
        }
        Ok(())
    }

    /// Exports the metrics that are still registered: their removal is not reported.
    fn close(&self) -> Result<(), BoxError> {
        let mut last = std::mem::take(&mut *self.entries());
        for entry in last.values_mut() {
            entry.tell();
        }
        Ok(())
    }
}

/// The recorder behind the facade: a map here, an exporter in a service.
#[derive(Clone, Default)]
struct Map(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

impl Map {
    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<String> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry(name).or_default())
    }

    fn read(&self, name: &str) -> Option<u64> {
        let cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cells.get(name).map(|cell| cell.load(Ordering::Relaxed))
    }
}

impl Recorder for Map {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let map = Map::default();
    metrics::set_global_recorder(map.clone()).map_err(|_| "there is a recorder already")?;
    let cluster = TestCluster::builder().topic("orders", 3).start()?;
    let config = ProducerConfig::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .client_id("shop")
        .build()?;
    let name = "kafka_producer_metrics_request_latency_avg{client_id=shop}";
    for round in 1..=2 {
        let bridge = Bridge::default();
        let producer = KafkaProducer::<str, str>::builder(config.clone())
            .stock_serializers()
            .metrics_reporter(bridge.clone())
            .build()?;
        bridge.tell();
        let latency = f64::from_bits(map.read(name).ok_or("the latency is missing")?);
        assert!(latency.is_nan(), "nothing was sent yet, in round {round}");
        for number in 0..10 {
            drop(producer.send(ProducerRecord::new("orders", format!("order {number}")))?);
        }
        producer.flush()?;
        bridge.tell();
        // Closing exports the metrics that are still registered, and drops them.
        producer.close()?;
        assert!(bridge.entries().is_empty());
    }

    let name = "kafka_producer_topic_metrics_record_send_total{client_id=shop,topic=orders}";
    let sent = map.read(name).ok_or("the topic's metrics are missing")?;
    println!("{name} {sent}");
    assert_eq!(sent, 20, "the second producer is counted on");
    let name = "kafka_producer_metrics_buffer_total_bytes{client_id=shop}";
    let bytes = f64::from_bits(map.read(name).ok_or("the producer's metrics are missing")?);
    println!("{name} {bytes}");
    assert_eq!(bytes, 33_554_432.0);
    Ok(())
}
