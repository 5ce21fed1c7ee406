//! Transactions of a log: open ones, and the index of aborted ones.

use std::collections::BTreeMap;

use crate::testing::stored::StoredBatch;
use crate::testing::transaction::AbortedTransaction;

/// The transactions of one log.
///
/// # Kafka
/// `kafka.log.ProducerStateManager` and `kafka.log.TransactionIndex`, as of 3.0.
#[derive(Debug, Default)]
pub(super) struct LogTransactions {
    /// First offset of each open transaction, by producer id.
    open: BTreeMap<i64, i64>,
    /// In the order of their markers.
    aborted: Vec<AbortedTransaction>,
}

impl LogTransactions {
    pub(super) fn is_open(&self, producer_id: i64) -> bool {
        self.open.contains_key(&producer_id)
    }

    /// Notes a batch of a transaction.
    pub(super) fn wrote(&mut self, producer_id: i64, base_offset: i64) {
        self.open.entry(producer_id).or_insert(base_offset);
    }

    /// Notes a marker, which has no effect if the transaction wrote nothing.
    pub(super) fn ended(&mut self, producer_id: i64, marker_offset: i64, committed: bool) {
        let first = self.open.remove(&producer_id);
        if let Some(first_offset) = first.filter(|_| !committed) {
            self.aborted.push(AbortedTransaction {
                producer_id,
                first_offset,
                last_offset: marker_offset,
            });
        }
    }

    /// The first offset of all open transactions, if there is one.
    pub(super) fn first_open(&self) -> Option<i64> {
        self.open.values().min().copied()
    }

    pub(super) fn aborted(&self) -> &[AbortedTransaction] {
        &self.aborted
    }

    /// Whether a batch belongs to an aborted transaction.
    pub(super) fn has_aborted(&self, batch: &StoredBatch) -> bool {
        let Some(producer) = batch.producer().filter(|_| batch.is_transactional()) else {
            return false;
        };
        self.aborted.iter().any(|aborted| {
            aborted.producer_id == producer.id
                && (aborted.first_offset..aborted.last_offset).contains(&batch.base_offset())
        })
    }
}
