//! The incomplete batches, for which flushes wait, and spare vectors for the callbacks of new batches.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::planted::planted;
use crate::producer::batch::{BatchId, SplitBatch};
use crate::producer::produce_request_result::ProduceRequestResult;
use crate::producer::thunks::{SpareThunks, SpareVector};

/// The results of batches that are open, queued or in flight, by id; and spare vectors for callbacks, because both
/// change when a batch is opened and when one is completed, under one lock.
///
/// # Kafka
/// `IncompleteBatches`.
#[derive(Debug, Default)]
pub(super) struct IncompleteBatches {
    results: BTreeMap<BatchId, Arc<ProduceRequestResult>>,
    spares: SpareThunks,
}

impl IncompleteBatches {
    /// Adds a new batch.
    pub(super) fn add(&mut self, id: BatchId, result: Arc<ProduceRequestResult>) {
        self.results.insert(id, result);
    }

    /// A spare vector for the callbacks of a new batch.
    pub(super) fn take_spare(&mut self) -> Option<SpareVector> {
        self.spares.take()
    }

    /// Removes a completed batch, and keeps its vector. Returns what is to be dropped without the lock.
    #[must_use]
    pub(super) fn remove(
        &mut self,
        id: BatchId,
        spare: Option<SpareVector>,
    ) -> (Option<Arc<ProduceRequestResult>>, Option<SpareVector>) {
        let result = self.results.remove(&id);
        (result, spare.and_then(|spare| self.spares.keep(spare)))
    }

    /// Replaces a split batch by its pieces.
    pub(super) fn replace_by_pieces(&mut self, split: &SplitBatch) {
        self.results.remove(&split.whole());
        if planted!(SplitNotFlushed) {
            return;
        }
        let pieces = split.pieces().iter();
        self.results
            .extend(pieces.map(|piece| (piece.id(), Arc::clone(piece.result()))));
    }

    /// Takes all results.
    pub(super) fn take_all(&mut self) -> Vec<Arc<ProduceRequestResult>> {
        std::mem::take(&mut self.results).into_values().collect()
    }

    /// All results, in the order of opening.
    pub(super) fn results(&self) -> impl Iterator<Item = &Arc<ProduceRequestResult>> {
        self.results.values()
    }

    /// The id of the batch that was opened first.
    pub(super) fn first(&self) -> Option<BatchId> {
        self.results.keys().next().copied()
    }

    /// The id of the batch that was opened last.
    pub(super) fn last(&self) -> Option<BatchId> {
        self.results.keys().next_back().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.results.len()
    }
}
