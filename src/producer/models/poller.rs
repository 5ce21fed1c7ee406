//! The poller of models, on which the sender sleeps.

use crate::network::selectable::WakeUp;
use crate::sync::{Condvar, Mutex, Rank};

/// Replacement of the network poller. Only a wake-up ends a poll; a wake-up that comes before the poll is not lost.
#[derive(Debug)]
pub(super) struct Poller {
    // The lowest rank: no lock may be held while the sender is woken.
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_woken: bool,
    is_time_up: bool,
}

/// Why a poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PollEnd {
    Woken,
    TimeIsUp,
}

impl Poller {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(Rank::METADATA, State::default()),
            changed: Condvar::new(),
        }
    }

    /// Sleeps until a wake-up, or until [`let_time_pass`](Self::let_time_pass) is called.
    pub(super) fn sleep(&self) -> PollEnd {
        let mut state = self.state.lock();
        while !state.is_woken && !state.is_time_up {
            self.changed.wait(&mut state);
        }
        if std::mem::take(&mut state.is_woken) {
            PollEnd::Woken
        } else {
            PollEnd::TimeIsUp
        }
    }

    /// A poll with a time-out of zero.
    pub(super) fn look(&self) {
        self.state.lock().is_woken = false;
    }

    /// Lets all current and future polls time out.
    pub(super) fn let_time_pass(&self) {
        self.state.lock().is_time_up = true;
        self.changed.notify_all();
    }
}

impl WakeUp for Poller {
    fn wake(&self) {
        self.state.lock().is_woken = true;
        self.changed.notify_all();
    }
}
