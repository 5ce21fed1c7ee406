//! Log of one partition: validation of batches before they are appended, and storage.

mod check;
mod marker;
mod message_set;
mod transactions;

pub(crate) use check::take_records;

use bytes::Bytes;

use self::transactions::LogTransactions;
use super::producer_state::{ProducerStateEntry, Verdict, WrittenBatch};
use crate::clock::Timestamp;
use crate::error::ErrorCode;
use crate::record::batch::RecordBatch;
use crate::testing::release::KafkaRelease;
use crate::testing::stored::StoredBatch;
use crate::testing::transaction::AbortedTransaction;
use crate::types::ProducerIdAndEpoch;
use crate::util::hash::FixedHashMap;

/// Topic settings that concern appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicSettings {
    /// Maximum size of a batch, header included (`max.message.bytes`).
    pub(crate) max_message_bytes: usize,
    /// Whether the broker sets the timestamps (`message.timestamp.type`).
    pub(crate) log_append_time: bool,
    /// Whether every record needs a key (`cleanup.policy=compact`).
    pub(crate) compacted: bool,
}

impl TopicSettings {
    /// Kafka's defaults.
    pub(crate) const DEFAULT: Self = Self {
        max_message_bytes: 1_048_588,
        log_append_time: false,
        compacted: false,
    };
}

/// How much work is done for each batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Depth {
    /// Whether batches are stored; with false they are only counted.
    pub(crate) retain: bool,
    /// Whether every record is validated, as by a real broker; with false only headers and checksums are.
    pub(crate) validate_records: bool,
}

/// The result of a batch that was appended, or was a duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// -1 for topics with create time.
    pub(crate) log_append_time: i64,
}

/// The error of a batch that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<String>,
    /// The invalid records, by their index in the batch.
    pub(crate) records: Vec<(i32, String)>,
    /// Whether the response has the log start offset; it does not if the batch was refused before the log was accessed.
    pub(crate) knows_log_start: bool,
}

impl Rejected {
    /// Refused before the log was accessed.
    pub(crate) fn at_once(code: ErrorCode) -> Self {
        Self {
            code,
            message: None,
            records: Vec::new(),
            knows_log_start: false,
        }
    }

    /// Refused by the log.
    pub(crate) fn by_log(code: ErrorCode) -> Self {
        Self {
            knows_log_start: true,
            ..Self::at_once(code)
        }
    }
}

/// The records of a partition in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// Version 3 and above: one batch of format 2.
    Batch(RecordBatch),
    /// Older versions: a message set that is not validated yet.
    MessageSet(Bytes),
}

/// Counts of a log. Markers are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LogSize {
    pub(crate) records: u64,
    pub(crate) batches: u64,
    pub(crate) bytes: u64,
    /// Duplicate batches.
    pub(crate) duplicates: u64,
}

/// The log of one partition.
///
/// # Kafka
/// `kafka.log.Log#appendAsLeader` of the broker, as of 3.0: the order of the checks, and the error of each.
#[derive(Debug, Default)]
pub(crate) struct PartitionLog {
    batches: Vec<StoredBatch>,
    start_offset: i64,
    next_offset: i64,
    size: LogSize,
    producers: FixedHashMap<i64, ProducerStateEntry>,
    transactions: LogTransactions,
    /// The error for an unknown producer whose first sequence number is not 0; `None` if that is allowed.
    refuses_unknown: Option<ErrorCode>,
}

impl PartitionLog {
    /// An empty log with the behaviour of this release.
    pub(crate) fn of_release(release: KafkaRelease) -> Self {
        Self {
            refuses_unknown: release.answer_to_unknown_producer(),
            ..Self::default()
        }
    }

    /// The log start offset. It advances only when the producer state is dropped, as if all records before had expired.
    pub(crate) fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// Validates records and appends them at time `now`.
    pub(crate) fn append(
        &mut self,
        records: Incoming,
        leader_epoch: i32,
        settings: &TopicSettings,
        depth: Depth,
        now: Timestamp,
    ) -> Result<Appended, Rejected> {
        let (batch, sent) = match records {
            Incoming::Batch(batch) => {
                check::framing(&batch, settings)?;
                (batch, None)
            }
            Incoming::MessageSet(set) => {
                let (batch, set) = message_set::to_batch(set, settings)?;
                (batch, Some(set))
            }
        };
        check::header(&batch)?;
        if depth.validate_records {
            check::records(&batch, settings)?;
        }
        let append_time = settings.log_append_time.then_some(now);
        if batch.has_producer_id() {
            match self.check_producer(&batch) {
                Verdict::Write => {}
                Verdict::Duplicate(written) => {
                    self.size.duplicates += 1;
                    // A broker answers a duplicate with the largest timestamp of the first write, even for topics with
                    // create time.
                    return Ok(Appended {
                        base_offset: written.base_offset,
                        log_append_time: written.max_timestamp,
                    });
                }
                Verdict::Refuse(code) => return Err(Rejected::by_log(code)),
            }
        }
        let batch = StoredBatch::new(batch, sent, self.next_offset, leader_epoch, append_time);
        self.remember(&batch);
        Ok(self.write(batch, append_time, depth))
    }

    /// Appends a transaction marker, and returns its offset.
    ///
    /// # Kafka
    /// `ProducerAppendInfo#appendEndTxnMarker`. Differs: no marker is refused, as there is one coordinator at a time.
    pub(crate) fn end_transaction(
        &mut self,
        producer: ProducerIdAndEpoch,
        committed: bool,
        leader_epoch: i32,
        depth: Depth,
        now: Timestamp,
    ) -> i64 {
        let mut marker = marker::marker(producer, committed, now);
        let offset = self.next_offset;
        if let Ok(marker) = RecordBatch::take(&mut marker) {
            let marker = StoredBatch::new(marker, None, offset, leader_epoch, None);
            self.remember(&marker);
            self.write(marker, None, depth);
        }
        offset
    }

    /// Updates producer state and transactions for a batch.
    fn remember(&mut self, stored: &StoredBatch) {
        let (batch, offset) = (stored.batch(), stored.base_offset());
        if !batch.has_producer_id() {
            return;
        }
        let (id, epoch) = (batch.producer_id(), batch.producer_epoch());
        let producer = self.producers.entry(id).or_default();
        if stored.is_control() {
            producer.ended_transaction(epoch);
            let committed = marker::is_commit(batch);
            return self.transactions.ended(id, offset, committed);
        }
        producer.written(
            epoch,
            WrittenBatch::new(batch, offset, stored.max_timestamp()),
        );
        if stored.is_transactional() {
            self.transactions.wrote(id, offset);
        }
    }

    fn check_producer(&self, batch: &RecordBatch) -> Verdict {
        let verdict = match self.producers.get(&batch.producer_id()) {
            Some(known) => known.check(batch),
            None => match self.refuses_unknown {
                Some(code) if batch.base_sequence() != 0 => Verdict::Refuse(code),
                _ => ProducerStateEntry::default().check(batch),
            },
        };
        let is_outside =
            !batch.attributes().is_transactional() && self.has_open(batch.producer_id());
        if verdict == Verdict::Write && is_outside {
            return Verdict::Refuse(ErrorCode::InvalidTxnState);
        }
        verdict
    }

    /// Whether a producer has written in a transaction that has not ended.
    pub(crate) fn has_open(&self, producer_id: i64) -> bool {
        self.transactions.is_open(producer_id)
    }

    #[cfg(any(test, feature = "_internals"))]
    /// Drops the producer state and advances the log start offset, as a broker does when the last records of the
    /// producers expire. Producers with open transactions are kept, as their records do not expire.
    pub(crate) fn forget_producers(&mut self) {
        let transactions = &self.transactions;
        self.producers.retain(|id, _| transactions.is_open(*id));
        self.start_offset = self.last_stable_offset();
    }

    #[cfg(any(test, feature = "_internals"))]
    /// Removes at least this many records at the end, rounded up to whole batches, and the producer state that resulted
    /// from them. Returns the new end offset; `None` if nothing was removed.
    ///
    /// Only retained batches can be removed.
    ///
    /// # Kafka
    /// `kafka.log.Log#truncateTo`, after an unclean leader election.
    pub(crate) fn truncate(&mut self, records: u64) -> Option<i64> {
        let mut lost = 0;
        while lost < records {
            let Some(batch) = self.batches.pop() else {
                break;
            };
            let count = batch.record_count() as u64;
            lost += count;
            self.next_offset = batch.base_offset();
            if !batch.is_control() {
                self.size.records -= count;
                self.size.batches -= 1;
                self.size.bytes -= batch.size_bytes() as u64;
            }
        }
        if lost == 0 {
            return None;
        }
        self.start_offset = self.start_offset.min(self.next_offset);
        self.producers.clear();
        self.transactions = LogTransactions::default();
        let batches = std::mem::take(&mut self.batches);
        for stored in &batches {
            if stored.base_offset() >= self.start_offset {
                self.remember(stored);
            }
        }
        self.batches = batches;
        Some(self.next_offset)
    }

    fn write(
        &mut self,
        batch: StoredBatch,
        append_time: Option<Timestamp>,
        depth: Depth,
    ) -> Appended {
        let base_offset = self.next_offset;
        let count = batch.record_count() as u64;
        self.next_offset += count as i64;
        if !batch.is_control() {
            self.size.records += count;
            self.size.batches += 1;
            self.size.bytes += batch.size_bytes() as u64;
        }
        if depth.retain {
            self.batches.push(batch.detached());
        }
        let log_append_time = append_time.unwrap_or(Timestamp::NONE).as_millis();
        Appended {
            base_offset,
            log_append_time,
        }
    }

    /// All batches, markers included; empty without retention.
    pub(crate) fn batches(&self) -> &[StoredBatch] {
        &self.batches
    }

    /// Batches that a `read_uncommitted` consumer gets.
    pub(crate) fn uncommitted(&self) -> impl Iterator<Item = &StoredBatch> {
        self.batches.iter().filter(|batch| !batch.is_control())
    }

    /// Batches that a `read_committed` consumer gets.
    pub(crate) fn committed(&self) -> impl Iterator<Item = &StoredBatch> {
        let end = self.last_stable_offset();
        self.uncommitted()
            .take_while(move |batch| batch.base_offset() < end)
            .filter(|batch| !self.transactions.has_aborted(batch))
    }

    /// The last stable offset: all transactions before it have ended.
    pub(crate) fn last_stable_offset(&self) -> i64 {
        self.transactions.first_open().unwrap_or(self.next_offset)
    }

    /// Aborted transactions, in the order of their markers.
    pub(crate) fn aborted_transactions(&self) -> &[AbortedTransaction] {
        self.transactions.aborted()
    }

    /// The offset of the next record.
    pub(crate) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    pub(crate) fn size(&self) -> LogSize {
        self.size
    }
}

#[cfg(test)]
mod tests;
