//! The sender's metrics of batches, requests and responses.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Instant;
use crate::metrics::tables::{NodeSensor, SenderSensor, TopicSensor};
use crate::metrics::{MetricsRegistry, NodeMetrics, Sensors};
use crate::planted::planted;
use crate::producer::accumulator::Drained;
use crate::producer::batch::SealedBatch;
use crate::producer::metadata::ProducerMetadata;
use crate::producer::sensors::ProducerSensors;
use crate::types::NodeId;
use crate::util::hash::FixedHashMap;

/// The sender's sensors: of the producer, of each node and of each topic. Recorded per batch or request, never per
/// record: a batch itself keeps the size of its largest record.
///
/// # Kafka
/// `Sender.SenderMetrics`. Differs: the metrics of a topic are removed when it expires from the metadata, and a drain
/// without batches for a node does not count as a request.
pub(super) struct SenderMetrics {
    registry: Arc<MetricsRegistry>,
    sensors: Sensors<SenderSensor>,
    nodes: Arc<NodeMetrics>,
    /// The sensors of the topics that records were sent to.
    topics: FixedHashMap<Arc<str>, Sensors<TopicSensor>>,
    /// The metadata's count of topic expiries when it was last compared.
    forgotten: u32,
}

impl SenderMetrics {
    pub(super) fn new(registry: Arc<MetricsRegistry>, sensors: &ProducerSensors) -> Self {
        Self {
            registry,
            sensors: sensors.sender.clone(),
            nodes: Arc::clone(&sensors.nodes),
            topics: FixedHashMap::default(),
            forgotten: 0,
        }
    }

    /// Records the batches of one produce request.
    ///
    /// # Kafka
    /// `#updateProduceRequestMetrics`, for one node.
    pub(super) fn record_request(&mut self, drained: &[Drained], now: Instant) {
        let mut records = 0;
        let mut request = self.sensors.recording(now);
        for Drained { batch, .. } in drained {
            if planted!(LastBatchCountsAsRequest) {
                records = 0;
            }
            records += batch.record_count();
            request.record(SenderSensor::BatchSize, batch.size_bytes() as f64);
            request.record(SenderSensor::QueueTime, millis(batch.queue_time()));
            let ratio = f64::from(batch.compression_ratio());
            request.record(SenderSensor::CompressionRate, ratio);
            let largest = batch.largest_record_bytes();
            request.record(SenderSensor::RecordSize, largest as f64);
        }
        request.record(SenderSensor::RecordsPerRequest, f64::from(records));
        drop(request);
        let same_topic = |left: &Drained, right: &Drained| topic_of(left) == topic_of(right);
        for batches in drained.chunk_by(same_topic) {
            self.record_topic(batches, now);
        }
    }

    /// Records batches of one topic. The topic's sensors are registered with its first batch.
    fn record_topic(&mut self, batches: &[Drained], now: Instant) {
        let Some(topic) = batches.first().map(topic_of) else {
            return;
        };
        let registry = &self.registry;
        let sensors = match self.topics.get(topic) {
            Some(known) => known,
            None => (self.topics.entry(Arc::clone(topic)))
                .or_insert_with(|| registry.quietly().add(&[topic])),
        };
        let mut recording = sensors.recording(now);
        for Drained { batch, .. } in batches {
            recording.record(TopicSensor::Records, f64::from(batch.record_count()));
            recording.record(TopicSensor::Bytes, batch.size_bytes() as f64);
            let ratio = f64::from(batch.compression_ratio());
            recording.record(TopicSensor::CompressionRate, ratio);
        }
    }

    /// Records the latency of a produce request.
    ///
    /// # Kafka
    /// `#recordLatency`.
    pub(super) fn record_latency(&self, node: NodeId, latency: Duration, now: Instant) {
        let latency = millis(latency);
        self.sensors
            .record(SenderSensor::RequestLatency, latency, now);
        if let Some(of_node) = self.nodes.of(node) {
            of_node.record(NodeSensor::Latency, latency, now);
        }
    }

    /// Records a retry.
    pub(super) fn record_retry(&self, batch: &SealedBatch, now: Instant) {
        self.record_end(
            batch,
            SenderSensor::RecordRetries,
            TopicSensor::Retries,
            now,
        );
    }

    /// Records a failed batch.
    pub(super) fn record_failure(&self, batch: &SealedBatch, now: Instant) {
        if planted!(RetriedFailureIsNoError) && batch.attempts() > 0 {
            return;
        }
        self.record_end(batch, SenderSensor::RecordErrors, TopicSensor::Errors, now);
    }

    fn record_end(&self, batch: &SealedBatch, all: SenderSensor, topic: TopicSensor, now: Instant) {
        let records = f64::from(batch.record_count());
        self.sensors.record(all, records, now);
        // A topic has metrics only after a request for it was sent.
        let name = batch.topic_partition().shared_topic();
        if let Some(of_topic) = self.topics.get(name) {
            of_topic.record(topic, records, now);
        }
    }

    /// Records the split of a batch that was too large for a broker.
    pub(super) fn record_split(&self, now: Instant) {
        self.sensors.record(SenderSensor::BatchSplit, 1.0, now);
    }

    /// Removes the sensors of topics that have expired from the metadata. Costs one comparison if no topic has expired.
    pub(super) fn forget_topics(&mut self, metadata: &ProducerMetadata) {
        let forgotten = metadata.times_forgotten();
        if std::mem::replace(&mut self.forgotten, forgotten) == forgotten {
            return;
        }
        for topic in metadata.without_tracked(self.topics.keys()) {
            if let Some(gone) = self.topics.remove(&topic) {
                self.registry.quietly().remove(&gone);
            }
        }
    }
}

fn topic_of(drained: &Drained) -> &Arc<str> {
    drained.batch.topic_partition().shared_topic()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
