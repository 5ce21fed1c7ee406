//! Calls that may have to wait, cut into steps that take no time, and the one place where an application
//! thread sleeps between two of them.
//!
//! A [`BlockingCall`] goes as far as it can and then says what it waits for, and until when. A [`Driver`]
//! sleeps until then and steps again: that is what the producer's methods do. Whoever has a thread to spare
//! for no call (a simulator, a test) steps many calls and the sender in any order instead.

mod latch;
mod stopwatch;

use std::fmt;
use std::time::Duration;

use super::callback_scope::{self, ProducerId};
use crate::clock::{Clock, Deadline, Instant};
use crate::error::Misuse;
use crate::sync::{self, Condvar, MutexGuard};

pub(crate) use latch::Latch;
pub(crate) use stopwatch::Stopwatch;

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
}

/// Something that other threads make happen.
pub(crate) trait Event: fmt::Debug {
    /// Sleeps, unless it has happened. May return without reason.
    fn sleep(&self, nap: Nap);
}

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

/// A wait that takes longer may be one in a fork of the producer's process, where no answer can come.
const USUAL_WAIT: Duration = Duration::from_millis(50);

/// For how long a thread sleeps. Only a [`Driver`] makes one, so only there an application thread can sleep.
pub(crate) struct Nap(Option<Duration>);

impl Nap {
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

/// Takes the steps of a call on the thread that made it, and sleeps between them.
#[derive(Clone, Copy)]
pub(crate) struct Driver<'a> {
    clock: &'a dyn Clock,
    producer: ProducerId,
}

impl<'a> Driver<'a> {
    /// For calls to this producer, whose time is that of its clock.
    pub(crate) fn new(clock: &'a dyn Clock, producer: ProducerId) -> Self {
        Self { clock, producer }
    }

    /// Steps the call to its end.
    ///
    /// # Blocking
    /// As long as the call has something to wait for.
    pub(crate) fn run<C: BlockingCall>(self, call: &mut C) -> C::Output {
        if C::CHECK == Check::First {
            let inside = self.check_callback();
            if let Err(why) = inside.and_then(|()| self.check_fork()) {
                return call.refuse(why);
            }
        }
        let mut fork_check = None;
        loop {
            let Wait { event, until } = match call.step() {
                Step::Done(output) => return output,
                Step::Wait(wait) => wait,
            };
            let now = self.clock.now();
            let mut check_at = match (fork_check, C::CHECK) {
                (Some(at), _) => at,
                (None, Check::First) => Deadline::Never,
                (None, check) => {
                    if let Err(why) = self.check_callback() {
                        return call.refuse(why);
                    }
                    match check {
                        Check::BeforeWaitingLong => Deadline::after(now, USUAL_WAIT),
                        _ => Deadline::At(now),
                    }
                }
            };
            if check_at.is_over(now) {
                if let Err(why) = self.check_fork() {
                    return call.refuse(why);
                }
                check_at = Deadline::Never;
            }
            fork_check = Some(check_at);
            if let Some(nap) = self.nap(until.min(check_at)) {
                sync::assert_unlocked();
                event.sleep(nap);
            }
        }
    }

    /// None when that time has come.
    fn nap(self, until: Deadline) -> Option<Nap> {
        match until.remaining(self.clock.now()) {
            None => Some(Nap(None)),
            Some(Duration::ZERO) => None,
            Some(left) => Some(Nap(Some(self.clock.real_time(left)))),
        }
    }

    fn check_callback(self) -> Result<(), Misuse> {
        if callback_scope::is_inside(self.producer) {
            return Err(Misuse::InsideCallback);
        }
        Ok(())
    }

    fn check_fork(self) -> Result<(), Misuse> {
        if self.producer.is_forked() {
            return Err(Misuse::Forked);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
