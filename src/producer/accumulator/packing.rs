//! How many batches are being packed: none of them is in its queue meanwhile, and none may be forgotten.

use crate::sync::{Condvar, Mutex, Rank};

/// Counts the batches that threads have taken out of their queues to pack them.
#[derive(Debug)]
pub(super) struct Packing {
    count: Mutex<usize>,
    none: Condvar,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted<'a>(&'a Packing);

impl Packing {
    pub(super) fn new() -> Self {
        Self {
            count: Mutex::new(Rank::LEAF, 0),
            none: Condvar::new(),
        }
    }

    /// To be called under the lock of the queue that the batch is taken from.
    pub(super) fn begin(&self) -> Counted<'_> {
        *self.count.lock() += 1;
        Counted(self)
    }

    pub(super) fn is_any(&self) -> bool {
        *self.count.lock() > 0
    }

    /// Waits until none is being packed.
    ///
    /// # Blocking
    /// As long as codecs take for one batch of each thread, since no more begin: to be called when records are
    /// no longer let in, or all batches are to fail.
    pub(super) fn wait_until_none(&self) {
        let mut count = self.count.lock();
        while *count > 0 {
            self.none.wait(&mut count);
        }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut count = self.0.count.lock();
        *count -= 1;
        if *count == 0 {
            self.0.none.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn who_waits_goes_on_when_the_last_batch_is_back() {
        let packing = Packing::new();
        packing.wait_until_none();
        let (first, second) = (packing.begin(), packing.begin());
        let is_back = AtomicBool::new(false);
        let (started, has_started) = mpsc::channel();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                started.send(()).expect("the test waits");
                packing.wait_until_none();
                is_back.load(Ordering::SeqCst)
            });
            has_started.recv().expect("the thread runs");
            drop(first);
            assert!(packing.is_any());
            is_back.store(true, Ordering::SeqCst);
            drop(second);
            assert!(waiter.join().expect("no panic"));
        });
        assert!(!packing.is_any());
    }
}
