//! Packing (compression or down-conversion) of filled batches outside of their queues: its steps, and a counter of the
//! batches in progress, so that close and aborts miss none.

use std::sync::Arc;

use crate::producer::batch::FilledBatch;
use crate::sync::{Condvar, Mutex, Rank};

/// The counter of batches that threads have taken out of their queues to pack them.
#[derive(Debug)]
pub(super) struct Packing {
    count: Mutex<usize>,
    none: Condvar,
}

/// The guard that counts one batch in [`Packing`], until the guard is dropped.
#[derive(Debug)]
pub(super) struct PackingGuard(Arc<Packing>);

/// The state of packing one filled batch. Between two steps the sender and other threads may run.
///
/// If the sender has drained the batch before this thread could take it out, the steps run without a batch.
#[derive(Debug)]
pub(super) enum PackingStep {
    /// The batch is out of its queue, and not packed yet.
    Away(Option<(FilledBatch, PackingGuard)>),
    /// The batch is packed, and back in its queue.
    Back(Option<PackingGuard>),
    /// The partition is in the sender's inbox.
    Announced(Option<PackingGuard>),
    /// The batch is no longer counted; the sender is not woken yet.
    CountedOut,
}

impl Packing {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            count: Mutex::new(Rank::LEAF, 0),
            none: Condvar::new(),
        })
    }

    /// Counts a batch. To be called under the lock of the queue that the batch is taken from.
    pub(super) fn begin(self: &Arc<Self>) -> PackingGuard {
        *self.count.lock() += 1;
        PackingGuard(Arc::clone(self))
    }

    /// Whether any batch is being packed.
    pub(super) fn is_any(&self) -> bool {
        *self.count.lock() > 0
    }

    /// Waits until no batch is being packed.
    ///
    /// # Blocking
    /// Until each thread has packed the batch that it has taken out. Batches filled meanwhile prolong the wait, so this
    /// is to be called only when the queues accept no more records, or all batches are to be aborted.
    pub(super) fn wait_until_none(&self) {
        let mut count = self.count.lock();
        while *count > 0 {
            self.none.wait(&mut count);
        }
    }
}

impl Drop for PackingGuard {
    fn drop(&mut self) {
        let mut count = self.0.count.lock();
        *count -= 1;
        // Notified under the lock, and only for the last batch: no thread waits for a single batch.
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
    fn a_waiter_continues_when_the_last_packed_batch_has_returned() {
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
