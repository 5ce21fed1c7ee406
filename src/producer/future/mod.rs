//! The future that `send` returns.

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::produce_request_result::{BatchOutcome, FutureId, Holder, ProduceRequestResult};
use super::record_metadata::{RecordFacts, RecordMetadata};
use super::thunks::RecordResult;
use super::waiting::{BlockingCall, Check, Driver, Step, Stopwatch, Wait};
use crate::error::{Delivery, Misuse, ProduceError, ProduceErrorKind, ProduceErrorParts};
use crate::record::builder::RecordParts;

/// The future result of a record that was sent.
///
/// The future is small, and has no allocation of its own. It may be dropped: the record is sent all the same, and the
/// waker of a task that waited for the future is dropped at once. Wait with [`get`](Self::get), or `.await` it under
/// any executor: it is a [`Future`] that needs no runtime of its own.
///
/// A clone is another future of the same record: each gets the result, each may be awaited by a task of its own, and
/// each may be dropped. Cloning allocates nothing.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use kafka_producer::testing::MockProducer;
/// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
/// use std::time::Duration;
/// use kafka_producer::{ProduceErrorKind, ProducerRecord};
///
/// let future = producer.send(ProducerRecord::new("orders", "tea"))?;
/// match future.get_timeout(Duration::from_millis(100)) {
///     Ok(metadata) => println!("written to {metadata}"),
///     Err(error) if *error.kind() == ProduceErrorKind::Pending => println!("no result yet"),
///     Err(error) => eprintln!("{error}"),
/// }
/// // In a task: `future.await`.
/// # Ok(())
/// # }
/// ```
///
/// # Kafka
/// `FutureRecordMetadata`, and for a record that failed at once `KafkaProducer.FutureFailure`.
#[must_use = "a record's fate is known only to its future and its callback"]
#[derive(Clone)]
pub struct FutureRecordMetadata(FutureState);

#[derive(Clone)]
enum FutureState {
    Pending(RecordInBatch),
    /// Failed before it was in any batch (KP-24, KP-32).
    Failed(ProduceError),
}

/// The future of a record that was sent with a callback: a [`FutureRecordMetadata`] that need not be kept, since the
/// callback gets the result as well.
#[derive(Clone)]
pub struct CallbackFuture(FutureRecordMetadata);

impl CallbackFuture {
    #[inline]
    pub(crate) fn new(future: FutureRecordMetadata) -> Self {
        Self(future)
    }
}

impl Deref for CallbackFuture {
    type Target = FutureRecordMetadata;

    fn deref(&self) -> &FutureRecordMetadata {
        &self.0
    }
}

impl Borrow<FutureRecordMetadata> for CallbackFuture {
    fn borrow(&self) -> &FutureRecordMetadata {
        &self.0
    }
}

/// For [`wait_all`](FutureRecordMetadata::wait_all), which takes futures and references to them.
impl Borrow<FutureRecordMetadata> for &CallbackFuture {
    fn borrow(&self) -> &FutureRecordMetadata {
        &self.0
    }
}

impl From<CallbackFuture> for FutureRecordMetadata {
    fn from(future: CallbackFuture) -> Self {
        future.0
    }
}

/// As [`FutureRecordMetadata`].
impl Future for CallbackFuture {
    type Output = <FutureRecordMetadata as Future>::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl fmt::Debug for CallbackFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallbackFuture").field(&self.0).finish()
    }
}

/// The batch and index of an appended record.
pub(crate) struct PlaceInBatch {
    pub(crate) result: Arc<ProduceRequestResult>,
    pub(crate) index: u32,
}

/// A record's batch and index, the number of the clone, and the facts for the record's metadata.
pub(crate) struct RecordInBatch {
    pub(crate) result: Arc<ProduceRequestResult>,
    pub(crate) id: FutureId,
    pub(crate) facts: RecordFacts,
}

impl RecordInBatch {
    #[inline]
    pub(crate) fn new(place: PlaceInBatch, record: &RecordParts<'_>) -> Self {
        Self {
            result: place.result,
            id: FutureId::first(place.index),
            facts: RecordFacts::new(record),
        }
    }

    /// The result that holds, or will hold, the record's outcome.
    fn holder(&self) -> Holder<'_> {
        self.result.holder(self.id.index())
    }

    /// The record's result, if it is complete and its callback has run.
    #[inline]
    fn answer_now(&self) -> Option<RecordResult> {
        let holder = self.holder();
        let outcome = holder.result.outcome()?;
        Some(self.answer(outcome, holder.index))
    }

    /// The record's result, from the outcome of its batch, or of its piece of a split batch.
    #[inline]
    fn answer(&self, outcome: &BatchOutcome, index: u32) -> RecordResult {
        let partition = self.result.topic_partition();
        outcome.answer(index, partition, self.facts)
    }

    fn misuse(&self, why: Misuse) -> ProduceError {
        self.error(ProduceErrorKind::Misuse, why.to_string())
    }

    fn error(&self, kind: ProduceErrorKind, message: String) -> ProduceError {
        let partition = self.result.topic_partition();
        ProduceErrorParts::new(
            kind,
            Delivery::MaybeWritten,
            Arc::clone(partition.shared_topic()),
            message,
        )
        .partition(Some(partition.partition()))
        .build()
    }
}

impl FutureRecordMetadata {
    #[inline]
    pub(crate) fn pending(record: RecordInBatch) -> Self {
        Self(FutureState::Pending(record))
    }

    pub(crate) fn failed(error: ProduceError) -> Self {
        Self(FutureState::Failed(error))
    }

    /// Waits until the record is acknowledged or has failed.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
    /// use kafka_producer::ProducerRecord;
    ///
    /// match producer.send(ProducerRecord::new("orders", "tea"))?.get() {
    ///     Ok(metadata) => println!("written to partition {}", metadata.partition()),
    ///     Err(error) if error.may_be_written() => eprintln!("check before sending again: {error}"),
    ///     Err(error) => eprintln!("not written: {error}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The reason why the record failed. [`ProduceErrorKind::Misuse`] inside a callback or interceptor of the same
    /// producer while the record is not complete, since waiting there would be a deadlock. The same error in a process
    /// forked after the producer was built, because the producer's thread does not exist there.
    ///
    /// # Blocking
    /// Until the record is acknowledged or has failed; `delivery.timeout.ms` bounds the wait, provided that your
    /// callbacks and other code that the producer runs return.
    #[inline]
    pub fn get(&self) -> Result<RecordMetadata, ProduceError> {
        self.wait(None)
    }

    /// Waits until the record is acknowledged or has failed, but no longer than `timeout`.
    ///
    /// # Errors
    /// As [`get`](Self::get), and [`ProduceErrorKind::Pending`] when `timeout` passed first: the record is not complete
    /// yet, and the call may be repeated.
    ///
    /// # Blocking
    /// Up to `timeout`.
    pub fn get_timeout(&self, timeout: Duration) -> Result<RecordMetadata, ProduceError> {
        self.wait(Some(timeout))
    }

    /// Waits for the results of many records, with one timeout for all. They are in the order of the futures.
    ///
    /// ```
    /// # let (producer, mock) = kafka_producer::testing::MockProducer::builder().topic("orders", 3).build().unwrap();
    /// # let producer: kafka_producer::KafkaProducer<str, str> = producer;
    /// use std::time::Duration;
    ///
    /// use kafka_producer::{FutureRecordMetadata, ProducerRecord};
    ///
    /// let first = producer.send(ProducerRecord::new("orders", "one"))?;
    /// let second = producer.send(ProducerRecord::new("orders", "two"))?;
    /// let results = FutureRecordMetadata::wait_all([&first, &second], Duration::from_secs(5));
    /// assert!(results.iter().all(Result::is_ok));
    /// # Ok::<(), kafka_producer::SendError>(())
    /// ```
    ///
    /// # Errors
    /// Each record has the error of [`get_timeout`](Self::get_timeout).
    ///
    /// # Blocking
    /// Up to `timeout`, after the iterator has ended.
    #[must_use = "each record has its own result"]
    pub fn wait_all<F: Borrow<Self>>(
        futures: impl IntoIterator<Item = F>,
        timeout: Duration,
    ) -> Vec<Result<RecordMetadata, ProduceError>> {
        // All at first: an iterator that sends the records must not wait for each before the next.
        let futures: Vec<F> = futures.into_iter().collect();
        let mut left = timeout;
        let wait = |future: &F| future.borrow().get_within(&mut left);
        futures.iter().map(wait).collect()
    }

    /// [`get_timeout`](Self::get_timeout) with the time that is `left`, from which the time that it waited is taken.
    pub(crate) fn get_within(&self, left: &mut Duration) -> RecordResult {
        let FutureState::Pending(record) = &self.0 else {
            return self.get();
        };
        let clock = record.result.instance().clock();
        let began = clock.now();
        let answer = self.get_timeout(*left);
        *left = left.saturating_sub(clock.now() - began);
        answer
    }

    /// Whether the record is acknowledged or has failed, and its callback has run.
    pub fn is_done(&self) -> bool {
        match &self.0 {
            FutureState::Pending(record) => record.holder().result.is_released(),
            FutureState::Failed(_) => true,
        }
    }

    #[inline]
    fn wait(&self, timeout: Option<Duration>) -> Result<RecordMetadata, ProduceError> {
        let record = match &self.0 {
            FutureState::Pending(record) => record,
            FutureState::Failed(error) => return Err(error.clone()),
        };
        match record.answer_now() {
            Some(answer) => answer,
            None => self.wait_for(record, timeout),
        }
    }

    #[cold]
    fn wait_for(&self, record: &RecordInBatch, timeout: Option<Duration>) -> RecordResult {
        let result = &record.result;
        let driver = Driver::new(&**result.instance().clock(), result.instance().id());
        driver.run(&mut self.get_call(timeout))
    }

    /// [`get`](Self::get), or with a timeout [`get_timeout`](Self::get_timeout), as a [`BlockingCall`].
    pub(crate) fn get_call(&self, timeout: Option<Duration>) -> Get<'_> {
        Get {
            future: self,
            timeout,
            time: Stopwatch::new(timeout),
        }
    }
}

/// [`FutureRecordMetadata::get`] as a [`BlockingCall`].
pub(crate) struct Get<'f> {
    future: &'f FutureRecordMetadata,
    timeout: Option<Duration>,
    time: Stopwatch,
}

impl Get<'_> {
    fn timed_out(&self, record: &RecordInBatch) -> RecordResult {
        // After a fork there is no sender thread, so the result would be pending for ever: misuse, not a timeout.
        if record.result.instance().id().is_forked() {
            return Err(record.misuse(Misuse::Forked));
        }
        let timeout = self.timeout.unwrap_or_default();
        let message = format!(
            "no answer within the {timeout:?} left of the call's timeout; the record is still under way"
        );
        Err(record.error(ProduceErrorKind::Pending, message))
    }
}

impl BlockingCall for Get<'_> {
    type Output = RecordResult;

    const CHECK: Check = Check::BeforeLongWait;

    fn step(&mut self) -> Step<'_, RecordResult> {
        let record = match &self.future.0 {
            FutureState::Pending(record) => record,
            FutureState::Failed(error) => return Step::Done(Err(error.clone())),
        };
        if let Some(answer) = record.answer_now() {
            return Step::Done(answer);
        }
        let clock = &**record.result.instance().clock();
        // The first step waits even with a timeout of zero: the driver checks for a callback or a fork before it
        // sleeps, and misuse takes precedence over the timeout.
        if !self.time.start(clock) && self.time.is_over(clock) {
            return Step::Done(self.timed_out(record));
        }
        Step::Wait(Wait {
            event: record.holder().result,
            until: self.time.deadline(),
        })
    }

    fn refuse(&mut self, why: Misuse) -> RecordResult {
        let record = match &self.future.0 {
            FutureState::Pending(record) => record,
            FutureState::Failed(error) => return Err(error.clone()),
        };
        let holder = record.holder();
        match (why, holder.result.published_outcome()) {
            // The batch is being completed right now: the outcome is published, though waiters are not released yet.
            (Misuse::InsideCallback, Some(outcome)) => record.answer(outcome, holder.index),
            _ => Err(record.misuse(why)),
        }
    }
}

/// Ready when the record is acknowledged or has failed. Registers the task's waker with the batch: no thread, timer
/// or runtime is involved.
///
/// The producer's thread calls the waker; calls that would wait for that thread are refused inside the waker, and a
/// panic of the waker is logged. The waker is dropped when the record is complete, the future is dropped, or another
/// task polls it.
///
/// In a process forked after the producer was built that thread does not exist. A future that is polled there before
/// its record is complete is ready at once with [`ProduceErrorKind::Misuse`], the error that
/// [`get`](FutureRecordMetadata::get) returns there. A task that was polled before the fork is never woken: poll it
/// again.
impl Future for FutureRecordMetadata {
    type Output = Result<RecordMetadata, ProduceError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let record = match &self.0 {
            FutureState::Pending(record) => record,
            FutureState::Failed(error) => return Poll::Ready(Err(error.clone())),
        };
        loop {
            if let Some(answer) = record.answer_now() {
                return Poll::Ready(answer);
            }
            // After a fork no thread would wake the task. The check is a system call, but few polls get here.
            if record.result.instance().id().is_forked() {
                return Poll::Ready(Err(record.misuse(Misuse::Forked)));
            }
            // `register` returns false if the latch opened in between, or the batch was split: the loop then reads the
            // result of the batch or of the piece.
            let holder = record.holder();
            let id = record.id.at(holder.index);
            if holder.result.register(id, context.waker()) {
                return Poll::Pending;
            }
        }
    }
}

impl Clone for RecordInBatch {
    fn clone(&self) -> Self {
        Self {
            result: Arc::clone(&self.result),
            id: self.result.new_clone(self.id),
            facts: self.facts,
        }
    }
}

/// Drops the waker of a task that waits for this future.
impl Drop for RecordInBatch {
    #[inline]
    fn drop(&mut self) {
        // The handle has no flag for a registered task: the flag would make it larger, and more expensive to move.
        let result: &ProduceRequestResult = &self.result;
        if result.has_tasks() {
            // The identity is passed by value: a pointer to the handle would force the handle out of registers.
            result.forget_task_of(self.id);
        }
    }
}

impl fmt::Debug for FutureRecordMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            FutureState::Pending(record) => f
                .debug_struct("FutureRecordMetadata")
                .field("partition", record.result.topic_partition())
                .field("index", &record.id.index())
                .field("done", &self.is_done())
                .finish(),
            FutureState::Failed(error) => {
                f.debug_tuple("FutureRecordMetadata").field(error).finish()
            }
        }
    }
}

#[cfg(test)]
mod tests;
