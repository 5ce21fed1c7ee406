//! What a program sees of its producer: metrics, snapshot, state, configuration.

use std::sync::Arc;

use super::KafkaProducer;
use crate::config::ProducerConfig;
use crate::error::ReconfigureError;
use crate::metrics::Metrics;
use crate::producer::counters::ProducerSnapshot;
use crate::producer::lifecycle_state::LifecycleState;
use crate::producer::record::RecordData;

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> KafkaProducer<K, V> {
    /// The producer's metrics, with the names of Kafka's Java producer. The view is live.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
    /// let metrics = producer.metrics();
    /// let rate = metrics.get("producer-metrics", "record-send-rate", &[]).ok_or("there is no such metric")?;
    /// println!("{} = {:?} records a second", rate.name(), rate.value());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Threads
    /// May be called anywhere, in callbacks and reporters too.
    /// # Kafka
    /// `KafkaProducer#metrics`.
    pub fn metrics(&self) -> Metrics {
        Metrics::new(Arc::clone(&self.core.metrics))
    }

    /// Reconfigures metrics reporters while the producer runs. A reporter is affected if one of its
    /// [`reconfigurable_configs`](crate::MetricsReporter::reconfigurable_configs) has another value than before. All
    /// affected reporters first validate the whole configuration; if none refuses it, each of them applies it. Keys
    /// with unchanged values are ignored, so a whole configuration file may be given.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
    /// // A file that was read again; only keys of reporters may have changed.
    /// let keys = [("statsd.host", "10.0.0.7")];
    /// if let Err(error) = producer.reconfigure_metrics_reporters(keys) {
    ///     eprintln!("{error}"); // here: no reporter has this key
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Variables of config providers in the values are not replaced.
    ///
    /// # Errors
    /// [`NotReconfigurable`](ReconfigureError::NotReconfigurable) if a changed key belongs to no reporter, and
    /// [`Refused`](ReconfigureError::Refused) if a reporter refuses the configuration: no reporter is changed.
    /// [`Failed`](ReconfigureError::Failed) if a reporter could not apply it: the same call may be repeated.
    /// [`Closed`](ReconfigureError::Closed) if the reporters are closed, which is one of the last steps of the
    /// producer's `close`. If they are closed during the call, no further reporter is called, and earlier ones may have
    /// applied the configuration. [`UnderWay`](ReconfigureError::UnderWay) while another reconfiguration is in
    /// progress.
    ///
    /// # Blocking
    /// For as long as the reporters take.
    ///
    /// # Kafka
    /// As brokers reconfigure their reporters (`DynamicMetricsReporters`). Java's producer cannot.
    pub fn reconfigure_metrics_reporters<N, T>(
        &self,
        entries: impl IntoIterator<Item = (N, T)>,
    ) -> Result<(), ReconfigureError>
    where
        N: Into<String>,
        T: Into<String>,
    {
        let entries = entries.into_iter();
        let entries = entries.map(|(key, value)| (key.into(), value.into()));
        self.plugins.reporters.reconfigure(&entries.collect())
    }

    /// A snapshot of the producer's counters and gauges.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
    /// let snapshot = producer.snapshot();
    /// println!("{} batches are queued", snapshot.batches_queued);
    /// println!("{} of {} bytes are free", snapshot.memory_free_bytes, snapshot.memory_total_bytes);
    /// # Ok(())
    /// # }
    /// ```
    pub fn snapshot(&self) -> ProducerSnapshot {
        let pool = self.core.accumulator.pool();
        let mut snapshot = self.core.counters.snapshot();
        // Incomplete batches are queued or in flight. The counters are read one after the other, so the subtraction
        // saturates.
        snapshot.batches_queued = (self.core.accumulator.incomplete_count() as u64)
            .saturating_sub(snapshot.batches_in_flight);
        snapshot.memory_total_bytes = pool.total_bytes() as u64;
        snapshot.memory_free_bytes = pool.available_bytes() as u64;
        snapshot.threads_waiting_for_memory = pool.waiting() as u64;
        snapshot
    }

    /// The state of the producer, for probes of a service: whether it still takes records, and if not, why.
    ///
    /// A producer whose brokers cannot be reached is [`Running`](LifecycleState::Running): it goes on by itself when
    /// they can. To probe the cluster too, ask for [`partitions_for`](Self::partitions_for) a topic, or watch the
    /// metrics.
    ///
    /// ```
    /// # let (producer, mock) = kafka_producer::testing::MockProducer::builder().topic("orders", 1).build().unwrap();
    /// # let producer: kafka_producer::KafkaProducer<str, str> = producer;
    /// use kafka_producer::LifecycleState;
    ///
    /// assert!(producer.state().is_running());
    /// producer.close()?;
    /// assert_eq!(producer.state(), LifecycleState::Closed);
    /// # Ok::<(), kafka_producer::CloseError>(())
    /// ```
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Threads
    /// May be called anywhere, in callbacks too.
    ///
    /// # Kafka
    /// No counterpart in the producer; `KafkaStreams#state`.
    pub fn state(&self) -> LifecycleState {
        LifecycleState::of(&self.core, &self.thread)
    }

    /// Why calls wait for the metadata of a topic: the last attempts to fetch it, and their results. `None` if it is
    /// known. For the tool `kafka-console-producer`; not part of the public API.
    #[cfg(feature = "cli")]
    #[doc(hidden)]
    pub fn missing_metadata(&self, topic: &str) -> Option<String> {
        let (metadata, now) = (&self.core.metadata, self.core.clock.now());
        let state = metadata.topic_state(topic, metadata.begin_wait(), now);
        state.partitions.is_none().then(|| state.to_string())
    }

    /// The configuration the producer was built with.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
    /// println!("the producer's client.id is {}", producer.config().client_id());
    /// # Ok(())
    /// # }
    /// ```
    pub fn config(&self) -> &ProducerConfig {
        &self.core.config
    }
}
