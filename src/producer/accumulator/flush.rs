//! Flush: sending all incomplete batches without linger, and waiting for their completion.

use std::sync::Arc;
use std::time::Duration;

use super::RecordAccumulator;
use crate::error::{FlushError, Misuse};
use crate::planted::planted;
use crate::producer::batch::BatchId;
use crate::producer::produce_request_result::ProduceRequestResult;
use crate::producer::waiting::{BlockingCall, Check, Step, Stopwatch, Wait};
use crate::sync::atomic::{AtomicUsize, Ordering};

/// A flush as a [`BlockingCall`]. It waits for the batches that were incomplete at its first step; while it is in
/// progress, no batch lingers. After a flush that timed out, no batch lingers until the batches that it waited for have
/// completed.
pub(crate) struct Flush<'a> {
    accumulator: &'a RecordAccumulator,
    time: Stopwatch,
    batches: Option<AwaitedBatches<'a>>,
}

/// The batches that a flush waits for.
struct AwaitedBatches<'a> {
    accumulator: &'a RecordAccumulator,
    /// Exclusive upper bound of the batches' numbers.
    below: u64,
    _flushing: Flushing<'a>,
    results: Vec<Arc<ProduceRequestResult>>,
    /// Length of the prefix of `results` that is known to be complete.
    done: usize,
}

impl<'a> Flush<'a> {
    pub(super) fn new(accumulator: &'a RecordAccumulator, timeout: Option<Duration>) -> Self {
        Self {
            accumulator,
            time: Stopwatch::new(timeout),
            batches: None,
        }
    }
}

#[cfg(test)]
impl Flush<'_> {
    /// Runs one step. Returns the result if the flush is over; the error is the number of incomplete batches.
    pub(crate) fn stepped(&mut self) -> Option<Result<(), usize>> {
        let outcome = self.step().done()?;
        Some(outcome.map_err(|error| match error {
            FlushError::TimedOut { batches } => batches,
            FlushError::Misuse(_) => unreachable!("misuse is refused before the first step"),
        }))
    }
}

impl<'a> AwaitedBatches<'a> {
    fn of(accumulator: &'a RecordAccumulator) -> Self {
        if planted!(FlushCountsLate) {
            accumulator.waker.wake();
        }
        // The flush is counted before the incomplete batches are collected: a batch that is opened afterwards does not
        // linger.
        let flushing = Flushing::begin(&accumulator.flushes);
        let (results, below) = {
            let incomplete = accumulator.incomplete.lock();
            let below = incomplete.last().map_or(0, |id| id.opened() + 1);
            (incomplete.results().cloned().collect::<Vec<_>>(), below)
        };
        let wakes = !planted!(FlushWakesNobody | FlushCountsLate);
        // The sender may be asleep until the end of a linger that no longer counts. It is not if an earlier flush of
        // the same batches has timed out: that flush woke it, and the batches have not lingered since.
        let do_linger = accumulator.left_by_flushes.load(Ordering::Acquire) < below;
        if !results.is_empty() && do_linger && wakes {
            accumulator.waker.wake();
        }
        Self {
            accumulator,
            below,
            _flushing: flushing,
            results,
            done: 0,
        }
    }

    /// The first result that is not complete, to wait for next.
    fn undone(&mut self) -> Option<&ProduceRequestResult> {
        let results = &self.results[..];
        while let Some(result) = results.get(self.done) {
            match result.undone() {
                Some(undone) => return Some(undone),
                None => self.done += 1,
            }
        }
        None
    }

    /// The number of batches that are not complete.
    fn left(&self) -> usize {
        let left = self.results.iter().skip(self.done);
        left.filter(|result| !result.is_done()).count()
    }
}

impl Drop for AwaitedBatches<'_> {
    fn drop(&mut self) {
        // Runs before the field `_flushing` is dropped, so that the batches do not linger again in between.
        if self.undone().is_some() && !planted!(FlushGivesBackToLinger) {
            if planted!(FlushLeavesLate) {
                let flushes = &self.accumulator.flushes;
                flushes.fetch_sub(1, Ordering::AcqRel);
                self.accumulator.leave_to_sender(self.below);
                flushes.fetch_add(1, Ordering::AcqRel);
            }
            self.accumulator.leave_to_sender(self.below);
        }
    }
}

impl RecordAccumulator {
    /// Marks the batches below this number as to be sent without `linger.ms`, after their flush has timed out.
    fn leave_to_sender(&self, below: u64) {
        self.left_by_flushes.fetch_max(below, Ordering::AcqRel);
    }

    /// Whether batches of a flush that timed out are still incomplete. Clears the mark when none is left.
    pub(super) fn has_left_by_flushes(&self) -> bool {
        let below = self.left_by_flushes.load(Ordering::Acquire);
        if below == 0 {
            return false;
        }
        // Ids ascend in the order of opening: the oldest incomplete batch decides for all.
        let first = self.incomplete.lock().first().map(BatchId::opened);
        if first.is_some_and(|first| first < below) {
            return true;
        }
        if planted!(FlushForgetsOthers) {
            self.left_by_flushes.store(0, Ordering::Release);
            return false;
        }
        // Compare-and-swap: another flush may have raised the mark meanwhile, and its batches must not be forgotten.
        let forgotten =
            self.left_by_flushes
                .compare_exchange(below, 0, Ordering::AcqRel, Ordering::Acquire);
        forgotten.is_err()
    }
}

impl BlockingCall for Flush<'_> {
    type Output = Result<(), FlushError>;

    const CHECK: Check = Check::First;

    fn step(&mut self) -> Step<'_, Self::Output> {
        let clock = &**self.accumulator.instance.clock();
        self.time.start(clock);
        let is_over = self.time.is_over(clock);
        let accumulator = self.accumulator;
        // The batches are collected even if the timeout is zero: such a flush still makes the sender send everything.
        let batches = self
            .batches
            .get_or_insert_with(|| AwaitedBatches::of(accumulator));
        if is_over {
            return Step::Done(match batches.left() {
                0 => Ok(()),
                batches => Err(FlushError::TimedOut { batches }),
            });
        }
        let until = self.time.deadline();
        match batches.undone() {
            None => Step::Done(Ok(())),
            Some(event) => Step::Wait(Wait { event, until }),
        }
    }

    fn refuse(&mut self, why: Misuse) -> Self::Output {
        Err(FlushError::Misuse(why))
    }
}

/// Guard that counts a flush as in progress until it is dropped, even if the waiting thread panics.
pub(super) struct Flushing<'a>(&'a AtomicUsize);

impl<'a> Flushing<'a> {
    pub(super) fn begin(flushes: &'a AtomicUsize) -> Self {
        flushes.fetch_add(1, Ordering::AcqRel);
        Self(flushes)
    }
}

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
