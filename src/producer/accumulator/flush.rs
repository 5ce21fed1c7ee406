//! Sending everything that is in batches, and waiting for it.

use std::sync::Arc;
use std::time::Duration;

use super::RecordAccumulator;
use crate::error::{FlushError, Misuse};
use crate::planted::planted;
use crate::producer::produce_request_result::ProduceRequestResult;
use crate::producer::waiting::{BlockingCall, Check, Step, Stopwatch, Wait};
use crate::sync::atomic::{AtomicUsize, Ordering};

/// A flush as steps. While it lasts, batches do not linger; the batches that it waits for are those that were
/// incomplete when it was first stepped. A flush whose time is up leaves them to the sender, and batches do not
/// linger until they have ended.
pub(crate) struct Flush<'a> {
    accumulator: &'a RecordAccumulator,
    time: Stopwatch,
    batches: Option<Batches<'a>>,
}

/// What a flush waits for.
struct Batches<'a> {
    accumulator: &'a RecordAccumulator,
    /// Above the numbers of all of them.
    below: u64,
    _flushing: Flushing<'a>,
    results: Vec<Arc<ProduceRequestResult>>,
    /// As many of them, from the first on, have ended.
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
    /// What it came to in another step, if it is over: the number of batches that are left.
    pub(crate) fn stepped(&mut self) -> Option<Result<(), usize>> {
        let outcome = self.step().done()?;
        Some(outcome.map_err(|error| match error {
            FlushError::TimedOut { batches } => batches,
            FlushError::Misuse(_) => unreachable!("a step does not ask"),
        }))
    }
}

impl<'a> Batches<'a> {
    fn of(accumulator: &'a RecordAccumulator) -> Self {
        if planted!(FlushCountsLate) {
            accumulator.waker.wake();
        }
        let flushing = Flushing::begin(&accumulator.flushes);
        let (results, below) = {
            let incomplete = accumulator.incomplete.lock();
            let last = incomplete.last_key_value();
            let below = last.map_or(0, |(id, _)| id.opened() + 1);
            (incomplete.values().cloned().collect::<Vec<_>>(), below)
        };
        let wakes = !planted!(FlushWakesNobody | FlushCountsLate);
        if !results.is_empty() && wakes {
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

    /// What of it has not ended and is to be waited for next.
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

    fn left(&self) -> usize {
        let left = self.results.iter().skip(self.done);
        left.filter(|result| !result.is_done()).count()
    }
}

impl Drop for Batches<'_> {
    fn drop(&mut self) {
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
    /// Batches below this number are to be sent without waiting for `linger.ms`, though nobody waits for them.
    fn leave_to_sender(&self, below: u64) {
        self.left_by_flushes.fetch_max(below, Ordering::AcqRel);
    }

    /// Whether there are such batches.
    pub(super) fn has_left_by_flushes(&self) -> bool {
        let below = self.left_by_flushes.load(Ordering::Acquire);
        if below == 0 {
            return false;
        }
        let first = self.incomplete.lock().keys().next().map(|id| id.opened());
        if first.is_some_and(|first| first < below) {
            return true;
        }
        if planted!(FlushForgetsOthers) {
            self.left_by_flushes.store(0, Ordering::Release);
            return false;
        }
        // Unless another flush has left some meanwhile.
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
        let batches = self.batches.get_or_insert_with(|| Batches::of(accumulator));
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

/// Counts a flush while it lasts, also when the waiting thread panics.
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
