//! Runs the sender of a mock producer without a thread: on the threads that wake it.
//!
//! A real sender thread sleeps in its poll until it is woken. This sender is parked at that point, between the first
//! half of a step and its poll, and the thread that wakes it runs its steps until it would sleep again. So everything
//! that a call starts has finished, if it can, before the call checks whether it has to wait.

use std::sync::Arc;

use super::client::{Mocked, MockedClient};
use crate::clock::Clock;
use crate::network::selectable::WakeUp;
use crate::producer::callback_scope;
use crate::producer::instance::InstanceId;
use crate::producer::lifecycle::Running;
use crate::producer::sender::{Stepped, SteppedSender};
use crate::sync::{Condvar, Mutex, OnceLock, Rank};

/// Holds the parked sender. The thread that wakes the sender runs it.
#[derive(Debug)]
pub(super) struct Stage {
    place: Mutex<StageState>,
    /// Condition variable: the sender was parked again, or has ended.
    parked: Condvar,
    instance: OnceLock<InstanceId>,
}

#[derive(Debug)]
struct StageState {
    /// `None` while a thread runs the sender, and before `enter`.
    sender: Option<OwnSender>,
    /// The sender was woken while a thread was running it: that thread must run it again.
    was_woken: bool,
    has_ended: bool,
}

/// The sender with everything that its steps need.
pub(super) struct OwnSender {
    pub(super) sender: SteppedSender<MockedClient>,
    /// `None` when it has ended.
    pub(super) running: Option<Running>,
    pub(super) mocked: Arc<Mocked>,
    pub(super) instance: InstanceId,
}

impl Stage {
    /// A stage without a sender.
    pub(super) fn new() -> Self {
        Self {
            place: Mutex::new(
                Rank::LEAF,
                StageState {
                    sender: None,
                    was_woken: false,
                    has_ended: false,
                },
            ),
            parked: Condvar::new(),
            instance: OnceLock::new(),
        }
    }

    /// Adds the sender, and runs its first steps.
    pub(super) fn add_sender(&self, sender: OwnSender) {
        let known = self.instance.set(sender.instance);
        debug_assert!(known.is_ok(), "a producer has one sender");
        self.run_steps(sender);
    }

    /// Runs the sender, or waits while another thread runs it. It does not wait when it is called in user code that the
    /// producer runs, because the sender may be running on the calling thread. It then runs again afterwards.
    pub(super) fn settle(&self) {
        self.wake();
        let instance = self.instance.get().copied();
        if instance.is_some_and(callback_scope::is_inside) {
            return;
        }
        let mut place = self.place.lock();
        while place.sender.is_none() && !place.has_ended {
            self.parked.wait(&mut place);
        }
    }

    fn run_steps(&self, mut sender: OwnSender) {
        loop {
            sender.run_steps();
            let ended = sender.running.is_none();
            let mut place = self.place.lock();
            if ended {
                place.has_ended = true;
            } else if std::mem::take(&mut place.was_woken) {
                continue;
            } else {
                place.sender = Some(sender);
            }
            self.parked.notify_all();
            return;
        }
    }
}

impl WakeUp for Stage {
    fn wake(&self) {
        let sender = {
            let mut place = self.place.lock();
            place.was_woken |= place.sender.is_none();
            place.sender.take()
        };
        // The lock is not held while steps run: they run user code, which may wake the sender again.
        if let Some(sender) = sender {
            self.run_steps(sender);
        }
    }
}

impl OwnSender {
    /// Runs steps until the sender would sleep, or has ended.
    fn run_steps(&mut self) {
        let mocked = &self.mocked;
        mocked.end_silence();
        loop {
            if std::mem::take(&mut mocked.state.lock().is_to_be_fenced) {
                self.sender.fence();
            }
            let failure = mocked.state.lock().fails_with.take();
            if let Some(message) = failure {
                // The next step returns `Ended`.
                self.sender.fail(&message);
            }
            match self.sender.step(|| false) {
                Stepped::Begun if !self.sender.would_wait(mocked.clock.now()) => {
                    // The sender was woken meanwhile, perhaps by a new request for metadata: requests are answered
                    // again.
                    mocked.end_silence();
                }
                Stepped::Begun => {
                    mocked.state.lock().decide_all(self.sender.is_awaited());
                    if !mocked.has_answers() {
                        return;
                    }
                }
                Stepped::Done | Stepped::Waits => {
                    let decided = mocked.state.lock().take_decided();
                    self.sender.settle(decided);
                }
                Stepped::Ended => {
                    mocked.state.lock().end();
                    let scope = callback_scope::enter_sender(self.instance);
                    self.running = None;
                    drop(scope);
                    return;
                }
            }
        }
    }
}

impl std::fmt::Debug for OwnSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnSender").finish_non_exhaustive()
    }
}
