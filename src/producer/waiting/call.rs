//! A call as steps, and what it waits for between them.

use std::fmt;
use std::time::Duration;

use crate::clock::{Deadline, Instant};
use crate::error::Misuse;
use crate::sync::{Condvar, MutexGuard};

/// A call of the application that may have to wait.
pub(crate) trait BlockingCall {
    /// What the application gets.
    type Output;

    /// When the call is refused where it cannot be waited for the sender.
    const CHECK: Check;

    /// Goes as far as possible. Neither waits nor sleeps, but may run the user's code (serializers, callbacks).
    ///
    /// A step that is taken when the time is up ends the call, or waits for something else.
    fn step(&mut self) -> Step<'_, Self::Output>;

    /// Ends the call, which would have to wait and must not.
    fn refuse(&mut self, why: Misuse) -> Self::Output;
}

/// When it is asked whether a call may wait here: not inside a callback of its producer, where it would wait
/// for itself, nor after a fork, where the producer's thread is missing. That is asked once in a call, which
/// stays on its thread and in its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// Before the first step, whether or not there will be something to wait for.
    First,
    /// When it has to wait.
    BeforeWaiting,
    /// When it has to wait; of a fork only when that takes long. Asking about it is a system call, and there is one
    /// such call for every record.
    BeforeWaitingLong,
}

/// What a step came to.
pub(crate) enum Step<'a, T> {
    /// The call is over, and this is what it returns. It is not stepped again.
    Done(T),
    /// Another step is worth taking after this.
    Wait(Wait<'a>),
}

/// What a call waits for: another step is worth taking when it may have happened, and at `until`, when the
/// call's time is up. A step that comes earlier does no harm.
#[derive(Clone, Copy)]
pub(crate) struct Wait<'a> {
    pub(crate) event: &'a dyn Event,
    pub(crate) until: Deadline,
}

impl Wait<'_> {
    /// Another step is worth taking at once.
    pub(crate) const NOTHING: Self = Self {
        event: &Nothing,
        until: Deadline::At(Instant::ORIGIN),
    };
}

#[derive(Debug)]
struct Nothing;

impl Event for Nothing {
    fn sleep(&self, _nap: Nap) {}

    #[cfg(all(feature = "testing", feature = "_internals"))]
    fn watched(&self) -> Option<(&'static str, &Condvar)> {
        None
    }
}

/// Something that other threads make happen.
pub(crate) trait Event: fmt::Debug {
    /// Sleeps, unless it has happened. May return without reason.
    fn sleep(&self, nap: Nap);

    /// What is waited for, in a word or two, and what is slept on: who takes the steps by hand sees by that whether a
    /// thread that slept would have been woken.
    #[cfg(all(feature = "testing", feature = "_internals"))]
    fn watched(&self) -> Option<(&'static str, &Condvar)>;
}

/// For how long a thread sleeps. Only a [driver](super::Driver) makes one, so only there an
/// application thread can sleep.
pub(crate) struct Nap(Option<Duration>);

impl Nap {
    /// Without a length it ends when somebody ends it.
    pub(super) fn new(length: Option<Duration>) -> Self {
        Self(length)
    }

    /// Sleeps until notified or until the nap is over; may wake without reason.
    pub(crate) fn on<T>(self, condvar: &Condvar, guard: &mut MutexGuard<'_, T>) {
        match self.0 {
            Some(length) => condvar.wait_for(guard, length),
            None => condvar.wait(guard),
        }
    }
}

#[cfg(test)]
impl<T> Step<'_, T> {
    /// What the call returned, if it is over.
    pub(crate) fn done(self) -> Option<T> {
        match self {
            Self::Done(output) => Some(output),
            Self::Wait(_) => None,
        }
    }
}

#[cfg(test)]
impl Nap {
    /// For tests of what is slept on.
    pub(crate) fn of(length: Duration) -> Self {
        Self(Some(length))
    }
}
