//! Transaction states and offsets of an embedded cluster, for tests to read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::types::TopicPartition;

/// The state of the transaction of a transactional id.
///
/// Without Kafka's `PrepareEpochFence`: a coordinator is in that state only within one request.
///
/// # Kafka
/// `kafka.coordinator.transaction.TransactionState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TransactionState {
    /// No transaction since the producer was initialized.
    Empty,
    /// Open, with at least one partition or group.
    Ongoing,
    /// Being committed: some partitions have no marker yet.
    PrepareCommit,
    /// Being aborted: some partitions have no marker yet.
    PrepareAbort,
    /// Committed: every partition has its marker.
    CompleteCommit,
    /// Aborted: every partition has its marker.
    CompleteAbort,
}

/// The coordinator's state of a transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionDescription {
    /// The state of its transaction.
    pub state: TransactionState,
    /// Its producer id.
    pub producer_id: i64,
    /// The current epoch of the producer id; producers with a lower epoch are fenced.
    pub producer_epoch: i16,
    /// The timeout after which the coordinator aborts an open transaction (`transaction.timeout.ms`).
    pub timeout: Duration,
    /// Partitions of the transaction without a marker.
    pub partitions: BTreeSet<TopicPartition>,
    /// Consumer groups of the transaction without a marker.
    pub groups: BTreeSet<Arc<str>>,
}

/// A committed offset of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommittedOffset {
    /// The offset of the next record to read.
    pub offset: i64,
    /// The leader epoch of the last record read; -1 if unknown.
    pub leader_epoch: i32,
    /// The metadata that was committed with it; may be empty.
    pub metadata: Arc<str>,
}

/// An aborted transaction, in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AbortedTransaction {
    /// The producer id.
    pub producer_id: i64,
    /// The offset of its first record.
    pub first_offset: i64,
    /// The offset of its marker.
    pub last_offset: i64,
}
