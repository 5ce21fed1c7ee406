//! Runs the sender's callbacks: user code runs at one place before the poll and at one place after it. A time that was
//! read before user code is not used after it.
//!
//! User code may take long. If the time were not read again, a request sent afterwards could time out unsent, and an
//! expired batch could still be sent. So completed batches are queued, metrics are registered
//! [quietly](crate::metrics::MetricsRegistry::quietly), and the metadata only notes that a response came. A logger is
//! user code too, but is called anywhere: every program expects that a logger does not block.

use super::{Completion, EndedBatch, Sender};
use crate::client::kafka_client::KafkaClient;
use crate::planted::planted;
use crate::producer::produce_request_result::BatchOutcome;

impl<C: KafkaClient<Completion>> Sender<C> {
    /// Runs all pending user code. Returns true if a batch was completed: requests that wait for its completion may be
    /// sent now. The caller must read the time again.
    pub(super) fn run_user_code(&mut self) -> bool {
        let any_ended = self.complete_ended();
        self.notify_plugins();
        any_ended
    }

    /// Returns the memory of the ended batches, then runs their interceptors and callbacks, and completes their futures.
    /// Returns true if there were ended batches.
    pub(super) fn complete_ended(&mut self) -> bool {
        if self.ended.is_empty() {
            return false;
        }
        // The memory of all of them first: a callback may take long, and threads in `send` may wait for the memory.
        let deferred = self.shared.accumulator.pool().defer_wake_ups();
        for EndedBatch { batch, .. } in &mut self.ended {
            batch.return_memory();
        }
        drop(deferred);
        for EndedBatch { batch, outcome } in self.ended.drain(..) {
            let id = batch.id();
            let is_forgotten =
                !(planted!(BatchNeverForgotten) && matches!(outcome, BatchOutcome::Written { .. }));
            let spare = batch.end(outcome, self.listener.as_deref());
            if is_forgotten {
                // Removed after the callbacks: a `flush` that begins while they run still waits for the batch.
                self.shared.accumulator.forget(id, spare);
            }
        }
        true
    }

    /// Notifies metrics reporters of new and removed metrics, and cluster listeners of the cluster.
    pub(super) fn notify_plugins(&self) {
        self.shared.metadata.notify_listeners(&*self.shared.clock);
        self.shared.metrics.notify_reporters();
    }
}
