//! The sender's waker: the sender finds work that was published before the wake-up, in time.

use std::sync::Arc;

use loom::thread;

use super::check;
use super::poller::{PollEnd, Poller};
use crate::clock::{Deadline, Instant};
use crate::network::selectable::WakeUp;
use crate::planted::Defect;
use crate::producer::wake::SenderWaker;
use crate::sync::{Mutex, Rank};

struct Shared {
    waker: SenderWaker,
    poller: Arc<Poller>,
    /// The times, in nanoseconds, at which published work is due.
    work: Mutex<Vec<u64>>,
}

impl Shared {
    fn new() -> Arc<Self> {
        let shared = Self {
            waker: SenderWaker::new(),
            poller: Arc::new(Poller::new()),
            work: Mutex::new(Rank::LEAF, Vec::new()),
        };
        let poller = Arc::clone(&shared.poller) as Arc<dyn WakeUp>;
        shared.waker.attach(poller);
        Arc::new(shared)
    }

    fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.work.lock())
    }

    /// Polls as the sender does.
    fn poll(&self, until: Deadline) -> PollEnd {
        let end = if self.waker.fall_asleep(until) {
            self.poller.sleep()
        } else {
            self.poller.look();
            PollEnd::Woken
        };
        self.waker.wake_up();
        end
    }
}

#[test]
fn work_of_two_threads_wakes_a_sender_that_sleeps_without_a_timeout() {
    let defects = [Defect::WakesOnlySleepers, Defect::NotifiedSenderSleeps];
    check(4, &defects, || {
        let shared = Shared::new();
        let threads = [(); 2].map(|()| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.work.lock().push(0);
                shared.waker.wake();
            })
        });
        let mut found = shared.take().len();
        while found < threads.len() {
            shared.poll(Deadline::Never);
            found += shared.take().len();
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// The sender begins to sleep until 40 ns, but that sleep ends at once. Then it sleeps until 100 ns, or until it is
/// woken by work that is due earlier.
#[test]
fn work_that_is_due_during_a_sleep_wakes_the_sender_in_time() {
    check(3, &[Defect::KeepsOldSleep], || {
        let shared = Shared::new();
        let threads = [50, 150].map(|due| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.work.lock().push(due);
                shared.waker.wake_by(Instant::from_nanos(due));
            })
        });
        let sender = Arc::clone(&shared);
        let sender = thread::spawn(move || {
            let until = |nanos| Deadline::At(Instant::from_nanos(nanos));
            let mut found = sender.take();
            // This sleep ends before a poll.
            sender.waker.fall_asleep(until(40));
            sender.waker.wake_up();
            found.extend(sender.take());
            while !found.contains(&50) {
                let end = sender.poll(until(100));
                let new = sender.take();
                assert!(
                    end == PollEnd::Woken || !new.contains(&50),
                    "the work was found when it was overdue"
                );
                found.extend(new);
            }
        });
        for thread in threads {
            thread.join().unwrap();
        }
        shared.poller.let_time_pass();
        sender.join().unwrap();
    });
}
