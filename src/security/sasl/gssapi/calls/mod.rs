//! Calls of the Kerberos library on helper threads, since the library may wait for a KDC: it gives up after half a
//! minute, or never, if the KDC has accepted a TCP connection and does not answer.
//!
//! Calls that may ask a KDC run one at a time. Several at once would all ask for the same ticket, and older versions of
//! the library read a ticket cache while another thread is filling it.

use std::sync::Arc;
use std::time::Duration;

use super::context::{GssContext, GssFailure, GssFailureKind, GssStep};
use crate::clock::Instant;
use crate::security::sasl::dependencies::SaslDependencies;
use crate::sync::{Mutex, Rank};

/// A call that has run for longer is taken for hung, and does not keep others from running. Doubled for each hung call,
/// up to [`MAX_PATIENCE`]: a KDC that stays hung costs few threads.
const PATIENCE: Duration = Duration::from_secs(30);
const MAX_PATIENCE: Duration = Duration::from_secs(3600);
/// Limit of hung calls, and thereby of their threads. With these intervals it is reached after about nine hours.
const MAX_CALLS: usize = 16;

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

#[derive(Default)]
struct KdcCallsState {
    /// Number of calls so far: the id of the last one.
    count: u64,
    /// Ids and start times of the calls that have not ended, oldest first.
    running: Vec<(u64, Instant)>,
    has_succeeded: bool,
}

impl KdcCallsState {
    /// Whether a call may start: no other runs, or all that run are hung.
    fn has_room(&self, now: Instant) -> bool {
        let Some((_, newest)) = self.running.last() else {
            return true;
        };
        let doublings = u32::try_from(self.running.len() - 1).unwrap_or(u32::MAX);
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        let patience = PATIENCE.saturating_mul(factor).min(MAX_PATIENCE);
        self.running.len() < MAX_CALLS && newest.saturating_add(patience) <= now
    }
}

/// The calls of one producer.
///
/// # Threads
/// The sender thread starts calls; helper threads run them, and store the outcomes.
pub(super) struct KdcCalls {
    dependencies: SaslDependencies,
    state: Mutex<KdcCallsState>,
}

impl KdcCalls {
    pub(super) fn new(dependencies: SaslDependencies) -> Arc<Self> {
        Arc::new(Self {
            dependencies,
            state: Mutex::new(Rank::LEAF, KdcCallsState::default()),
        })
    }

    /// Starts a call that may ask a KDC. `None` if another one is running, whose end wakes the poller.
    ///
    /// # Errors
    /// Why no thread could be started.
    pub(super) fn begin(
        self: &Arc<Self>,
        now: Instant,
        call: impl FnOnce() -> StepOutcome + Send + 'static,
    ) -> Result<Option<PendingStep>, String> {
        let id = {
            let mut state = self.state.lock();
            if !state.has_room(now) {
                return Ok(None);
            }
            state.count += 1;
            let id = state.count;
            state.running.push((id, now));
            id
        };
        self.run(Some(id), call).map(Some)
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

    /// Whether a call has ever got a ticket.
    pub(super) fn has_succeeded(&self) -> bool {
        self.state.lock().has_succeeded
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
        {
            let mut state = self.calls.state.lock();
            state.has_succeeded |= outcome.is_ok();
            state.running.retain(|(id, _)| Some(*id) != self.id);
        }
        *self.shared.lock() = Some(outcome);
        self.calls.dependencies.wake.wake();
    }
}

#[cfg(test)]
mod tests;
