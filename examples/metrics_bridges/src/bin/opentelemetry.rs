//! Exports a producer's metrics through OpenTelemetry, without an async runtime.
//!
//! ```text
//! cargo run --manifest-path examples/metrics_bridges/Cargo.toml --bin opentelemetry
//! ```
//!
//! The exporter of this example keeps the values in a map. A service would use an exporter of `opentelemetry-otlp`, for
//! example over HTTP with a blocking client.
#![allow(
    clippy::disallowed_types,
    reason = "a user has no other locks than those of std"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kafka_producer::testing::TestCluster;
use kafka_producer::{
    BoxError, KafkaProducer, Metric, MetricKind, MetricsReporter, ProducerConfig, ProducerRecord,
};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};

/// The metrics of one instrument by their full names: one for each topic or node.
type Instances = Arc<Mutex<BTreeMap<String, (Metric, Vec<KeyValue>)>>>;

/// Creates one instrument for each metric name. OpenTelemetry calls the instrument's callback for the values when it
/// exports. Each producer needs its own bridge, and its own `client.id`.
struct Bridge {
    meter: Meter,
    instruments: Mutex<BTreeMap<String, Instances>>,
}

impl Bridge {
    fn new(meter: Meter) -> Self {
        Self {
            meter,
            instruments: Mutex::default(),
        }
    }

    /// The instrument of a metric, created with the first metric of its name.
    fn instances(&self, metric: &Metric) -> Instances {
        let name = metric.name();
        let instrument = format!("kafka.{}.{}", name.group(), name.name()).replace('-', "_");
        let mut instruments = self
            .instruments
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(instances) = instruments.get(&instrument) {
            return Arc::clone(instances);
        }
        let instances = Instances::default();
        let description = name.description().to_owned();
        let asked = Arc::clone(&instances);
        let ask = move |observer: &dyn AsyncInstrument<f64>| observe(&asked, observer);
        if metric.kind() == MetricKind::Counter {
            let builder = self.meter.f64_observable_counter(instrument.clone());
            builder
                .with_description(description)
                .with_callback(ask)
                .build();
        } else {
            let builder = self.meter.f64_observable_gauge(instrument.clone());
            builder
                .with_description(description)
                .with_callback(ask)
                .build();
        }
        instruments.insert(instrument, Arc::clone(&instances));
        instances
    }
}

fn observe(instances: &Instances, observer: &dyn AsyncInstrument<f64>) {
    let instances = instances.lock().unwrap_or_else(PoisonError::into_inner);
    for (metric, attributes) in instances.values() {
        // An average without samples is NaN; texts are not exported.
        if let Some(value) = metric.value().as_f64().filter(|value| !value.is_nan()) {
            observer.observe(value, attributes);
        }
    }
}

impl MetricsReporter for Bridge {
    fn metric_change(&self, metric: &Metric) -> Result<(), BoxError> {
        let name = metric.name();
        let attributes = name
            .tags()
            .map(|(tag, value)| KeyValue::new(tag.to_owned(), value.to_owned()))
            .collect();
        let instances = self.instances(metric);
        let mut instances = instances.lock().unwrap_or_else(PoisonError::into_inner);
        instances.insert(name.to_string(), (metric.clone(), attributes));
        Ok(())
    }

    fn metric_removal(&self, metric: &Metric) -> Result<(), BoxError> {
        let instances = self.instances(metric);
        let mut instances = instances.lock().unwrap_or_else(PoisonError::into_inner);
        instances.remove(&metric.name().to_string());
        Ok(())
    }

    /// Drops the metrics that are still registered: their removal is not reported. The instruments stay in the meter,
    /// without values.
    fn close(&self) -> Result<(), BoxError> {
        let instruments = self
            .instruments
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for instances in instruments.values() {
            instances
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clear();
        }
        Ok(())
    }
}

/// An exporter that keeps the last export, to be printed.
#[derive(Clone, Default)]
struct ToMap(Arc<Mutex<BTreeMap<String, f64>>>);

impl PushMetricExporter for ToMap {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.clear();
        let metrics = metrics.scope_metrics().flat_map(|scope| scope.metrics());
        for metric in metrics {
            let AggregatedMetrics::F64(data) = metric.data() else {
                continue;
            };
            let mut note = |attributes: Vec<&KeyValue>, value: f64| {
                let mut attributes: Vec<String> = attributes
                    .iter()
                    .map(|attribute| format!("{}={}", attribute.key, attribute.value))
                    .collect();
                attributes.sort();
                let name = format!("{}{{{}}}", metric.name(), attributes.join(","));
                map.insert(name, value);
            };
            match data {
                MetricData::Gauge(gauge) => gauge
                    .data_points()
                    .for_each(|point| note(point.attributes().collect(), point.value())),
                MetricData::Sum(sum) => sum
                    .data_points()
                    .for_each(|point| note(point.attributes().collect(), point.value())),
                _ => {}
            }
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let exported = ToMap::default();
    // The SDK's own thread exports every minute, and on request.
    let reader = PeriodicReader::builder(exported.clone()).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();

    let cluster = TestCluster::builder().topic("orders", 3).start()?;
    let config = ProducerConfig::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .client_id("shop")
        .build()?;
    let producer = KafkaProducer::<str, str>::builder(config)
        .stock_serializers()
        .metrics_reporter(Bridge::new(provider.meter("kafka-producer")))
        .build()?;
    for number in 0..10 {
        drop(producer.send(ProducerRecord::new("orders", format!("order {number}")))?);
    }
    producer.flush()?;
    provider.force_flush()?;

    let read = |name: &str| {
        let map = exported.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = map.get(name).copied();
        println!("{name} {value:?}");
        value
    };
    let of_topic = "kafka.producer_topic_metrics.record_send_total{client-id=shop,topic=orders}";
    assert_eq!(read(of_topic), Some(10.0));
    let of_producer = "kafka.producer_metrics.buffer_total_bytes{client-id=shop}";
    assert_eq!(read(of_producer), Some(33_554_432.0));
    producer.close()?;
    // Removed metrics are no longer exported. If there is nothing to export, the exporter is not called.
    let forget = || {
        exported
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear()
    };
    forget();
    provider.force_flush()?;
    for gone in [
        "kafka.app_info.start_time_ms{client-id=shop}",
        of_topic,
        of_producer,
    ] {
        assert_eq!(read(gone), None);
    }
    Ok(provider.shutdown()?)
}
