//! `flush`, and `partitions_for`.

use std::time::Duration;

use super::KafkaProducer;
use crate::error::{FlushError, MetadataError};
use crate::metrics::tables::CallSensor;
use crate::producer::accumulator::Flush;
use crate::producer::partitions_for::PartitionsFor;
use crate::producer::record::RecordData;
use crate::types::PartitionInfo;

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> KafkaProducer<K, V> {
    /// Flushes: sends all batches without waiting for `linger.ms`, and waits until each record that was sent before has
    /// been acknowledged or has failed.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
    /// use kafka_producer::ProducerRecord;
    ///
    /// let futures = ["tea", "sugar"].map(|order| producer.send(ProducerRecord::new("orders", order)));
    /// producer.flush()?;
    /// for future in futures {
    ///     assert!(future?.is_done());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`FlushError::Misuse`] inside a callback of the same producer, where the call would wait for its own thread, and
    /// after a fork.
    ///
    /// # Blocking
    /// Until all these records have completed; `delivery.timeout.ms` limits the wait.
    ///
    /// # Kafka
    /// `KafkaProducer#flush`.
    pub fn flush(&self) -> Result<(), FlushError> {
        self.flush_within(None)
    }

    /// As [`flush`](Self::flush), but waits no longer than `timeout`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
    /// use std::time::Duration;
    /// use kafka_producer::FlushError;
    ///
    /// match producer.flush_timeout(Duration::from_secs(5)) {
    ///     Ok(()) => println!("all records are complete"),
    ///     Err(error @ FlushError::TimedOut { .. }) => println!("{error}"), // they are sent all the same
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`flush`](Self::flush), and [`FlushError::TimedOut`] with the number of batches that have not completed;
    /// these are sent all the same.
    ///
    /// # Blocking
    /// Up to `timeout`.
    pub fn flush_timeout(&self, timeout: Duration) -> Result<(), FlushError> {
        self.flush_within(Some(timeout))
    }

    fn flush_within(&self, timeout: Option<Duration>) -> Result<(), FlushError> {
        #[cfg(feature = "testing")]
        self.core.check_call(|set| &set.flush)?;
        self.core.timed(CallSensor::Flush, || {
            self.core.driver().run(&mut self.flush_call(timeout))
        })
    }

    /// [`flush`](Self::flush), or with a timeout [`flush_timeout`](Self::flush_timeout), as steps.
    pub(crate) fn flush_call(&self, timeout: Option<Duration>) -> Flush<'_> {
        self.core.accumulator.flush(timeout)
    }

    /// The partition metadata of a topic, ordered by partition.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
    /// let partitions = producer.partitions_for("orders")?;
    /// assert_eq!(partitions.len(), 3);
    /// println!("the leader of the first is {:?}", partitions[0].leader());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The topic is not found within `max.block.ms`, the brokers refuse it, or the producer is closed.
    ///
    /// # Blocking
    /// Up to `max.block.ms` for a topic that is not known yet.
    ///
    /// # Kafka
    /// `KafkaProducer#partitionsFor`.
    pub fn partitions_for(&self, topic: &str) -> Result<Vec<PartitionInfo>, MetadataError> {
        #[cfg(feature = "testing")]
        self.core.check_call(|set| &set.partitions_for)?;
        self.core.driver().run(&mut self.partitions_for_call(topic))
    }

    /// [`partitions_for`](Self::partitions_for) as steps.
    pub(crate) fn partitions_for_call(&self, topic: &str) -> PartitionsFor<'_> {
        PartitionsFor::new(&self.core, topic)
    }
}
