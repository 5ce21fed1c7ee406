//! Allocation of producer ids.

use crate::types::ProducerIdAndEpoch;

const FIRST_PRODUCER_ID: i64 = 1000;
/// Number of producer ids that begin with the epoch set by `begin_with`; later ids begin with 0.
const EARLY_IDS: i64 = 4;

/// Allocates producer ids.
///
/// # Kafka
/// `kafka.coordinator.transaction.ProducerIdManager`.
#[derive(Debug)]
pub(crate) struct ProducerIds {
    next: i64,
    first_epoch: i16,
}

impl Default for ProducerIds {
    fn default() -> Self {
        Self {
            next: FIRST_PRODUCER_ID,
            first_epoch: 0,
        }
    }
}

impl ProducerIds {
    /// Sets the first epoch of the first ids. Real brokers begin with 0; with a first epoch near the last, a test can
    /// reach a producer that has used up its epochs and gets another id.
    #[cfg(any(test, all(feature = "testing", feature = "_internals")))]
    pub(crate) fn begin_with(&mut self, epoch: i16) {
        self.first_epoch = epoch;
    }

    /// A new producer id with its first epoch.
    pub(crate) fn fresh(&mut self) -> ProducerIdAndEpoch {
        let id = self.next;
        self.next += 1;
        let is_early = id < FIRST_PRODUCER_ID + EARLY_IDS;
        ProducerIdAndEpoch::new(id, if is_early { self.first_epoch } else { 0 })
    }
}
