//! The handle that `send` returns.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::produce_request_result::{BatchOutcome, Holder, ProduceRequestResult};
use super::record_metadata::{RecordFacts, RecordMetadata};
use super::thunks::Answer;
use super::waiting::{BlockingCall, Check, Driver, Step, Stopwatch, Wait};
use crate::error::{Delivery, Misuse, ProduceError, ProduceErrorBuilder, ProduceErrorKind};
use crate::record::builder::RecordParts;

/// What will become of a record.
///
/// Small (no allocation of its own), may be dropped without harm: the record is sent all the same, and a task
/// that waited for it is let go of at once. Wait
/// with [`get`](Self::get), or `.await` it under any executor: it is a [`Future`] that needs no runtime
/// of its own.
///
/// # Kafka
/// `FutureRecordMetadata`, and for a record that failed at once `KafkaProducer.FutureFailure`.
#[must_use = "a record's fate is known only to its future and its callback"]
pub struct FutureRecordMetadata(State);

enum State {
    Pending(RecordInBatch),
    /// Failed before it was in any batch (KP-24, KP-32).
    Failed(ProduceError),
}

/// Where an append has put a record.
pub(crate) struct Place {
    pub(crate) result: Arc<ProduceRequestResult>,
    pub(crate) index: u32,
}

/// A record's place in its batch, and what its metadata needs besides.
pub(crate) struct RecordInBatch {
    pub(crate) result: Arc<ProduceRequestResult>,
    pub(crate) index: u32,
    pub(crate) facts: RecordFacts,
}

impl RecordInBatch {
    #[inline]
    pub(crate) fn new(place: Place, record: &RecordParts<'_>) -> Self {
        Self {
            result: place.result,
            index: place.index,
            facts: RecordFacts::new(record),
        }
    }

    /// Where the record's fate is, or will be.
    fn holder(&self) -> Holder<'_> {
        self.result.holder(self.index)
    }

    /// The record's fate, if it is known and its callback has run.
    #[inline]
    fn answer_now(&self) -> Option<Answer> {
        let holder = self.holder();
        let outcome = holder.result.outcome()?;
        Some(self.answer(outcome, holder.index))
    }

    /// What the outcome of the record's batch, or of a piece of it, means for the record at this place
    /// in it.
    #[inline]
    fn answer(&self, outcome: &BatchOutcome, index: u32) -> Answer {
        let partition = self.result.topic_partition();
        outcome.answer(index, partition, self.facts)
    }

    fn misuse(&self, why: Misuse) -> ProduceError {
        self.error(ProduceErrorKind::Misuse, why.to_string())
    }

    fn error(&self, kind: ProduceErrorKind, message: String) -> ProduceError {
        let partition = self.result.topic_partition();
        ProduceErrorBuilder::new(
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
        Self(State::Pending(record))
    }

    pub(crate) fn failed(error: ProduceError) -> Self {
        Self(State::Failed(error))
    }

    /// Waits until the record's fate is known.
    ///
    /// # Errors
    /// Why the record failed. Inside a callback or interceptor of the same producer, when the answer
    /// is not there yet: [`ProduceErrorKind::Misuse`], since waiting there would never end. The same in a
    /// process forked after the producer was built, where the thread that would bring the answer is missing.
    ///
    /// # Blocking
    /// Until the record is acknowledged or has failed; `delivery.timeout.ms` bounds that, as long as callbacks
    /// and other code of yours that the producer runs return.
    #[inline]
    pub fn get(&self) -> Result<RecordMetadata, ProduceError> {
        self.wait(None)
    }

    /// Waits until the record's fate is known, but no longer than `timeout`.
    ///
    /// # Errors
    /// As [`get`](Self::get), and [`ProduceErrorKind::Pending`] when `timeout` passed first: then the
    /// record's fate is still open and may be asked for again.
    ///
    /// # Blocking
    /// Up to `timeout`.
    pub fn get_timeout(&self, timeout: Duration) -> Result<RecordMetadata, ProduceError> {
        self.wait(Some(timeout))
    }

    /// Whether the record's fate is known and its callback has run.
    pub fn is_done(&self) -> bool {
        match &self.0 {
            State::Pending(record) => record.holder().result.is_released(),
            State::Failed(_) => true,
        }
    }

    #[inline]
    fn wait(&self, timeout: Option<Duration>) -> Result<RecordMetadata, ProduceError> {
        let record = match &self.0 {
            State::Pending(record) => record,
            State::Failed(error) => return Err(error.clone()),
        };
        match record.answer_now() {
            Some(answer) => answer,
            None => self.wait_for(record, timeout),
        }
    }

    #[cold]
    fn wait_for(&self, record: &RecordInBatch, timeout: Option<Duration>) -> Answer {
        let result = &record.result;
        let driver = Driver::new(&**result.instance().clock(), result.instance().id());
        driver.run(&mut self.get_call(timeout))
    }

    /// [`get`](Self::get), or with a timeout [`get_timeout`](Self::get_timeout), as steps.
    pub(crate) fn get_call(&self, timeout: Option<Duration>) -> Get<'_> {
        Get {
            future: self,
            timeout,
            time: Stopwatch::new(timeout),
        }
    }
}

/// Waiting for a record's fate, as steps.
pub(crate) struct Get<'f> {
    future: &'f FutureRecordMetadata,
    timeout: Option<Duration>,
    time: Stopwatch,
}

impl Get<'_> {
    fn timed_out(&self, record: &RecordInBatch) -> Answer {
        // No answer can come to a fork, however short the wait was.
        if record.result.instance().id().is_forked() {
            return Err(record.misuse(Misuse::Forked));
        }
        let timeout = self.timeout.unwrap_or_default();
        let message = format!("no answer within {timeout:?}; the record is still under way");
        Err(record.error(ProduceErrorKind::Pending, message))
    }
}

impl BlockingCall for Get<'_> {
    type Output = Answer;

    const CHECK: Check = Check::BeforeWaitingLong;

    fn step(&mut self) -> Step<'_, Answer> {
        let record = match &self.future.0 {
            State::Pending(record) => record,
            State::Failed(error) => return Step::Done(Err(error.clone())),
        };
        if let Some(answer) = record.answer_now() {
            return Step::Done(answer);
        }
        let clock = &**record.result.instance().clock();
        // Its first step waits even if there is no time: whether it may is asked first.
        if !self.time.start(clock) && self.time.is_over(clock) {
            return Step::Done(self.timed_out(record));
        }
        Step::Wait(Wait {
            event: record.holder().result,
            until: self.time.deadline(),
        })
    }

    fn refuse(&mut self, why: Misuse) -> Answer {
        let record = match &self.future.0 {
            State::Pending(record) => record,
            State::Failed(error) => return Err(error.clone()),
        };
        let holder = record.holder();
        match (why, holder.result.published_outcome()) {
            // Another record of a batch that is being completed right now has an answer already.
            (Misuse::InsideCallback, Some(outcome)) => record.answer(outcome, holder.index),
            _ => Err(record.misuse(why)),
        }
    }
}

/// Ready when the record's fate is known. Registers the task's waker with the batch: no thread, timer
/// or runtime is involved.
///
/// The waker is woken by the producer's thread, where calls that would wait for that thread are refused; a
/// panic of it is logged. It is let go of when the record's fate is known, the future is dropped, or
/// another task polls it.
///
/// In a process forked after the producer was built no such thread is there. A future that is polled there and
/// has no answer yet is ready at once with [`ProduceErrorKind::Misuse`], as [`get`](FutureRecordMetadata::get)
/// is. A task that was polled before the fork and waits since is woken by nobody: poll it again.
impl Future for FutureRecordMetadata {
    type Output = Result<RecordMetadata, ProduceError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let record = match &self.0 {
            State::Pending(record) => record,
            State::Failed(error) => return Poll::Ready(Err(error.clone())),
        };
        loop {
            if let Some(answer) = record.answer_now() {
                return Poll::Ready(answer);
            }
            // Before a task is registered that nobody would wake; polls that wait are few enough to ask.
            if record.result.instance().id().is_forked() {
                return Poll::Ready(Err(record.misuse(Misuse::Forked)));
            }
            let holder = record.holder();
            if holder.result.register(holder.index, context.waker()) {
                return Poll::Pending;
            }
        }
    }
}

/// Lets go of the task that waited, if one did.
impl Drop for RecordInBatch {
    #[inline]
    fn drop(&mut self) {
        // Whether one did is not noted in the handle: that would make it larger, or dearer to hand over.
        let result: &ProduceRequestResult = &self.result;
        if result.has_tasks() {
            // Nor is it said where the handle is: then it would have to be in memory.
            result.forget_task_of(self.index);
        }
    }
}

impl fmt::Debug for FutureRecordMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Pending(record) => f
                .debug_struct("FutureRecordMetadata")
                .field("partition", record.result.topic_partition())
                .field("index", &record.index)
                .field("done", &self.is_done())
                .finish(),
            State::Failed(error) => f.debug_tuple("FutureRecordMetadata").field(error).finish(),
        }
    }
}

#[cfg(test)]
mod tests;
