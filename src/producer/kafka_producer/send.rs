//! Sending records: `send`, on its fast path and in steps.

#[cfg(all(feature = "testing", feature = "_internals"))]
use std::sync::Arc;
use std::time::Duration;

use super::KafkaProducer;
use crate::error::{ProduceError, SendError};
#[cfg(all(feature = "testing", feature = "_internals"))]
use crate::producer::accumulator::RecordAccumulator;
use crate::producer::accumulator::{Admission, AnyTransaction, TransactionNumber};
use crate::producer::future::{CallbackFuture, FutureRecordMetadata};
use crate::producer::quick_send::send_quickly;
use crate::producer::record::{ProducerRecord, RecordData};
use crate::producer::record_metadata::RecordMetadata;
use crate::producer::send_attempt::SendAttempt;
#[cfg(feature = "testing")]
use crate::producer::send_errors::make_abortable_by_injected_error;
use crate::producer::send_errors::make_transaction_abortable;
use crate::producer::thunks::{AnyCallback, NoCallback, UntakenCallback};
use crate::producer::user_code::check_depth;
use crate::record::header::Headers;

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> KafkaProducer<K, V> {
    /// Appends a record to a batch, and returns a future of its metadata.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
    /// use kafka_producer::ProducerRecord;
    ///
    /// let first = producer.send(ProducerRecord::keyed("orders", "7", "tea"))?;
    /// let second = producer.send(ProducerRecord::keyed("orders", "7", "sugar"))?; // does not wait for the first
    /// assert!(first.get()?.offset() < second.get()?.offset());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The record was refused because of the call itself: the producer is closed, a serializer or the partitioner
    /// failed. All other errors are returned by the future, whether they occur at once (the topic cannot be found, the
    /// record is too large, the memory is exhausted) or later.
    ///
    /// In a process forked after the producer was built nothing is sent: a record that needs a new batch is refused
    /// with [`Misuse::Forked`](crate::Misuse::Forked). A record that still fits into a batch that was opened before the
    /// fork is accepted, and its future returns [`Misuse`](crate::ProduceErrorKind::Misuse) when it is waited for.
    ///
    /// With a `transactional.id` the record becomes part of the transaction that is open now, or is refused with
    /// [`SendError::Transaction`], however long the call waits. A record that is refused for any other reason, by this
    /// call or by the future, keeps that transaction from being committed.
    ///
    /// # Blocking
    /// Up to `max.block.ms` in all, for a topic that is not known yet and for memory when `buffer.memory` is used up;
    /// else not at all. Inside a callback, a call that would have to wait is refused.
    ///
    /// # Threads
    /// Any number of threads, at the same time. A record that fits into an open batch takes one lock: that of the
    /// partition's queue.
    ///
    /// # Kafka
    /// `KafkaProducer#send`.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as `send_calling`")]
    pub fn send(
        &self,
        record: ProducerRecord<'_, K, V>,
    ) -> Result<FutureRecordMetadata, SendError> {
        self.send_calling(AnyTransaction, record, None::<&mut NoCallback>)
    }

    /// As [`send`](Self::send), and calls `callback` once with the record's metadata or error. The callback borrows the
    /// result: clone the parts that are to be kept.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::TestCluster;
    /// # use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};
    /// # let cluster = TestCluster::builder().topic("greetings", 3).start()?;
    /// # let config =
    /// #     ProducerConfig::builder().bootstrap_servers(cluster.bootstrap_servers()).build()?;
    /// use kafka_producer::{ProduceError, RecordMetadata};
    ///
    /// # let producer = KafkaProducer::<str, str>::new(config)?;
    /// let record = ProducerRecord::new("greetings", "hello");
    /// producer.send_with_callback(record, |outcome| match outcome {
    ///     Ok(metadata) => println!("written to {metadata}"),
    ///     Err(error) => eprintln!("lost: {error}"),
    /// })?;
    ///
    /// // A function can be passed as well. A closure that is stored in a variable has to name its argument's type.
    /// let callback = |outcome: Result<&RecordMetadata, &ProduceError>| assert!(outcome.is_ok());
    /// producer.send_with_callback(ProducerRecord::new("greetings", "bye"), callback)?;
    /// producer.flush()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The callbacks of a batch run in the order in which its records were sent, and the callbacks of a partition's
    /// batches in the order in which the batches complete. Without errors that is the order of sending. A batch that
    /// fails, for example because `delivery.timeout.ms` expired, completes before an earlier batch that is still being
    /// retried. A panic of a callback is logged.
    ///
    /// # Errors
    /// As [`send`](Self::send); the callback is dropped without being called then.
    ///
    /// # Blocking
    /// As [`send`](Self::send).
    ///
    /// # Threads
    /// The callback runs on the producer's thread. For a record that fails at once, it runs on the caller's thread
    /// before this method returns.
    ///
    /// # Kafka
    /// `KafkaProducer#send(ProducerRecord, Callback)`. Differs: the callback gets either metadata or an error, which
    /// names topic and partition. `close` inside a callback is refused, where Java's acts as `close(0)`.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as `send_calling`")]
    pub fn send_with_callback(
        &self,
        record: ProducerRecord<'_, K, V>,
        callback: impl FnOnce(Result<&RecordMetadata, &ProduceError>) + Send + 'static,
    ) -> Result<CallbackFuture, SendError> {
        let sent = self.send_calling(AnyTransaction, record, Some(&mut Some(callback)));
        sent.map(CallbackFuture::new)
    }

    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "small; inlined into the caller, a record that only borrows is not built in memory"
    )]
    pub(in crate::producer) fn send_calling<C: UntakenCallback + 'static>(
        &self,
        of: impl Admission,
        record: ProducerRecord<'_, K, V>,
        mut callback: Option<&mut C>,
    ) -> Result<FutureRecordMetadata, SendError> {
        let (core, plugins) = (&self.core, &self.plugins);
        let quick = send_quickly(core, plugins, of, &record, callback.as_deref_mut());
        if let Some(appended) = quick {
            // Lets the compiler leave out the drop of a record that only borrows.
            if record.owns_nothing() {
                std::mem::forget(record);
            }
            return Ok(FutureRecordMetadata::pending(appended));
        }
        let callback = callback.map(|callback| callback as &mut AnyCallback);
        match self.send_in_steps(of.number(), record, callback) {
            Ok(future) => Ok(future),
            Err(error) => Err(*error),
        }
    }

    /// [`send`](Self::send) within the time that is `left`, from which the time that it waited is taken.
    pub(in crate::producer) fn send_within(
        &self,
        record: ProducerRecord<'_, K, V>,
        left: &mut Duration,
    ) -> Result<FutureRecordMetadata, SendError> {
        let (core, plugins) = (&self.core, &self.plugins);
        let none = None::<&mut NoCallback>;
        if let Some(appended) = send_quickly(core, plugins, AnyTransaction, &record, none) {
            return Ok(FutureRecordMetadata::pending(appended));
        }
        let of = self.transaction_number();
        #[cfg(feature = "testing")]
        self.check_set_error(of)?;
        let mut record = self.intercept(of, record)?;
        let headers = std::mem::take(&mut record.headers);
        let began = core.clock.now();
        let mut call = self
            .send_call_of(of, &record, headers, None)
            .waiting_at_most(*left);
        let sent = core.driver().run(&mut call);
        *left = left.saturating_sub(core.clock.now() - began);
        sent
    }

    /// Slow path of `send`: interceptors, metadata, a new batch, memory.
    ///
    /// The error is boxed to make the return type differ from that of `send`: a result that is returned through memory
    /// by this rare call would force the fast path's result into memory, too.
    #[cold]
    fn send_in_steps(
        &self,
        of: Option<TransactionNumber>,
        mut record: ProducerRecord<'_, K, V>,
        callback: Option<&mut AnyCallback>,
    ) -> Result<FutureRecordMetadata, Box<SendError>> {
        // Read before interceptors run and before any wait: the record belongs to the transaction that is open now, not
        // to a later one.
        let of = of.unwrap_or_else(|| self.transaction_number());
        #[cfg(feature = "testing")]
        self.check_set_error(of)?;
        record = self.intercept(of, record)?;
        // Taken out of the record, because serializers change the headers while they borrow the record.
        let headers = std::mem::take(&mut record.headers);
        let mut call = self.send_call_of(of, &record, headers, callback);
        self.core.driver().run(&mut call).map_err(Box::new)
    }

    /// Number of the transaction that a record sent now belongs to. Must be read before anything blocks.
    pub(crate) fn transaction_number(&self) -> TransactionNumber {
        match &self.core.transactions {
            Some(transactions) => transactions.newest(),
            None => TransactionNumber::NONE,
        }
    }

    /// Checks the nesting depth and runs the interceptors, before the steps of a `send`.
    pub(crate) fn intercept<'a>(
        &self,
        of: TransactionNumber,
        record: ProducerRecord<'a, K, V>,
    ) -> Result<ProducerRecord<'a, K, V>, SendError> {
        self.check_depth(of)?;
        if self.plugins.interceptors.is_empty() {
            return Ok(record);
        }
        Ok(self.plugins.interceptors.on_send(record))
    }

    /// Fails with the injected error of `send`, if there is one. The record is lost, as with any other refusal.
    #[cfg(feature = "testing")]
    pub(super) fn check_set_error(&self, of: TransactionNumber) -> Result<(), SendError> {
        let checked = self.core.check_call(|set| &set.send);
        checked.inspect_err(|error| make_abortable_by_injected_error(&self.core, of, error))
    }

    pub(super) fn check_depth(&self, of: TransactionNumber) -> Result<(), SendError> {
        check_depth().map_err(|misuse| {
            // The refused record was meant for the transaction: a commit would lose the record silently.
            let error = SendError::Misuse(misuse);
            make_transaction_abortable(&self.core, of, &error.clone().into());
            error
        })
    }

    /// Fast path of `send`; `None` if the record needs the slow path.
    #[cfg(all(feature = "testing", feature = "_internals"))]
    pub(crate) fn send_at_once<C: UntakenCallback + 'static>(
        &self,
        record: &ProducerRecord<'_, K, V>,
        callback: Option<&mut C>,
    ) -> Option<FutureRecordMetadata> {
        let quick = send_quickly(&self.core, &self.plugins, AnyTransaction, record, callback);
        quick.map(FutureRecordMetadata::pending)
    }

    /// The record accumulator.
    #[cfg(all(feature = "testing", feature = "_internals"))]
    pub(crate) fn accumulator(&self) -> &Arc<RecordAccumulator> {
        &self.core.accumulator
    }

    /// [`send`](Self::send) as a stepped call, without interceptors.
    #[cfg(test)]
    pub(crate) fn send_call<'r, 'a>(
        &'r self,
        record: &'r ProducerRecord<'a, K, V>,
        headers: Headers,
        callback: Option<&'r mut AnyCallback>,
    ) -> SendAttempt<'r, 'a, K, V> {
        self.send_call_of(self.transaction_number(), record, headers, callback)
    }

    /// [`send`](Self::send) as a stepped call, after interceptors, in the transaction that was open when `send` was
    /// called. `headers` are the record's own.
    pub(crate) fn send_call_of<'r, 'a>(
        &'r self,
        of: TransactionNumber,
        record: &'r ProducerRecord<'a, K, V>,
        headers: Headers,
        callback: Option<&'r mut AnyCallback>,
    ) -> SendAttempt<'r, 'a, K, V> {
        SendAttempt::new(&self.core, &self.plugins, of, record, headers, callback)
    }
}
