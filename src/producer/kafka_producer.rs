//! The producer as its users see it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::util::log::{info, warn};

use super::accumulator::Flush;
use super::close::{Close, ClosePlugins};
use super::core::{Core, Plugins};
use super::counters::ProducerSnapshot;
use super::future::FutureRecordMetadata;
use super::lifecycle::{LastAct, SenderThread};
use super::partitions_for::PartitionsFor;
use super::quick_send::send_quickly;
use super::record::ProducerRecord;
use super::record_metadata::RecordMetadata;
use super::send_attempt::{Progress, SendAttempt};
use super::thunks::{AnyCallback, NoCallback, UntakenCallback};
use super::try_send::{TrySendError, TrySendReason};
use super::user_code::check_depth;
use super::waiting::Latch;
use crate::config::ProducerConfig;
use crate::error::{CloseError, FlushError, MetadataError, Misuse, ProduceError, SendError};
use crate::record::header::Headers;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::types::PartitionInfo;

/// A Kafka producer: shared by reference between any number of threads, none of them asynchronous.
///
/// Records go into batches, one open batch per partition, and one thread of the producer's own sends
/// them. [`send`](Self::send) returns as soon as its record is in a batch; the handle it returns tells
/// the record's fate.
///
/// `K` and `V` are the types of keys and values; unsized ones are natural: a
/// `KafkaProducer<str, [u8]>` sends borrowed strings and bytes without copying them first.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use kafka_producer::testing::TestCluster;
/// use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};
///
/// let cluster = TestCluster::builder().topic("greetings", 3).start()?;
/// let config =
///     ProducerConfig::builder().bootstrap_servers([cluster.bootstrap_servers()]).build()?;
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
/// Callbacks, wakers, interceptors, serializers, partitioners and cluster listeners all have the same rules,
/// whichever thread they run on. None of the producer's locks is held. Calls that would wait for the producer are
/// refused inside them with [`Misuse::InsideCallback`]: `flush`, `close`, a future's `get` whose answer is not there
/// yet, a `send` that finds no memory or does not know its topic. A `send` that need not wait is taken. The last
/// handle of the producer may be dropped there: what is left is then given up and told so. A panic ends with
/// the code that panicked: it is logged, or fails the call to `send` that a serializer or partitioner was needed
/// for. In a program that is built with `panic=abort` a panic cannot be contained and ends the process.
///
/// Waiting for *another* producer there is not refused. Two producers whose callbacks wait for each other stand still
/// together, and `delivery.timeout.ms` of neither ends that: hand such work to another thread.
///
/// # Fork
/// A process that was forked after the producer was built has no thread that sends: calls that would wait are refused
/// with [`Misuse::Forked`]. Build a producer after the fork. As with any program that has threads, locks that other threads
/// hold at the moment of the fork stay held in the child, so calls on the parent's producer may then stand still: fork
/// while no other thread is in a call. A callback that forks must end the child (`exec`, `_exit`) and not return in it: the
/// child would go on as a second thread on the parent's connections.
///
/// # Kafka
/// `org.apache.kafka.clients.producer.KafkaProducer`.
pub struct KafkaProducer<K: ?Sized + ToOwned, V: ?Sized + ToOwned> {
    core: Core,
    plugins: Plugins<K, V>,
    thread: SenderThread,
    plugins_closing: AtomicBool,
    /// Set when they are closed.
    plugins_closed: Latch<()>,
    /// Makes of the plug-ins what closes them. That they can be sent elsewhere, types of keys and values
    /// included, is known only where the producer is built.
    closing: fn(&mut Plugins<K, V>) -> LastAct,
}

impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> KafkaProducer<K, V> {
    pub(super) fn assemble(core: Core, plugins: Plugins<K, V>, thread: SenderThread) -> Self
    where
        K: 'static,
        V: 'static,
    {
        Self {
            core,
            plugins,
            thread,
            plugins_closing: AtomicBool::new(false),
            plugins_closed: Latch::new(),
            closing: |plugins| {
                let plugins = plugins.take();
                Box::new(move || {
                    // What is wrong goes to the log: nobody is left to be told.
                    let _ = plugins.close();
                    plugins.let_go();
                })
            },
        }
    }

    /// Puts a record into a batch and returns the handle that tells its fate.
    ///
    /// # Errors
    /// When the record was not taken because of the call itself: the producer is closed, a serializer
    /// or the partitioner failed. What goes wrong with the record otherwise, at once (the topic cannot
    /// be found, the record is too large, no memory) or later, is told by the future.
    ///
    /// In a process forked after the producer was built nothing is sent: a record that needs a new batch is
    /// refused with [`Misuse::Forked`]. One that still fits into a batch open since before the fork is
    /// taken, and its future says [`Misuse`](crate::ProduceErrorKind::Misuse) when it is waited for.
    ///
    /// # Blocking
    /// Up to `max.block.ms` in all, for a topic that is not known yet and for memory when
    /// `buffer.memory` is used up; else not at all. Inside a callback it does not wait but is refused.
    ///
    /// # Threads
    /// Any, at the same time. Takes one lock: that of the partition's queue.
    ///
    /// # Kafka
    /// `KafkaProducer#send`.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as `send_calling`")]
    pub fn send(
        &self,
        record: ProducerRecord<'_, K, V>,
    ) -> Result<FutureRecordMetadata, SendError> {
        self.send_calling(record, None::<&mut NoCallback>)
    }

    /// As [`send`](Self::send), and calls `callback` once with the record's fate, which is lent to it: what is to
    /// be kept, it clones.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::TestCluster;
    /// # use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};
    /// # let cluster = TestCluster::builder().topic("greetings", 3).start()?;
    /// # let config =
    /// #     ProducerConfig::builder().bootstrap_servers([cluster.bootstrap_servers()]).build()?;
    /// use kafka_producer::{ProduceError, RecordMetadata};
    ///
    /// # let producer = KafkaProducer::<str, str>::new(config)?;
    /// let record = ProducerRecord::new("greetings", "hello");
    /// let future = producer.send_with_callback(record, |fate| match fate {
    ///     Ok(metadata) => println!("written to {metadata}"),
    ///     Err(error) => eprintln!("lost: {error}"),
    /// })?;
    /// # future.get()?;
    ///
    /// // A function will do as well. A closure that is not written where it is passed has to name its argument's type.
    /// let callback = |fate: Result<&RecordMetadata, &ProduceError>| assert!(fate.is_ok());
    /// # let future =
    /// producer.send_with_callback(ProducerRecord::new("greetings", "bye"), callback)?;
    /// # future.get()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The callbacks of a batch run in the order in which its records were sent, and batches of a partition
    /// have theirs run in the order in which they end. While all are written that is the order of
    /// sending; a batch that fails, say because its time is over, while an earlier one is being tried
    /// again ends before that one. A callback that panics is reported in the log.
    ///
    /// # Errors
    /// As [`send`](Self::send); the callback is dropped without being called then.
    ///
    /// # Blocking
    /// As [`send`](Self::send).
    ///
    /// # Threads
    /// The callback runs on the producer's thread; for a record that fails at once on the caller's,
    /// before this returns.
    ///
    /// # Kafka
    /// `KafkaProducer#send(ProducerRecord, Callback)`. Differs: what is told is either metadata or an error, which
    /// names topic and partition. `close` inside a callback is refused, where Java's acts as `close(0)`.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as `send_calling`")]
    pub fn send_with_callback(
        &self,
        record: ProducerRecord<'_, K, V>,
        callback: impl FnOnce(Result<&RecordMetadata, &ProduceError>) + Send + 'static,
    ) -> Result<FutureRecordMetadata, SendError> {
        self.send_calling(record, Some(&mut Some(callback)))
    }

    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "small, and in the caller's own code a record that borrows all is not even built"
    )]
    fn send_calling<C: UntakenCallback + 'static>(
        &self,
        record: ProducerRecord<'_, K, V>,
        mut callback: Option<&mut C>,
    ) -> Result<FutureRecordMetadata, SendError> {
        let quick = send_quickly(&self.core, &self.plugins, &record, callback.as_deref_mut());
        if let Some(appended) = quick {
            if record.owns_nothing() {
                std::mem::forget(record);
            }
            return Ok(FutureRecordMetadata::pending(appended));
        }
        let callback = callback.map(|callback| callback as &mut AnyCallback);
        match self.send_in_steps(record, callback) {
            Ok(future) => Ok(future),
            Err(error) => Err(*error),
        }
    }

    /// The box makes it another type than `send` returns: a result that is written in memory by a call, even
    /// one that is hardly ever made, would keep that of the quick way in memory as well.
    #[cold]
    fn send_in_steps(
        &self,
        mut record: ProducerRecord<'_, K, V>,
        callback: Option<&mut AnyCallback>,
    ) -> Result<FutureRecordMetadata, Box<SendError>> {
        record = self.intercept(record)?;
        let headers = std::mem::take(&mut record.headers);
        let mut call = self.send_call(&record, headers, callback);
        self.core.driver().run(&mut call).map_err(Box::new)
    }

    /// What comes before the steps of a `send`.
    pub(crate) fn intercept<'a>(
        &self,
        record: ProducerRecord<'a, K, V>,
    ) -> Result<ProducerRecord<'a, K, V>, SendError> {
        check_depth().map_err(SendError::Misuse)?;
        if self.plugins.interceptors.is_empty() {
            return Ok(record);
        }
        Ok(self.plugins.interceptors.on_send(record))
    }

    /// The quick way of a `send`, if it is one for this record.
    #[cfg(all(feature = "testing", feature = "_internals"))]
    pub(crate) fn send_at_once<C: UntakenCallback + 'static>(
        &self,
        record: &ProducerRecord<'_, K, V>,
        callback: Option<&mut C>,
    ) -> Option<FutureRecordMetadata> {
        let quick = send_quickly(&self.core, &self.plugins, record, callback);
        quick.map(FutureRecordMetadata::pending)
    }

    /// [`send`](Self::send) as steps, after interceptors; `headers` are the record's own.
    pub(crate) fn send_call<'r, 'a>(
        &'r self,
        record: &'r ProducerRecord<'a, K, V>,
        headers: Headers,
        callback: Option<&'r mut AnyCallback>,
    ) -> SendAttempt<'r, 'a, K, V> {
        SendAttempt::new(&self.core, &self.plugins, record, headers, callback)
    }

    /// As [`send`](Self::send), but never waits: a record that cannot be taken at once comes back.
    ///
    /// A topic that is not known yet is asked for, so that a later attempt may succeed. If the last answer of
    /// the brokers was that they have no such topic or partition, or refuse it, the reason is the error that
    /// says so; it is asked for again all the same.
    ///
    /// # Errors
    /// The record, as it was before interceptors, and why it was not taken. After a fork as
    /// [`send`](Self::send): a record that needs a new batch comes back with [`Misuse::Forked`], and the future
    /// of one that is taken says so.
    ///
    /// # Blocking
    /// Never.
    #[allow(
        clippy::result_large_err,
        reason = "the record itself comes back: that is the point"
    )]
    pub fn try_send<'a>(
        &self,
        record: ProducerRecord<'a, K, V>,
    ) -> Result<FutureRecordMetadata, TrySendError<'a, K, V>> {
        if let Err(error) = record.validate() {
            return Err(TrySendError {
                record,
                reason: TrySendReason::Call(error.into()),
            });
        }
        let interceptors = &self.plugins.interceptors;
        if interceptors.is_empty() {
            let none = None::<&mut NoCallback>;
            if let Some(appended) = send_quickly(&self.core, &self.plugins, &record, none) {
                return Ok(FutureRecordMetadata::pending(appended));
            }
        }
        let outcome = match check_depth() {
            Err(misuse) => Err(TrySendReason::Call(SendError::Misuse(misuse))),
            Ok(()) if interceptors.is_empty() => self.try_once(&record),
            Ok(()) => self.try_once(&interceptors.on_send(record.clone())),
        };
        outcome.map_err(|reason| TrySendError { record, reason })
    }

    fn try_once(
        &self,
        record: &ProducerRecord<'_, K, V>,
    ) -> Result<FutureRecordMetadata, TrySendReason> {
        let mut attempt = self.send_call(record, record.headers.clone(), None);
        let reason = match attempt.advance() {
            Ok(Progress::Appended(future)) => return Ok(future),
            Ok(Progress::NeedsTopic) => match attempt.known_hindrance() {
                Some(refusal) => refusal.into(),
                None => TrySendReason::TopicNotKnown,
            },
            Ok(Progress::NeedsMemory) => TrySendReason::MemoryFull,
            Err(refusal) => refusal.into(),
        };
        attempt.leave_line();
        let interceptors = &self.plugins.interceptors;
        if !interceptors.is_empty() {
            let error = reason.as_produce_error(&record.topic);
            interceptors.on_send_error(&record.topic, attempt.partition(), &error);
        }
        Err(reason)
    }

    /// Sends everything that is in batches now, without waiting for `linger.ms`, and waits until each
    /// of these records has been acknowledged or has failed.
    ///
    /// # Errors
    /// Inside a callback of the same producer, where it would wait for itself, and after a fork.
    ///
    /// # Blocking
    /// Until all are done; `delivery.timeout.ms` bounds that.
    ///
    /// # Kafka
    /// `KafkaProducer#flush`.
    pub fn flush(&self) -> Result<(), FlushError> {
        self.flush_within(None)
    }

    /// As [`flush`](Self::flush), but waits no longer than `timeout`.
    ///
    /// # Errors
    /// As [`flush`](Self::flush), and [`FlushError::TimedOut`] with the number of batches that were not
    /// done; they are sent all the same.
    ///
    /// # Blocking
    /// Up to `timeout`.
    pub fn flush_timeout(&self, timeout: Duration) -> Result<(), FlushError> {
        self.flush_within(Some(timeout))
    }

    fn flush_within(&self, timeout: Option<Duration>) -> Result<(), FlushError> {
        self.core.driver().run(&mut self.flush_call(timeout))
    }

    /// [`flush`](Self::flush), or with a timeout [`flush_timeout`](Self::flush_timeout), as steps.
    pub(crate) fn flush_call(&self, timeout: Option<Duration>) -> Flush<'_> {
        self.core.accumulator.flush(timeout)
    }

    /// The partitions of a topic, by number, with their leaders.
    ///
    /// # Errors
    /// When the topic is not found within `max.block.ms`, is refused, or the producer is closed.
    ///
    /// # Blocking
    /// Up to `max.block.ms` for a topic that is not known yet.
    ///
    /// # Kafka
    /// `KafkaProducer#partitionsFor`.
    pub fn partitions_for(&self, topic: &str) -> Result<Vec<PartitionInfo>, MetadataError> {
        self.core.driver().run(&mut self.partitions_for_call(topic))
    }

    /// [`partitions_for`](Self::partitions_for) as steps.
    pub(crate) fn partitions_for_call(&self, topic: &str) -> PartitionsFor<'_> {
        PartitionsFor::new(&self.core, topic)
    }

    /// Sends what is left and ends the producer. Records sent from now on are refused.
    ///
    /// May be called more than once, and while other threads send.
    ///
    /// # Errors
    /// What could not be finished; the producer is closed all the same. Inside a callback of the same
    /// producer the call is refused and nothing is closed.
    ///
    /// # Blocking
    /// Until everything is acknowledged or has failed; `delivery.timeout.ms` bounds that.
    ///
    /// # Kafka
    /// `KafkaProducer#close`.
    pub fn close(&self) -> Result<(), CloseError> {
        self.close_within(None)
    }

    /// As [`close`](Self::close), but gives up what is not delivered after `timeout`; zero gives up at
    /// once. The futures of such records tell whether they may have been written.
    ///
    /// # Errors
    /// As [`close`](Self::close), and [`CloseError::Undelivered`] with how many records were given up.
    ///
    /// # Blocking
    /// Up to `timeout`, and for as long as a callback that is running, or the compression of a batch, takes (10 s
    /// at most). Then for as long as your code takes: interceptors, serializers and the partitioner being closed, by
    /// whichever thread, and what callbacks have left in thread-locals of the producer's thread.
    pub fn close_timeout(&self, timeout: Duration) -> Result<(), CloseError> {
        self.close_within(Some(timeout))
    }

    fn close_within(&self, timeout: Option<Duration>) -> Result<(), CloseError> {
        let closed = self.core.driver().run(&mut self.close_call(timeout));
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

    /// Closes interceptors, serializers and partitioner, once; the first failure is told (KP-54).
    fn close_plugins(&self) -> Result<(), Arc<str>> {
        if !self.begins_to_close_plugins() {
            return Ok(());
        }
        let closed = self.plugins.close();
        self.plugins_closed.set(());
        closed
    }

    fn begins_to_close_plugins(&self) -> bool {
        if self.plugins_closing.swap(true, Ordering::AcqRel) {
            return false;
        }
        info!(self.core.instance.log(), "closed");
        true
    }

    /// How the producer stands, in plain counters.
    pub fn snapshot(&self) -> ProducerSnapshot {
        let pool = self.core.accumulator.pool();
        let mut snapshot = self.core.counters.snapshot();
        snapshot.batches_queued = (self.core.accumulator.incomplete_count() as u64)
            .saturating_sub(snapshot.batches_in_flight);
        snapshot.memory_total_bytes = pool.total_bytes() as u64;
        snapshot.memory_free_bytes = pool.available_bytes() as u64;
        snapshot.threads_waiting_for_memory = pool.waiting() as u64;
        snapshot
    }

    /// Makes the producer take itself for another one, and returns what it was.
    #[cfg(test)]
    pub(super) fn replace_id(
        &mut self,
        id: super::callback_scope::ProducerId,
    ) -> super::callback_scope::ProducerId {
        let now = &self.core.instance;
        let other = super::instance::Instance::new(id, Arc::clone(now.clock()), now.log().clone());
        std::mem::replace(&mut self.core.instance, other).id()
    }

    /// The configuration the producer was built with.
    pub fn config(&self) -> &ProducerConfig {
        &self.core.config
    }
}

/// Closes the producer if that was not done: sends what is left for up to 10 s, then gives it up and
/// says so in the log. Call [`close`](KafkaProducer::close) to wait longer and to learn how it went.
///
/// # Blocking
/// Up to 10 s, and for as long as a callback that is running takes (10 s at most). Not at all inside a
/// callback or anything else that the producer's thread runs: there what is left is given up, and
/// the plug-ins are closed by that thread when all of it has been told. Nor after a fork.
impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> Drop for KafkaProducer<K, V> {
    fn drop(&mut self) {
        match self.close_within(Some(DROP_TIMEOUT)) {
            Ok(()) | Err(CloseError::Misuse(Misuse::Forked)) => {}
            Err(CloseError::Misuse(Misuse::InsideCallback)) => {
                warn!(
                    self.core.instance.log(),
                    "a producer was dropped inside one of its callbacks; what is left is given up"
                );
                self.core.close_doors();
                if self.begins_to_close_plugins() {
                    let act = (self.closing)(&mut self.plugins);
                    self.thread.at_end(self.core.instance.log(), act);
                }
                self.thread.abandon();
            }
            Err(error) => warn!(
                self.core.instance.log(),
                "a producer was dropped without being closed: {error}"
            ),
        }
        self.plugins.take().let_go();
    }
}

/// How long a dropped producer goes on sending.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);

impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> fmt::Debug for KafkaProducer<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaProducer")
            .field("client_id", &self.core.config.client_id())
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}
