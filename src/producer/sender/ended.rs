//! The sender's callbacks: user code runs at one place before and one after the poll, when the time read earlier is no
//! longer used.
//!
//! User code may take long. With the time read before it, a request sent afterwards could time out unsent, and an
//! expired batch could still be sent. So completed batches are queued here, metrics are registered
//! [quietly](crate::metrics::MetricsRegistry::quietly), and the metadata only notes that a response came. A logger is
//! user code too, but is called anywhere: every program expects of it that it does not block.

use super::{Completion, EndedBatch, Sender};
use crate::client::kafka_client::KafkaClient;
use crate::planted::planted;
use crate::producer::produce_request_result::BatchOutcome;

impl<C: KafkaClient<Completion>> Sender<C> {
    /// Runs all pending user code. True if a batch was completed: requests that wait for it may go now. The caller must
    /// read the time again.
    pub(super) fn run_user_code(&mut self) -> bool {
        let any_ended = self.complete_ended();
        self.notify_plugins();
        any_ended
    }

    /// Runs interceptors, then callbacks, then completes futures of the ended batches. True if there were any.
    pub(super) fn complete_ended(&mut self) -> bool {
        if self.ended.is_empty() {
            return false;
        }
        for EndedBatch { batch, outcome } in self.ended.drain(..) {
            let id = batch.id();
            let is_forgotten =
                !(planted!(BatchNeverForgotten) && matches!(outcome, BatchOutcome::Written { .. }));
            batch.end(outcome, self.listener.as_deref());
            if is_forgotten {
                // After the callbacks: a `flush` that begins while they run still waits for the batch.
                self.shared.accumulator.forget(id);
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
