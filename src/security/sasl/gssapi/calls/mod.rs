//! Calls of the Kerberos library on helper threads, since the library may wait for a KDC: it gives up after half a
//! minute, or never, if the KDC has accepted a TCP connection and does not answer.
//!
//! Calls that may ask a KDC run one at a time in the process. Several at once would all ask for the same ticket, and
//! older versions of the library read a ticket cache while another thread is filling it.

mod turns;

use std::sync::Arc;

pub(super) use self::turns::KdcTurns;
use self::turns::{KdcTurn, exhausted};
use super::context::{GssContext, GssFailure, GssFailureKind, GssStep};
use crate::clock::{Deadline, Instant};
use crate::security::sasl::dependencies::SaslDependencies;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, Rank};

/// A context after a step.
pub(super) struct SteppedContext {
    pub(super) context: Box<dyn GssContext>,
    pub(super) step: GssStep,
}

pub(super) type StepOutcome = Result<SteppedContext, GssFailure>;

/// The outcome of a call, which a helper thread stores.
pub(super) struct PendingStep(Arc<Mutex<Option<StepOutcome>>>);

impl PendingStep {
    /// The outcome, once; `None` before the call has ended.
    pub(super) fn take(&self) -> Option<StepOutcome> {
        self.0.lock().take()
    }
}

/// The state of a call that may ask a KDC.
pub(super) enum KdcCall {
    /// It has started. Its end wakes the poller.
    Started(PendingStep),
    /// It has not started, since another one is running. The other's end wakes the poller; after this time the other
    /// counts as hung, and the call may start.
    Waits(Deadline),
}

/// The calls of one producer.
///
/// # Threads
/// The sender thread starts calls; helper threads run them, and store the outcomes.
pub(super) struct KdcCalls {
    dependencies: SaslDependencies,
    turns: Arc<KdcTurns>,
    has_succeeded: AtomicBool,
}

impl KdcCalls {
    pub(super) fn new(dependencies: SaslDependencies, turns: Arc<KdcTurns>) -> Arc<Self> {
        turns.add_wake(&dependencies.wake);
        Arc::new(Self {
            dependencies,
            turns,
            has_succeeded: AtomicBool::new(false),
        })
    }

    /// Starts a call that may ask a KDC, unless another one is running in this process.
    ///
    /// # Errors
    /// No thread could be started, or too many calls hang.
    pub(super) fn begin(
        self: &Arc<Self>,
        now: Instant,
        call: impl FnOnce() -> StepOutcome + Send + 'static,
    ) -> Result<KdcCall, String> {
        match self.turns.take(&self.dependencies.log) {
            KdcTurn::Granted(id) => self.run(Some(id), call).map(KdcCall::Started),
            KdcTurn::Awaited(left) => Ok(KdcCall::Waits(Deadline::after(now, left))),
            KdcTurn::Exhausted => Err(exhausted()),
        }
    }

    /// Starts a call that asks no KDC, and needs no turn.
    ///
    /// # Errors
    /// Why no thread could be started.
    pub(super) fn begin_local(
        self: &Arc<Self>,
        call: impl FnOnce() -> StepOutcome + Send + 'static,
    ) -> Result<PendingStep, String> {
        self.run(None, call)
    }

    /// Whether a call of this producer has ever got a ticket.
    pub(super) fn has_succeeded(&self) -> bool {
        self.has_succeeded.load(Ordering::Acquire)
    }

    fn run(
        self: &Arc<Self>,
        id: Option<u64>,
        call: impl FnOnce() -> StepOutcome + Send + 'static,
    ) -> Result<PendingStep, String> {
        let outcome = Arc::new(Mutex::new(Rank::LEAF, None));
        let running = RunningCall {
            calls: Arc::clone(self),
            id,
            shared: Arc::clone(&outcome),
            outcome: None,
        };
        // Work that is dropped without a run drops the call, which gives its turn back.
        let work = move || running.end(call());
        (self.dependencies.run)(Box::new(work)).map_err(|error| {
            format!("no thread could be started for the Kerberos library: {error}")
        })?;
        Ok(PendingStep(outcome))
    }
}

/// A call on its helper thread. Dropping it stores the outcome, gives the turn back and wakes the poller; also if the
/// call panics, or is never run.
struct RunningCall {
    calls: Arc<KdcCalls>,
    /// `None` for a call without a turn.
    id: Option<u64>,
    shared: Arc<Mutex<Option<StepOutcome>>>,
    outcome: Option<StepOutcome>,
}

impl RunningCall {
    fn end(mut self, outcome: StepOutcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| {
            Err(GssFailure {
                kind: GssFailureKind::Transient,
                text: "the call of the Kerberos library did not return".to_owned(),
            })
        });
        if outcome.is_ok() {
            self.calls.has_succeeded.store(true, Ordering::Release);
        }
        *self.shared.lock() = Some(outcome);
        match self.id {
            // Wakes this producer too.
            Some(id) => self.calls.turns.give_back(id),
            None => self.calls.dependencies.wake.wake(),
        }
    }
}

#[cfg(test)]
mod tests;
