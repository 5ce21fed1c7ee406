//! The driver of blocking calls: the only place where an application thread sleeps.

use std::time::Duration;

use super::call::{BlockingCall, Check, Event, SleepPermit, Step, Wait};
use crate::clock::{Clock, Deadline};
use crate::error::Misuse;
use crate::producer::callback_scope;
use crate::producer::instance::InstanceId;
use crate::sync;

/// Runs a [`BlockingCall`] on the calling thread: steps it, and sleeps between the steps.
#[derive(Clone, Copy)]
pub(crate) struct Driver<'a> {
    clock: &'a dyn Clock,
    instance: InstanceId,
}

impl<'a> Driver<'a> {
    /// A driver for calls of the producer `instance`, on the producer's clock.
    pub(crate) fn new(clock: &'a dyn Clock, instance: InstanceId) -> Self {
        Self { clock, instance }
    }

    /// Steps the call to its end.
    ///
    /// # Blocking
    /// As long as the call has an event to wait for.
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
                // Checked above, before the first step.
                (None, Check::First) => Deadline::Never,
                (None, check) => {
                    if let Err(why) = self.check_callback() {
                        return call.refuse(why);
                    }
                    match check {
                        Check::BeforeLongWait => Deadline::after(now, USUAL_WAIT),
                        _ => Deadline::At(now),
                    }
                }
            };
            // The fork check runs at most once in a call: a call stays in its process.
            if check_at.is_over(now) {
                if let Err(why) = self.check_fork() {
                    return call.refuse(why);
                }
                check_at = Deadline::Never;
            }
            fork_check = Some(check_at);
            // The sleep ends at the fork check at the latest; the step after an early wake-up does no harm.
            if let Some(permit) = self.sleep_permit(event, until.min(check_at)) {
                // A thread that slept with a lock held could block the thread that is to wake it.
                sync::assert_unlocked();
                #[cfg(all(feature = "testing", feature = "_internals"))]
                awake::assert_may_sleep();
                event.sleep(permit);
            }
        }
    }

    /// A permit to sleep until `until`; `None` if that time has passed.
    fn sleep_permit(self, event: &dyn Event, until: Deadline) -> Option<SleepPermit> {
        match until.remaining(self.clock.now()) {
            None => Some(SleepPermit::new(None)),
            Some(Duration::ZERO) => None,
            Some(left) => {
                let length = self.clock.real_time(left, event.is_metadata());
                Some(SleepPermit::new(Some(length)))
            }
        }
    }

    fn check_callback(self) -> Result<(), Misuse> {
        if callback_scope::is_inside(self.instance) {
            return Err(Misuse::InsideCallback);
        }
        Ok(())
    }

    fn check_fork(self) -> Result<(), Misuse> {
        if self.instance.is_forked() {
            return Err(Misuse::Forked);
        }
        Ok(())
    }
}

/// Threads that must not sleep, because they step the sender themselves and no other thread would wake them.
#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) mod awake {
    use std::cell::Cell;

    thread_local! {
        static STAYS_AWAKE: Cell<bool> = const { Cell::new(false) };
    }

    /// From now on a call that would sleep on this thread panics.
    pub(crate) fn stay() {
        STAYS_AWAKE.set(true);
    }

    pub(super) fn assert_may_sleep() {
        assert!(
            !STAYS_AWAKE.get(),
            "a call would sleep on the thread that takes the sender's steps"
        );
    }
}

/// After this time a wait checks whether the process is a fork of the producer's process: no response arrives in a
/// fork.
const USUAL_WAIT: Duration = Duration::from_millis(50);
