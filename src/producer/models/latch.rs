//! Latches, whose value is set once, and the holder of the end action, which runs once.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use super::check;
use crate::planted::Defect;
use crate::producer::lifecycle::EndActionHolder;
use crate::producer::waiting::{Event, Latch, SleepPermit};
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Waits for the latch on another thread, which returns the latch's value.
fn wait(latch: &Arc<Latch<u32>>) -> thread::JoinHandle<u32> {
    let latch = Arc::clone(latch);
    thread::spawn(move || {
        loop {
            if let Some(value) = latch.get() {
                return *value;
            }
            latch.sleep(SleepPermit::of(Duration::MAX));
        }
    })
}

#[test]
fn every_thread_that_waits_for_a_latch_is_woken() {
    let defects = [Defect::LatchSetUnlocked, Defect::LatchWakesOne];
    check(4, &defects, || {
        let latch = Arc::new(Latch::new());
        let waiters = [wait(&latch), wait(&latch)];
        latch.set(1);
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), 1);
        }
    });
}

#[test]
fn the_first_value_of_a_latch_stays() {
    check(4, &[Defect::LatchSetUnlocked], || {
        let latch = Arc::new(Latch::new());
        let waiter = wait(&latch);
        let other = Arc::clone(&latch);
        let other = thread::spawn(move || other.set(1));
        latch.set(2);
        let seen = *latch.get().expect("it is set");
        assert_eq!(waiter.join().unwrap(), seen);
        other.join().unwrap();
        assert_eq!(latch.get(), Some(&seen));
    });
}

#[test]
fn the_last_act_runs_once_whichever_thread_comes_first() {
    check(4, &[Defect::LastActLeftBehind], || {
        let done = Arc::new(AtomicUsize::new(0));
        let ending = Arc::new(EndActionHolder::new());
        let sender = Arc::clone(&ending);
        let sender = thread::spawn(move || {
            if let Some(action) = sender.end() {
                action();
            }
        });
        let counted = Arc::clone(&done);
        let count = move || {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        if let Some(action) = ending.register(Box::new(count)) {
            action();
        }
        sender.join().unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 1);
    });
}
