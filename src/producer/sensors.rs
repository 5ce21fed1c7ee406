//! Sensors and gauges that several parts of a producer share.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::buffer_pool::BufferPool;
use super::counters::Counters;
use super::metadata::ProducerMetadata;
use crate::clock::Instant;
use crate::metrics::definition::SensorSet;
use crate::metrics::tables::{CallSensor, MemoryGauge, MemorySensor, SenderGauge, SenderSensor};
use crate::metrics::{MetricValue, MetricsRegistry, NodeMetrics, ReadGauge, Sensors};

/// The sensors of one producer that more than one part of it records.
///
/// # Kafka
/// The sensors that `SenderMetrics`, `BufferPool` and `KafkaProducerMetrics` register.
pub(crate) struct ProducerSensors {
    pub(crate) sender: Sensors<SenderSensor>,
    pub(crate) memory: Sensors<MemorySensor>,
    pub(crate) calls: Sensors<CallSensor>,
    pub(crate) nodes: Arc<NodeMetrics>,
}

impl ProducerSensors {
    /// Registers sensors and gauges. Gauges hold weak references, except to the small counters: users may keep metrics
    /// longer than the producer.
    pub(crate) fn register(
        registry: &Arc<MetricsRegistry>,
        pool: &Arc<BufferPool>,
        metadata: &Arc<ProducerMetadata>,
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        let sensors = Self {
            sender: registry.add(&[]),
            memory: registry.add(&[]),
            calls: registry.add(&[]),
            nodes: NodeMetrics::new(Arc::clone(registry)),
        };
        let gauges = sender_gauges(counters, metadata, registry.now());
        registry.add_gauges(SenderGauge::FAMILY, &[], gauges);
        registry.add_gauges(MemoryGauge::FAMILY, &[], memory_gauges(pool));
        Arc::new(sensors)
    }

    /// Records the duration of a call, in nanoseconds.
    #[cold]
    pub(crate) fn called(&self, sensor: CallSensor, took: Duration, now: Instant) {
        self.calls.record(sensor, took.as_nanos() as f64, now);
    }

    /// Counts a refused record, which is in no batch that would count it.
    ///
    /// # Kafka
    /// `KafkaProducer#doSend`, which records an `ApiException` and any other `KafkaException`.
    #[cold]
    pub(crate) fn record_refused(&self, now: Instant) {
        self.sender.record(SenderSensor::RecordErrors, 1.0, now);
    }
}

/// The gauges of the sender, in the order of their table.
fn sender_gauges(
    counters: &Arc<Counters>,
    metadata: &Arc<ProducerMetadata>,
    built: Instant,
) -> Vec<ReadGauge> {
    let (counters, metadata) = (Arc::clone(counters), Arc::downgrade(metadata));
    vec![
        Box::new(move |_| number(counters.snapshot().requests_in_flight as f64)),
        Box::new(move |now| {
            // Without metadata the age counts from the time when the producer was built, so that a producer that never
            // reaches a broker is noticed as well. In Kafka the age then counts from 1970.
            let age = metadata.upgrade();
            let age = age.map(|metadata| metadata.age(now).unwrap_or(now - built));
            number(age.map_or(f64::NAN, |age| age.as_secs_f64()))
        }),
    ]
}

/// The gauges of the buffer pool, in the order of their table. After the producer was dropped all memory is free.
fn memory_gauges(pool: &Arc<BufferPool>) -> Vec<ReadGauge> {
    let total = pool.total_bytes();
    let read = |pool: &Arc<BufferPool>, gone: usize, of: fn(&BufferPool) -> usize| -> ReadGauge {
        let pool: Weak<BufferPool> = Arc::downgrade(pool);
        Box::new(move |_| {
            let value = pool.upgrade().map_or(gone, |pool| of(&pool));
            number(value as f64)
        })
    };
    vec![
        read(pool, 0, BufferPool::waiting),
        read(pool, total, BufferPool::total_bytes),
        read(pool, total, BufferPool::available_bytes),
    ]
}

fn number(value: f64) -> MetricValue {
    MetricValue::Number(value)
}
