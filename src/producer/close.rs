//! `close` as a state machine: a graceful close (shutdown) with a timeout, then a forced close.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::lifecycle::SenderThread;
use super::waiting::{BlockingCall, Check, Latch, Step, Stopwatch, Wait};
use crate::clock::Deadline;
use crate::error::{CloseError, Misuse};
use crate::planted::planted;

/// Grace period of a forced close: the sender may be inside a callback.
const FORCED_GRACE: Duration = Duration::from_secs(10);

/// Closes the plug-ins at the end of a close.
pub(crate) struct ClosePlugins<'p> {
    /// Closes the plug-ins, unless another call has begun to close them.
    pub(crate) close: Box<dyn Fn() -> Result<(), Arc<str>> + 'p>,
    /// Latch: set when the plug-ins are closed.
    pub(crate) closed: &'p Latch<()>,
}

/// A blocking `close` as a state machine. It refuses new records, then makes the sender send the queued records and
/// end. When the time-out expires, the sender aborts the remaining records. Finally the plug-ins are closed. Concurrent
/// calls are allowed.
pub(crate) struct Close<'p> {
    core: &'p Core,
    thread: &'p SenderThread,
    timeout: Option<Duration>,
    plugins: ClosePlugins<'p>,
    phase: Phase,
}

/// Phase of a close.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Not started.
    Initial,
    /// Graceful close: the sender sends the queued batches, then ends.
    Finishing(Stopwatch),
    /// Forced close: the sender aborts queued batches and ends.
    Forced(Stopwatch),
}

impl<'p> Close<'p> {
    pub(crate) fn new(
        core: &'p Core,
        thread: &'p SenderThread,
        timeout: Option<Duration>,
        plugins: ClosePlugins<'p>,
    ) -> Self {
        Self {
            core,
            thread,
            timeout,
            plugins,
            phase: Phase::Initial,
        }
    }

    fn begin(&mut self) -> Stopwatch {
        let core = self.core;
        // New records are refused before the sender is told to end: a record that is accepted after the sender's last
        // check of the queues would be neither sent nor failed.
        core.refuse_new_records();
        if planted!(ClosesAfterWaking) {
            core.waker.wake();
            core.control.close();
            return self.finishing();
        }
        // The phase is published before the wake-up: the sender reads it when it wakes.
        core.control.close();
        // Like Java's `close(0)`: queued records are aborted at once.
        if self.timeout == Some(Duration::ZERO) {
            core.control.force();
        }
        if !planted!(CloseWakesNobody) {
            core.waker.wake();
        }
        self.finishing()
    }

    fn finishing(&mut self) -> Stopwatch {
        let time = self.running(self.timeout);
        self.phase = Phase::Finishing(time);
        time
    }

    fn force(&mut self) -> Stopwatch {
        self.core.control.force();
        self.core.waker.wake();
        let time = self.running(Some(FORCED_GRACE));
        self.phase = Phase::Forced(time);
        time
    }

    fn running(&self, limit: Option<Duration>) -> Stopwatch {
        let mut time = Stopwatch::new(limit);
        time.start(&*self.core.clock);
        time
    }

    /// Last phase: the sender has ended, or the grace period is over.
    fn end(&self) -> Step<'_, Result<(), CloseError>> {
        // Read before the plug-ins are closed: the result shows whether the sender still ran at that time.
        let has_ended = self.thread.has_ended();
        let plugins = (self.plugins.close)();
        if self.plugins.closed.get().is_none() && !planted!(SecondCloseReturnsEarly) {
            // Another call is closing the plug-ins. This call waits for it, because the plug-ins may still be writing.
            return Step::Wait(Wait {
                event: self.plugins.closed,
                until: Deadline::Never,
            });
        }
        Step::Done(self.verdict(has_ended, plugins))
    }

    fn verdict(&self, has_ended: bool, plugins: Result<(), Arc<str>>) -> Result<(), CloseError> {
        let control = &self.core.control;
        // Most severe first: only one error can be returned.
        if let Some(failure) = control.failure() {
            return Err(CloseError::ProducerFailed(failure.clone()));
        }
        let records = control.undelivered();
        if records > 0 {
            return Err(CloseError::Undelivered {
                records,
                transaction_open: control.has_left_transaction(),
            });
        }
        if !has_ended {
            return Err(CloseError::ThreadRunning);
        }
        if control.has_left_transaction() {
            return Err(CloseError::TransactionOpen);
        }
        plugins.map_err(CloseError::Plugin)
    }
}

impl BlockingCall for Close<'_> {
    type Output = Result<(), CloseError>;

    const CHECK: Check = Check::First;

    fn step(&mut self) -> Step<'_, Self::Output> {
        let mut time = match self.phase {
            Phase::Initial => self.begin(),
            Phase::Finishing(time) | Phase::Forced(time) => time,
        };
        if self.thread.has_ended() {
            return self.end();
        }
        if time.is_over(&*self.core.clock) {
            // The sender is usually stuck in user code. A thread cannot be killed, so it is left running.
            if let Phase::Forced(_) = self.phase {
                return self.end();
            }
            time = self.force();
        }
        Step::Wait(Wait {
            event: self.thread.end(),
            until: time.deadline(),
        })
    }

    fn refuse(&mut self, why: Misuse) -> Self::Output {
        Err(CloseError::Misuse(why))
    }
}
