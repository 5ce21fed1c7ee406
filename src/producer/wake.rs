//! Waking the sender: one atomic decides whether a system call is needed.
//!
//! ```text
//!            sender: about to poll              application: there is work
//!   Awake ───────────────────────▶ Asleep ───────────────────────▶ Notified   (+ one system call)
//!     ▲ └────────────────────────────────────────────────────────────▲ │      (none: sender is awake)
//!     └──────────────── sender: poll is over ────────────────────────────┘
//! ```
//!
//! Nothing is lost because each side publishes before it looks: the application puts its work where
//! the sender finds it and then swaps the state; the sender goes to sleep only from `Awake`, and reads
//! its inputs after it has set the state back.

use std::sync::Arc;

use crate::clock::{Deadline, Instant};
use crate::network::selectable::WakeUp;
use crate::planted::planted;
use crate::sync::OnceLock;
use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering};

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const NOTIFIED: u8 = 2;

/// The sender's side and the applications' side of one wake-up.
#[derive(Debug)]
pub(crate) struct SenderWaker {
    state: AtomicU8,
    /// While asleep: when the sender will wake by itself, in nanoseconds; `u64::MAX` for never. While
    /// awake `u64::MAX`, so that no work is thought to be covered by a sleep that has not begun.
    sleep_until: AtomicU64,
    /// Given once the client is there; before that the sender cannot sleep.
    poller: OnceLock<Arc<dyn WakeUp>>,
}

impl SenderWaker {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU8::new(AWAKE),
            sleep_until: AtomicU64::new(u64::MAX),
            poller: OnceLock::new(),
        }
    }

    /// Says how a sleeping sender is woken.
    pub(crate) fn attach(&self, poller: Arc<dyn WakeUp>) {
        let attached = self.poller.set(poller);
        debug_assert!(attached.is_ok(), "a sender has one client");
    }

    /// Makes the sender look at its inputs now. The work must have been published before.
    pub(crate) fn wake(&self) {
        if planted!(WakesOnlySleepers) && self.state.load(Ordering::SeqCst) == AWAKE {
            return;
        }
        let before = self.state.swap(NOTIFIED, Ordering::SeqCst);
        if before == ASLEEP && !planted!(SenderNotWoken) {
            if let Some(poller) = self.poller.get() {
                poller.wake();
            }
        }
    }

    /// Makes the sender look at its inputs by `due` at the latest: nothing is to be done when it wakes
    /// by itself before.
    pub(crate) fn wake_by(&self, due: Instant) {
        if due.as_nanos() < self.sleep_until.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// The sender is about to poll until `until`. False when it was notified meanwhile: then it must
    /// not wait.
    pub(crate) fn fall_asleep(&self, until: Deadline) -> bool {
        let until = match until {
            Deadline::At(at) => at.as_nanos(),
            Deadline::Never => u64::MAX,
        };
        self.sleep_until.store(until, Ordering::SeqCst);
        if planted!(NotifiedSenderSleeps) {
            self.state.store(ASLEEP, Ordering::SeqCst);
            return true;
        }
        self.state
            .compare_exchange(AWAKE, ASLEEP, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// The poll is over; inputs are read after this.
    pub(crate) fn wake_up(&self) {
        if !planted!(KeepsOldSleep) {
            self.sleep_until.store(u64::MAX, Ordering::SeqCst);
        }
        self.state.swap(AWAKE, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Debug, Default)]
    struct CountingPoller(AtomicUsize);

    impl WakeUp for CountingPoller {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn attached_to(poller: &Arc<CountingPoller>) -> SenderWaker {
        let waker = SenderWaker::new();
        waker.attach(Arc::clone(poller) as Arc<dyn WakeUp>);
        waker
    }

    fn at(nanos: u64) -> Deadline {
        Deadline::At(Instant::from_nanos(nanos))
    }

    #[test]
    fn a_sender_that_is_awake_is_notified_without_a_system_call_and_does_not_fall_asleep() {
        let poller = Arc::new(CountingPoller::default());
        let waker = attached_to(&poller);
        waker.wake();
        assert_eq!(poller.0.load(Ordering::SeqCst), 0);
        assert!(!waker.fall_asleep(Deadline::Never));
        waker.wake_up();
        assert!(waker.fall_asleep(Deadline::Never));
    }

    #[test]
    fn a_sleeping_sender_is_woken_once_however_much_work_comes() {
        let poller = Arc::new(CountingPoller::default());
        let waker = attached_to(&poller);
        assert!(waker.fall_asleep(Deadline::Never));
        waker.wake();
        waker.wake();
        assert_eq!(poller.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn work_that_is_due_after_the_sender_wakes_by_itself_does_not_wake_it() {
        let poller = Arc::new(CountingPoller::default());
        let waker = attached_to(&poller);
        assert!(waker.fall_asleep(at(100)));
        waker.wake_by(Instant::from_nanos(100));
        assert_eq!(poller.0.load(Ordering::SeqCst), 0);
        waker.wake_by(Instant::from_nanos(99));
        assert_eq!(poller.0.load(Ordering::SeqCst), 1);
    }
}
