//! The sender's waker: one atomic decides whether a wake-up needs a system call.
//!
//! ```text
//!            sender: about to poll              application: there is work
//!   Awake ───────────────────────▶ Asleep ───────────────────────▶ Notified   (+ one system call)
//!     ▲ └────────────────────────────────────────────────────────────▲ │      (none: sender is awake)
//!     └──────────────── sender: poll is over ────────────────────────────┘
//! ```
//!
//! No wake-up is lost, because each side publishes before it reads: the application puts its work where
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

/// The waker by which application threads wake the sender from its poll.
#[derive(Debug)]
pub(crate) struct SenderWaker {
    state: AtomicU8,
    /// The deadline of the poll while asleep, in nanoseconds; `u64::MAX` for never. While the sender is awake it is
    /// `u64::MAX`, so that no work relies on the deadline of a sleep that has not begun.
    sleep_until: AtomicU64,
    /// Set once the client exists; before that the sender cannot sleep.
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

    /// Sets the poller, which wakes a sleeping sender by a system call.
    pub(crate) fn attach(&self, poller: Arc<dyn WakeUp>) {
        let attached = self.poller.set(poller);
        debug_assert!(attached.is_ok(), "a sender has one client");
    }

    /// Wakes the sender, which then reads its inputs. The caller must have published its work before.
    pub(crate) fn wake(&self) {
        if planted!(WakesOnlySleepers) && self.state.load(Ordering::SeqCst) == AWAKE {
            return;
        }
        let before = self.state.swap(NOTIFIED, Ordering::SeqCst);
        // Only the thread that replaces `ASLEEP` makes the system call: one for each sleep, however many threads wake.
        if before == ASLEEP && !planted!(SenderNotWoken) {
            if let Some(poller) = self.poller.get() {
                poller.wake();
            }
        }
    }

    /// Wakes the sender unless its poll times out by `due` anyway.
    pub(crate) fn wake_by(&self, due: Instant) {
        if due.as_nanos() < self.sleep_until.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Called by the sender before a poll that blocks up to `until`. False if the sender was notified meanwhile: then
    /// the poll must not block.
    pub(crate) fn fall_asleep(&self, until: Deadline) -> bool {
        let until = match until {
            Deadline::At(at) => at.as_nanos(),
            Deadline::Never => u64::MAX,
        };
        // Stored before the state becomes `ASLEEP`: `wake_by` compares with the deadline of this sleep, not of an older
        // one.
        self.sleep_until.store(until, Ordering::SeqCst);
        if planted!(NotifiedSenderSleeps) {
            self.state.store(ASLEEP, Ordering::SeqCst);
            return true;
        }
        // Fails if `NOTIFIED`: work may have been published after the inputs were read, so the poll must not block.
        self.state
            .compare_exchange(AWAKE, ASLEEP, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// Called by the sender after its poll, and before it reads its inputs.
    pub(crate) fn wake_up(&self) {
        // The sleep is over, so no work may rely on its deadline any more.
        if !planted!(KeepsOldSleep) {
            self.sleep_until.store(u64::MAX, Ordering::SeqCst);
        }
        // Set before the inputs are read: work that is published after they were read sets `NOTIFIED` again.
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
    fn a_sleeping_sender_is_woken_once_however_much_work_is_published() {
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
