//! Blocking calls as state machines: steps that never block, and the event to wait for between them.

use std::fmt;
use std::time::Duration;

use crate::clock::{Deadline, Instant};
use crate::error::Misuse;
use crate::sync::{Condvar, MutexGuard};

/// A blocking call of the application, as a state machine.
pub(crate) trait BlockingCall {
    /// The call's return value.
    type Output;

    /// When the call checks whether it may wait on this thread.
    const CHECK: Check;

    /// Proceeds as far as possible without blocking. May run user code (serializers, callbacks).
    ///
    /// A step after the timeout ends the call, or waits for something else.
    fn step(&mut self) -> Step<'_, Self::Output>;

    /// Ends the call with an error, because it would have to wait and must not.
    fn refuse(&mut self, why: Misuse) -> Self::Output;
}

/// When a call is checked for misuse: waiting inside a callback of its producer would deadlock, and after a fork the
/// producer's thread is missing. Checked once in a call, which stays on its thread and in its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// Before the first step, whether or not the call will wait.
    First,
    /// When it has to wait.
    BeforeWaiting,
    /// When it has to wait. The fork check, which is a system call, runs only if the wait takes long: such a wait may
    /// happen for every record.
    BeforeLongWait,
}

/// The result of a step.
pub(crate) enum Step<'a, T> {
    /// The call is over, with this return value. It is not stepped again.
    Done(T),
    /// The call has to wait for this event before the next step.
    Wait(Wait<'a>),
}

/// The event that a call waits for, and its deadline. The next step is due when the event may have happened, or at
/// `until`. A spurious step does no harm.
#[derive(Clone, Copy)]
pub(crate) struct Wait<'a> {
    pub(crate) event: &'a dyn Event,
    pub(crate) until: Deadline,
}

impl Wait<'_> {
    /// No wait: the next step is due at once.
    pub(crate) const NOTHING: Self = Self {
        event: &Nothing,
        until: Deadline::At(Instant::ORIGIN),
    };
}

#[derive(Debug)]
struct Nothing;

impl Event for Nothing {
    fn sleep(&self, _permit: SleepPermit) {}

    #[cfg(all(feature = "testing", feature = "_internals"))]
    fn watched(&self) -> Option<(&'static str, &Condvar)> {
        None
    }
}

/// An event that other threads trigger.
pub(crate) trait Event: fmt::Debug {
    /// Sleeps, unless the event has happened. May return spuriously.
    fn sleep(&self, permit: SleepPermit);

    /// Whether it is a response with metadata: the clock of a mock producer skips waits for one that will not come.
    fn is_metadata(&self) -> bool {
        false
    }

    /// The event's name and condition variable: a simulator that steps calls by hand checks with it whether a sleeping
    /// thread would have been notified.
    #[cfg(all(feature = "testing", feature = "_internals"))]
    fn watched(&self) -> Option<(&'static str, &Condvar)>;
}

/// A permit to sleep, with a timeout. Only a [driver](super::Driver) creates one, so an application thread can sleep
/// only there.
pub(crate) struct SleepPermit(Option<Duration>);

impl SleepPermit {
    /// A sleep of at most `length`; without a timeout if `length` is `None`.
    pub(super) fn new(length: Option<Duration>) -> Self {
        Self(length)
    }

    /// Waits on the condition variable until notified or timed out; may wake spuriously.
    pub(crate) fn on<T>(self, condvar: &Condvar, guard: &mut MutexGuard<'_, T>) {
        match self.0 {
            Some(length) => condvar.wait_for(guard, length),
            None => condvar.wait(guard),
        }
    }
}

#[cfg(test)]
impl<T> Step<'_, T> {
    /// The return value, if the call is over.
    pub(crate) fn done(self) -> Option<T> {
        match self {
            Self::Done(output) => Some(output),
            Self::Wait(_) => None,
        }
    }
}

#[cfg(test)]
impl SleepPermit {
    /// A sleep of at most `length`, for tests of events.
    pub(crate) fn of(length: Duration) -> Self {
        Self(Some(length))
    }
}
