//! `KafkaProducer`: the public API. Its methods check a call, then run it as a state machine.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::util::log::{info, warn};

#[cfg(all(feature = "testing", feature = "_internals"))]
use super::accumulator::RecordAccumulator;
use super::accumulator::{Admission, AnyTransaction, Flush, TransactionNumber};
use super::app_info::register_app_info;
use super::close::{Close, ClosePlugins};
use super::core::{Core, Plugins};
use super::counters::ProducerSnapshot;
use super::future::{CallbackFuture, FutureRecordMetadata};
use super::lifecycle::{EndAction, SenderThread};
use super::lifecycle_state::LifecycleState;
use super::partitions_for::PartitionsFor;
use super::quick_send::send_quickly;
use super::record::ProducerRecord;
use super::record_metadata::RecordMetadata;
use super::send_attempt::{SendAttempt, SendProgress};
#[cfg(feature = "testing")]
use super::send_errors::make_abortable_by_injected_error;
use super::send_errors::make_transaction_abortable;
use super::thunks::{AnyCallback, NoCallback, UntakenCallback};
use super::try_send::{TrySendError, as_produce_error};
use super::user_code::check_depth;
use super::waiting::Latch;
use crate::config::ProducerConfig;
use crate::error::{
    CloseError, FlushError, MetadataError, Misuse, ProduceError, ReconfigureError, SendError,
    TrySendReason,
};
use crate::metrics::Metrics;
use crate::metrics::tables::CallSensor;
use crate::record::header::Headers;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::types::PartitionInfo;

/// A Kafka producer with a blocking API, shared by reference between any number of threads.
///
/// Records are appended to batches, one open batch per partition, which the producer's sender thread sends.
/// [`send`](Self::send) returns as soon as its record is in a batch. The future that it returns resolves to the
/// record's metadata or an error.
///
/// `K` and `V` are the types of keys and values; they may be unsized: a `KafkaProducer<str, [u8]>` sends borrowed
/// strings and bytes without copying them first. A sized type must be `Clone`: interceptors get a copy of a record that
/// [`try_send`](Self::try_send) may have to return. A type that is not `Clone` can be sent in an `Arc`.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use kafka_producer::testing::TestCluster;
/// use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};
///
/// let cluster = TestCluster::builder().topic("greetings", 3).start()?;
/// let config =
///     ProducerConfig::builder().bootstrap_servers(cluster.bootstrap_servers()).build()?;
/// let producer = KafkaProducer::<str, str>::new(config)?;
/// let future = producer.send(ProducerRecord::keyed("greetings", "en", "hello"))?;
/// let metadata = future.get()?;
/// println!("written to {metadata}");
/// producer.close()?;
/// # Ok(())
/// # }
/// ```
///
/// # Threads
/// `Send` and `Sync`; every method takes `&self`. Callbacks and interceptors run on the producer's
/// thread (on the caller's for records that fail at once) and must be quick: while one runs, nothing is
/// sent.
///
/// # Code of yours
/// Callbacks, wakers, interceptors, serializers, partitioners, metrics reporters and cluster listeners all have the
/// same rules, whichever thread they run on. None of the producer's locks is held. Inside such code, calls that would
/// wait for the producer are refused with [`Misuse::InsideCallback`]: `flush`, `close`, a future's `get` before the
/// result is known, a `send` that waits for memory or for metadata. A `send` that need not wait is accepted. The last
/// handle of the producer may be dropped in such code: the remaining records then fail. A panic is caught and logged; a
/// panic of a serializer or the partitioner fails the call of `send` instead. In a program that is built with
/// `panic=abort` a panic cannot be contained and ends the process.
///
/// Calls that wait for *another* producer are not refused. Two producers whose callbacks wait for each other deadlock,
/// and `delivery.timeout.ms` does not end the deadlock: leave such work to another thread.
///
/// # Fork
/// A process that was forked after the producer was built has no thread that sends: calls that would wait are refused
/// with [`Misuse::Forked`]. Build a producer after the fork. As with any program that has threads, locks that other
/// threads hold at the moment of the fork stay held in the child, so calls on the parent's producer may then block for
/// ever: fork while no other thread is in a call. A callback that forks must not return in the child, but end it
/// (`exec`, `_exit`): otherwise the child would use the parent's connections.
///
/// # Kafka
/// `org.apache.kafka.clients.producer.KafkaProducer`.
//  The compiler prints the line of a bound that does not hold, with the comment on it.
pub struct KafkaProducer<K, V>
where
    K: ?Sized + ToOwned, // keys must be `Clone`: interceptors get a copy of a record that `try_send` may return
    V: ?Sized + ToOwned, // values must be `Clone`, for the same reason; a type that is not can be sent as `Arc<V>`
{
    pub(super) core: Core,
    plugins: Plugins<K, V>,
    thread: SenderThread,
    /// Whether a call has begun to close the plug-ins.
    plugins_closing: AtomicBool,
    /// Latch: set when the plug-ins are closed.
    plugins_closed: Latch<()>,
    /// Turns the plug-ins into a task that closes them on the sender thread. A function pointer, because only the
    /// builder knows that `K` and `V` are `'static`, as a task for another thread needs.
    closing: fn(&mut Plugins<K, V>) -> EndAction,
}

impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> KafkaProducer<K, V> {
    /// Last step of the builder.
    pub(super) fn assemble(core: Core, mut plugins: Plugins<K, V>, thread: SenderThread) -> Self
    where
        K: 'static,
        V: 'static,
    {
        // Registered last: the `app-info` metrics mean that the producer exists. The reporters are initialized already.
        plugins.app_info = Some(register_app_info(&plugins.metrics, &*core.clock));
        Self {
            core,
            plugins,
            thread,
            plugins_closing: AtomicBool::new(false),
            plugins_closed: Latch::new(),
            closing: |plugins| {
                let plugins = plugins.take();
                Box::new(move || {
                    // Errors are logged: no call is left that could return them.
                    let _ = plugins.close();
                    plugins.drop_contained();
                })
            },
        }
    }

    /// Appends a record to a batch, and returns a future of its metadata.
    ///
    /// # Errors
    /// The record was refused because of the call itself: the producer is closed, a serializer or the partitioner
    /// failed. All other errors are returned by the future, whether they occur at once (the topic cannot be found, the
    /// record is too large, the memory is exhausted) or later.
    ///
    /// In a process forked after the producer was built nothing is sent: a record that needs a new batch is refused
    /// with [`Misuse::Forked`]. A record that still fits into a batch that was opened before the fork is accepted, and
    /// its future returns [`Misuse`](crate::ProduceErrorKind::Misuse) when it is waited for.
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
    pub(super) fn send_calling<C: UntakenCallback + 'static>(
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
    pub(super) fn send_within(
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
    fn check_set_error(&self, of: TransactionNumber) -> Result<(), SendError> {
        let checked = self.core.check_call(|set| &set.send);
        checked.inspect_err(|error| make_abortable_by_injected_error(&self.core, of, error))
    }

    fn check_depth(&self, of: TransactionNumber) -> Result<(), SendError> {
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

    /// Non-blocking [`send`](Self::send): a record that cannot be appended at once is returned.
    ///
    /// The metadata of an unknown topic is requested, so that a later attempt may succeed. If the last response of the
    /// brokers was that the topic or partition does not exist, or that access is refused, the error has this reason;
    /// the metadata is requested again all the same.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
    /// use kafka_producer::ProducerRecord;
    ///
    /// match producer.try_send(ProducerRecord::keyed("orders", "7", "tea")) {
    ///     Ok(future) => println!("written to {}", future.get()?),
    ///     Err(error) if error.reason().would_block() => {
    ///         let later = error.into_record();
    ///         # drop(later);
    ///     }
    ///     Err(error) => eprintln!("{error}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The record, as it was before interceptors, and the reason of the refusal. After a fork, as with
    /// [`send`](Self::send), a record that needs a new batch is returned with [`Misuse::Forked`], and the future of an
    /// accepted record returns that error.
    ///
    /// A reason that [would block](TrySendReason::would_block) does not affect an open transaction, since the record is
    /// not lost. Any other reason keeps the transaction from being committed, as with [`send`](Self::send).
    ///
    /// # Blocking
    /// Never.
    #[allow(
        clippy::result_large_err,
        reason = "the error gives the record back to the caller"
    )]
    pub fn try_send<'a>(
        &self,
        record: ProducerRecord<'a, K, V>,
    ) -> Result<FutureRecordMetadata, TrySendError<'a, K, V>> {
        self.try_send_calling(record, None::<&mut NoCallback>)
    }

    /// As [`try_send`](Self::try_send), and calls `callback` once with the metadata or error of an accepted record.
    ///
    /// ```
    /// # let (producer, mock) = kafka_producer::testing::MockProducer::builder().topic("orders", 1).build().unwrap();
    /// use std::sync::mpsc;
    ///
    /// use kafka_producer::ProducerRecord;
    ///
    /// let (responder, response) = mpsc::channel();
    /// let respond = move |outcome: Result<&_, &_>| {
    ///     let _ = responder.send(if outcome.is_ok() { 200 } else { 503 });
    /// };
    /// # let producer: kafka_producer::KafkaProducer<str, str> = producer;
    /// if let Err(refused) = producer.try_send_with_callback(ProducerRecord::new("orders", "1"), respond) {
    ///     // The callback comes back with the record, and what it owns can be used.
    ///     let (_record, _respond) = refused.into_parts();
    /// }
    /// assert_eq!(response.recv(), Ok(200));
    /// ```
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send); the callback is returned with the record, and is not called.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Threads
    /// The callback runs on the producer's thread.
    #[allow(
        clippy::result_large_err,
        reason = "the error gives the record back to the caller"
    )]
    pub fn try_send_with_callback<'a, C>(
        &self,
        record: ProducerRecord<'a, K, V>,
        callback: C,
    ) -> Result<CallbackFuture, TrySendError<'a, K, V, C>>
    where
        C: FnOnce(Result<&RecordMetadata, &ProduceError>) + Send + 'static,
    {
        let mut untaken = Some(callback);
        match self.try_send_calling(record, Some(&mut untaken)) {
            Ok(future) => Ok(CallbackFuture::new(future)),
            Err(refused) => {
                let callback = untaken.expect("only a batch takes the callback, with the record");
                Err(refused.with_callback(callback))
            }
        }
    }

    #[inline]
    #[allow(
        clippy::result_large_err,
        reason = "the error gives the record back to the caller"
    )]
    fn try_send_calling<'a, C: UntakenCallback + 'static>(
        &self,
        record: ProducerRecord<'a, K, V>,
        mut callback: Option<&mut C>,
    ) -> Result<FutureRecordMetadata, TrySendError<'a, K, V>> {
        let refused = |record, reason| TrySendError {
            record,
            reason,
            callback: (),
        };
        #[cfg(feature = "testing")]
        if let Err(error) = self.check_set_error(self.transaction_number()) {
            return Err(refused(record, TrySendReason::Call(error)));
        }
        let interceptors = &self.plugins.interceptors;
        if interceptors.is_empty() {
            // Fast path: no interceptor can change the record, so the record need not be cloned.
            let (core, plugins) = (&self.core, &self.plugins);
            let callback = callback.as_deref_mut();
            let quick = send_quickly(core, plugins, AnyTransaction, &record, callback);
            if let Some(appended) = quick {
                return Ok(FutureRecordMetadata::pending(appended));
            }
        }
        let callback = callback.map(|callback| callback as &mut AnyCallback);
        let of = self.transaction_number();
        let outcome = match self.check_depth(of) {
            Err(error) => Err(TrySendReason::Call(error)),
            Ok(()) if interceptors.is_empty() => self.try_once(of, &record, callback),
            // Interceptors get a clone: a refused record is returned as it was given.
            Ok(()) => self.try_once(of, &interceptors.on_send(record.clone()), callback),
        };
        outcome.map_err(|reason| refused(record, reason))
    }

    fn try_once(
        &self,
        of: TransactionNumber,
        record: &ProducerRecord<'_, K, V>,
        callback: Option<&mut AnyCallback>,
    ) -> Result<FutureRecordMetadata, TrySendReason> {
        let attempt = self.send_call_of(of, record, record.headers.clone(), callback);
        let mut attempt = attempt.without_waiting();
        let not_taken = match attempt.advance() {
            Ok(SendProgress::Appended(future)) => return Ok(future),
            Ok(SendProgress::NeedsTopic) => attempt
                .known_topic_error()
                .ok_or(TrySendReason::TopicNotKnown),
            Ok(SendProgress::NeedsMemory) => Err(TrySendReason::MemoryFull),
            Err(refusal) => Ok(refusal),
        };
        // Only a refusal affects the transaction. A record that cannot be accepted now is not lost: the caller gets it
        // back.
        let reason = not_taken.map_or_else(
            |not_now| not_now,
            |refusal| {
                make_transaction_abortable(&self.core, of, &refusal);
                attempt.counted(refusal).into()
            },
        );
        let interceptors = &self.plugins.interceptors;
        if !interceptors.is_empty() {
            let error = as_produce_error(&reason, &record.topic);
            interceptors.on_send_error(&record.topic, attempt.partition(), &error);
        }
        Err(reason)
    }

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

    /// Closes the producer: sends all queued records, then stops the sender thread. New records are refused.
    ///
    /// May be called more than once, and while other threads send.
    ///
    /// # Errors
    /// Undelivered records or an open transaction, or the failure of a plug-in; the producer is closed all the same.
    /// Inside a callback of the same producer the call is refused and nothing is closed.
    ///
    /// # Blocking
    /// Until every record is acknowledged or has failed; `delivery.timeout.ms` limits the wait.
    ///
    /// # Kafka
    /// `KafkaProducer#close`.
    pub fn close(&self) -> Result<(), CloseError> {
        #[cfg(feature = "testing")]
        self.core.check_call(|set| &set.close)?;
        self.close_within(None)
    }

    /// As [`close`](Self::close), but aborts the records that are not delivered when `timeout` expires; zero aborts
    /// them at once. The errors of their futures say whether they may have been written.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
    /// use std::time::Duration;
    /// use kafka_producer::CloseError;
    ///
    /// match producer.close_timeout(Duration::from_secs(20)) {
    ///     Ok(()) => {}
    ///     Err(CloseError::Undelivered { records, .. }) => eprintln!("{records} records were not delivered"),
    ///     Err(error) => eprintln!("{error}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`close`](Self::close), and [`CloseError::Undelivered`] with the number of aborted records.
    ///
    /// # Blocking
    /// Up to `timeout`, then up to 10 s for a running callback or the compression of a batch. Then for as long as your
    /// code takes: the `close` methods of interceptors, metrics reporters, serializers and the partitioner, on
    /// whichever thread they run, and the destructors of thread-locals that callbacks have used on the producer's
    /// thread.
    pub fn close_timeout(&self, timeout: Duration) -> Result<(), CloseError> {
        #[cfg(feature = "testing")]
        self.core.check_call(|set| &set.close)?;
        self.close_within(Some(timeout))
    }

    fn close_within(&self, timeout: Option<Duration>) -> Result<(), CloseError> {
        let closed = self.core.driver().run(&mut self.close_call(timeout));
        // A refused call must not join: inside a callback this is the sender thread itself.
        if !matches!(closed, Err(CloseError::Misuse(_))) {
            self.thread.join_if_ended();
        }
        closed
    }

    /// [`close`](Self::close), or with a timeout [`close_timeout`](Self::close_timeout), as steps.
    pub(crate) fn close_call(&self, timeout: Option<Duration>) -> Close<'_> {
        let plugins = ClosePlugins {
            close: Box::new(|| self.close_plugins()),
            closed: &self.plugins_closed,
        };
        Close::new(&self.core, &self.thread, timeout, plugins)
    }

    /// Closes interceptors, metrics reporters, serializers and partitioner, once; returns the first failure (KP-54).
    fn close_plugins(&self) -> Result<(), Arc<str>> {
        if !self.begins_to_close_plugins() {
            return Ok(());
        }
        // No further listener is called: the sender thread may still run, in user code that does not return.
        self.core.metadata.close_listeners();
        // The latch is set after the last plug-in: concurrent `close` calls wait for it.
        let closed = self.plugins.close();
        self.plugins_closed.set(());
        closed
    }

    /// Whether this call is the first to close the plug-ins.
    fn begins_to_close_plugins(&self) -> bool {
        if self.plugins_closing.swap(true, Ordering::AcqRel) {
            return false;
        }
        info!(self.core.instance.log(), "closed");
        true
    }

    /// The producer's metrics, with the names of Kafka's Java producer. The view is live.
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

    /// Replaces the instance id, and returns the old one.
    #[cfg(test)]
    pub(super) fn replace_id(
        &mut self,
        id: super::instance::InstanceId,
    ) -> super::instance::InstanceId {
        let now = &self.core.instance;
        let other = super::instance::Instance::new(id, Arc::clone(now.clock()), now.log().clone());
        std::mem::replace(&mut self.core.instance, other).id()
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

    /// The configuration the producer was built with.
    pub fn config(&self) -> &ProducerConfig {
        &self.core.config
    }
}

/// Closes the producer if it was not closed: sends queued records for up to 10 s, then aborts the remaining records and
/// logs a warning. Call [`close`](KafkaProducer::close) to wait longer and to get the result.
///
/// # Blocking
/// Up to 10 s, then up to 10 s for a running callback. Inside a callback, or any other code that the producer's thread
/// runs, the drop does not wait: the remaining records fail, and that thread closes the plug-ins after the callbacks of
/// these records. After a fork the drop does not wait either.
impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> Drop for KafkaProducer<K, V> {
    fn drop(&mut self) {
        match self.close_within(Some(DROP_TIMEOUT)) {
            // In a forked child the sender thread does not exist, and the parent's connections must not be touched.
            Ok(()) | Err(CloseError::Misuse(Misuse::Forked)) => {}
            Err(CloseError::Misuse(Misuse::InsideCallback)) => {
                warn!(
                    self.core.instance.log(),
                    "a producer was dropped inside one of its callbacks; its remaining records fail"
                );
                // `close` was refused before it did anything, so do its non-blocking part here.
                self.core.refuse_new_records();
                if self.begins_to_close_plugins() {
                    // The sender thread may still call interceptors for the batches that it aborts. So the sender
                    // thread closes the plug-ins, after the last of these calls.
                    let action = (self.closing)(&mut self.plugins);
                    self.thread.at_end(self.core.instance.log(), action);
                }
                self.thread.abandon();
            }
            Err(error) => warn!(
                self.core.instance.log(),
                "a producer was dropped without being closed: {error}"
            ),
        }
        // Destructors of plug-ins are user code: run here, with panics contained, not as fields of `self`.
        self.plugins.take().drop_contained();
    }
}

/// Close timeout of a dropped producer.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);

impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> fmt::Debug for KafkaProducer<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaProducer")
            .field("client_id", &self.core.config.client_id())
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}
