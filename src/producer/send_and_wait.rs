//! Calls that send records and wait for their results, with one timeout for all.

use std::time::Duration;

use super::kafka_producer::KafkaProducer;
use super::record::{ProducerRecord, RecordData};
use super::record_metadata::RecordMetadata;
use crate::error::Error;

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> KafkaProducer<K, V> {
    /// Sends a record and waits for its result: [`send`](Self::send), then
    /// [`get_timeout`](crate::FutureRecordMetadata::get_timeout), with one timeout for both.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// use kafka_producer::testing::TestCluster;
    /// use kafka_producer::{Error, ErrorCode, KafkaProducer, ProduceErrorKind, ProducerConfig, ProducerRecord};
    ///
    /// /// The HTTP status of a request whose body is sent to a topic.
    /// fn status(producer: &KafkaProducer<str, [u8]>, topic: &str, body: &[u8]) -> u16 {
    ///     let sent = producer.send_sync(ProducerRecord::new(topic, body), Duration::from_secs(2));
    ///     match sent {
    ///         Ok(_) => 200,
    ///         // Still on its way. `may_be_written` is true for it, too.
    ///         Err(Error::Produce(error)) if *error.kind() == ProduceErrorKind::Pending => 202,
    ///         Err(error) if error.may_be_written() => 502,
    ///         Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => 404,
    ///         Err(error) if error.code() == Some(ErrorCode::MessageTooLarge) => 413,
    ///         Err(error) if error.is_retriable() => 503,
    ///         Err(Error::Produce(error)) if matches!(error.kind(), ProduceErrorKind::RecordTooLarge { .. }) => 413,
    ///         Err(_) => 500,
    ///     }
    /// }
    ///
    /// let cluster = TestCluster::builder().topic("orders", 3).start()?;
    /// let config = ProducerConfig::builder().bootstrap_servers(cluster.bootstrap_servers()).build()?;
    /// let producer = KafkaProducer::<str, [u8]>::new(config)?;
    /// assert_eq!(status(&producer, "orders", b"two of them"), 200);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Send`], as [`send`](Self::send) returns it, or [`Error::Produce`], as the future does. The kind is
    /// [`Pending`](crate::ProduceErrorKind::Pending) if the result did not come in time: the record is still on its way
    /// then, and may be written. Its future is gone, and calling again sends another record: to ask again for the same
    /// one, use `send` and keep the future.
    ///
    /// # Blocking
    /// Up to `timeout`; of it, up to `max.block.ms` until the record is in a batch. With a timeout of zero the record
    /// is sent if that is possible at once. Inside a callback, a call that would have to wait is refused; a record that is
    /// in a batch by then is sent all the same.
    ///
    /// # Threads
    /// Any number of threads, at the same time. Each waits for its own record, so one thread sends no more than one
    /// record for each answer of the broker: [`send_all`](Self::send_all) is for many.
    ///
    /// # Kafka
    /// `KafkaProducer#send(record).get(timeout)`. Differs: the timeout includes that of `send`.
    pub fn send_sync(
        &self,
        record: ProducerRecord<'_, K, V>,
        timeout: Duration,
    ) -> Result<RecordMetadata, Error> {
        let mut left = timeout;
        let future = self.send_within(record, &mut left)?;
        Ok(future.get_within(&mut left)?)
    }

    /// Sends many records, then waits for all their results, with one timeout for all. The results are in the order of
    /// the records. A record that fails does not end the call, but a record that has to wait uses up the time of those
    /// after it.
    ///
    /// ```
    /// # let (producer, mock) = kafka_producer::testing::MockProducer::builder().topic("orders", 3).build().unwrap();
    /// # let producer: kafka_producer::KafkaProducer<str, str> = producer;
    /// use std::time::Duration;
    ///
    /// use kafka_producer::{Error, ProducerRecord, RecordMetadata};
    ///
    /// let records = ["one", "two"].map(|value| ProducerRecord::new("orders", value));
    /// let results = producer.send_all(records, Duration::from_secs(5));
    /// // All, or the first error:
    /// let written: Vec<RecordMetadata> = results.into_iter().collect::<Result<_, Error>>()?;
    /// assert_eq!(written.len(), 2);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Each record has the error of [`send_sync`](Self::send_sync). After
    /// [`Pending`](crate::ProduceErrorKind::Pending) there is no future to ask, and calling again sends another record:
    /// use [`send`](Self::send), then [`wait_all`](crate::FutureRecordMetadata::wait_all), to keep the futures.
    ///
    /// A record whose topic does not exist waits up to `max.block.ms`, and no longer than `timeout`. When `timeout` has
    /// passed, each of the remaining records is still sent if that is possible at once, and fails if not. Set
    /// `max.block.ms` well below `timeout`, so that one such record leaves time for the others.
    ///
    /// # Blocking
    /// Up to `timeout`, and for as long as the iterator takes.
    ///
    /// # Threads
    /// As [`send`](Self::send).
    #[must_use = "each record has its own result"]
    pub fn send_all<'a>(
        &self,
        records: impl IntoIterator<Item = ProducerRecord<'a, K, V>>,
        timeout: Duration,
    ) -> Vec<Result<RecordMetadata, Error>>
    where
        K: 'a,
        V: 'a,
    {
        let mut left = timeout;
        let futures: Vec<_> = records
            .into_iter()
            .map(|record| self.send_within(record, &mut left))
            .collect();
        futures
            .into_iter()
            .map(|sent| Ok(sent?.get_within(&mut left)?))
            .collect()
    }
}
