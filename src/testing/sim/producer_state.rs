//! Producer state of a partition: the last batches of each idempotent producer, and the sequence check.

use std::collections::VecDeque;

use crate::error::ErrorCode;
use crate::record::batch::RecordBatch;
use crate::record::format::{NO_PRODUCER_EPOCH, NO_SEQUENCE};
use crate::types::Sequence;

/// Number of batches remembered for each producer; also the maximum that a producer may have in flight.
const BATCHES_REMEMBERED: usize = 5;

/// A batch that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrittenBatch {
    first_sequence: i32,
    last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) max_timestamp: i64,
}

impl WrittenBatch {
    pub(crate) fn new(batch: &RecordBatch, base_offset: i64, max_timestamp: i64) -> Self {
        Self {
            first_sequence: batch.base_sequence(),
            last_sequence: last_sequence(batch),
            base_offset,
            max_timestamp,
        }
    }
}

/// The sequence number of a batch's last record, with the wrap at `i32::MAX`.
fn last_sequence(batch: &RecordBatch) -> i32 {
    match u32::try_from(batch.last_offset_delta()) {
        Ok(delta) if batch.base_sequence() >= 0 => {
            Sequence::new(batch.base_sequence()).advance(delta).as_i32()
        }
        _ => NO_SEQUENCE,
    }
}

/// Result of the sequence check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// In sequence: write it.
    Write,
    /// A duplicate of a batch written before.
    Duplicate(WrittenBatch),
    /// To be refused with this error.
    Refuse(ErrorCode),
}

/// The epoch and last batches of one producer in one partition.
///
/// # Kafka
/// `kafka.log.ProducerStateEntry` and `ProducerAppendInfo` of the broker, as of 3.0.
#[derive(Debug, Clone)]
pub(crate) struct ProducerStateEntry {
    epoch: i16,
    // Invariant: no more than BATCHES_REMEMBERED, oldest first, all of `epoch`.
    batches: VecDeque<WrittenBatch>,
}

impl Default for ProducerStateEntry {
    fn default() -> Self {
        Self {
            epoch: NO_PRODUCER_EPOCH,
            batches: VecDeque::with_capacity(BATCHES_REMEMBERED),
        }
    }
}

impl ProducerStateEntry {
    /// Checks a batch against the producer's state.
    ///
    /// An unknown producer may start at any sequence number: the broker may have dropped its state when its last record
    /// expired (KAFKA-7190).
    pub(crate) fn check(&self, batch: &RecordBatch) -> Verdict {
        let (epoch, first, last) = (
            batch.producer_epoch(),
            batch.base_sequence(),
            last_sequence(batch),
        );
        if epoch == self.epoch {
            let same = |known: &&WrittenBatch| {
                known.first_sequence == first && known.last_sequence == last
            };
            if let Some(known) = self.batches.iter().find(same) {
                return Verdict::Duplicate(*known);
            }
        }
        if epoch < self.epoch {
            return Verdict::Refuse(ErrorCode::InvalidProducerEpoch);
        }
        let in_order = match self.epoch {
            NO_PRODUCER_EPOCH => true,
            known if known == epoch => self.is_next(first),
            _ => first == 0,
        };
        if in_order {
            Verdict::Write
        } else {
            Verdict::Refuse(ErrorCode::OutOfOrderSequenceNumber)
        }
    }

    /// Whether `first` follows the last written sequence number, or is 0 if there is none.
    fn is_next(&self, first: i32) -> bool {
        match self.batches.back() {
            Some(last) => first == Sequence::new(last.last_sequence).advance(1).as_i32(),
            None => first == 0,
        }
    }

    /// Notes a transaction marker, which fences older epochs.
    pub(crate) fn ended_transaction(&mut self, epoch: i16) {
        self.begin(epoch);
    }

    fn begin(&mut self, epoch: i16) {
        if epoch != self.epoch {
            self.batches.clear();
            self.epoch = epoch;
        }
    }

    /// Remembers a batch that [`check`](Self::check) has accepted.
    pub(crate) fn written(&mut self, epoch: i16, batch: WrittenBatch) {
        self.begin(epoch);
        if self.batches.len() == BATCHES_REMEMBERED {
            self.batches.pop_front();
        }
        self.batches.push_back(batch);
    }
}
