//! Closing a producer.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::lifecycle::SenderThread;
use super::waiting::{BlockingCall, Check, Latch, Step, Stopwatch, Wait};
use crate::clock::Deadline;
use crate::error::{CloseError, Misuse};
use crate::planted::planted;

/// How long a sender that was told to end at once may take: it can be inside a callback, which is user
/// code and may take its time.
const FORCED_GRACE: Duration = Duration::from_secs(10);

/// How plug-ins are closed.
pub(crate) struct ClosePlugins<'p> {
    /// Closes them, unless another call has begun to.
    pub(crate) close: Box<dyn Fn() -> Result<(), Arc<str>> + 'p>,
    /// Set when they are closed.
    pub(crate) closed: &'p Latch<()>,
}

/// `close` as steps: lets nothing in any more, tells the sender to send what is left and to end, and by force
/// when the time is up; then closes the plug-ins and says how it went. Several may be under way.
pub(crate) struct Close<'p> {
    core: &'p Core,
    thread: &'p SenderThread,
    timeout: Option<Duration>,
    plugins: ClosePlugins<'p>,
    phase: Phase,
}

/// How far a close has come.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Nothing was done yet.
    ToBegin,
    /// The sender was told to end when it has sent everything.
    Finishing(Stopwatch),
    /// It was told to end at once.
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
            phase: Phase::ToBegin,
        }
    }

    fn begin(&mut self) -> Stopwatch {
        let core = self.core;
        core.close_doors();
        if planted!(ClosesAfterWaking) {
            core.waker.wake();
            core.control.close();
            return self.finishing();
        }
        core.control.close();
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

    /// The sender has ended, or is given up.
    fn end(&self) -> Step<'_, Result<(), CloseError>> {
        let has_ended = self.thread.has_ended();
        let plugins = (self.plugins.close)();
        if self.plugins.closed.get().is_none() && !planted!(SecondCloseReturnsEarly) {
            // Another call is at it. What the plug-ins have not written yet is part of what is closed.
            return Step::Wait(Wait {
                event: self.plugins.closed,
                until: Deadline::Never,
            });
        }
        Step::Done(self.verdict(has_ended, plugins))
    }

    fn verdict(&self, has_ended: bool, plugins: Result<(), Arc<str>>) -> Result<(), CloseError> {
        let control = &self.core.control;
        if let Some(why) = control.failure() {
            return Err(CloseError::ProducerFailed(Arc::clone(why)));
        }
        let records = control.undelivered();
        if records > 0 {
            return Err(CloseError::Undelivered { records });
        }
        if !has_ended {
            return Err(CloseError::ThreadRunning);
        }
        plugins.map_err(CloseError::Plugin)
    }
}

impl BlockingCall for Close<'_> {
    type Output = Result<(), CloseError>;

    const CHECK: Check = Check::First;

    fn step(&mut self) -> Step<'_, Self::Output> {
        let mut time = match self.phase {
            Phase::ToBegin => self.begin(),
            Phase::Finishing(time) | Phase::Forced(time) => time,
        };
        if self.thread.has_ended() {
            return self.end();
        }
        if time.is_over(&*self.core.clock) {
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
