//! What a sender sleeps on.

use crate::network::selectable::WakeUp;
use crate::sync::{Condvar, Mutex, Rank};

/// Stands for a poller: it is woken, or nothing happens. A wake-up before a poll is not lost.
#[derive(Debug)]
pub(super) struct Poller {
    // Of the lowest rank: no lock is to be held when the sender is woken.
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

    /// Sleeps until it is woken, or told that the time is up.
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

    /// A poll that may not wait.
    pub(super) fn look(&self) {
        self.state.lock().is_woken = false;
    }

    /// From now on no poll waits: nothing else is to come.
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
