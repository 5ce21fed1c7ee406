//! Idempotence and transactions: producer id and epoch, sequence numbers, fencing, and the requests of a transaction.
//!
//! | file | contents |
//! |---|---|
//! | `mod` | the manager |
//! | `batches` | sequence bookkeeping for the sender: drain gate, completed and failed batches, epoch bump |
//! | `request` | the `RequestHandler` trait: one implementation per kind of transactional request |
//! | `requests` | the request queue, by priority, with one request in flight |
//! | `coordinators` | known coordinators, and the coordinator lookup (FindCoordinator) |
//! | `inbox` | requests from application threads |
//! | `outgoing` | the next request to send, and responses, for the sender |
//! | `identity` | producer id and epoch (InitProducerId) |
//! | `sequences` | sequence numbers of one partition's in-flight batches |
//! | `state` | the state machine of a transactional producer |
//! | `shared` | the state that application threads and the sender share |
//! | `contents` | partitions of the open transaction, and whether the coordinator has begun it |
//! | `transactional` | error handling of transactional requests, completion of a transaction |
//! | `add_partitions_to_txn`, `add_offsets_to_txn`, `txn_offset_commit`, `end_txn` | the other kinds of requests |

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod batches;
mod contents;
mod coordinators;
mod end_txn;
mod identity;
mod inbox;
mod offsets;
mod outgoing;
mod request;
mod requests;
mod sequences;
mod shared;
mod state;
mod transactional;
mod txn_offset_commit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::util::log::LogContext;

use self::contents::Contents;
pub(crate) use self::identity::FatalError;
use self::identity::IdState;
pub(crate) use self::identity::init_request;
use self::inbox::RequestInbox;
pub(crate) use self::offsets::OffsetsToCommit;
#[cfg(test)]
pub(crate) use self::request::{Condition, CoordinatorKey, Destination, Priority, RequestVerdict};
pub(crate) use self::request::{Lane, RequestFailure, RequestHandler, RetryReason};
use self::requests::RequestQueue;
pub(crate) use self::requests::{BatchesStatus, NextRequest, RequestId};
use self::sequences::PartitionSequences;
#[cfg(test)]
pub(crate) use self::shared::MAX_OFFSET_COMMITS;
#[cfg(feature = "testing")]
pub(crate) use self::shared::TransactionTally;
pub(crate) use self::shared::{
    AskedOperation, Operation, TransactionEnd, TransactionResult, Transactions, closed,
};
pub(crate) use self::state::TransactionManagerState;
pub(crate) use self::transactional::{end_request, offsets_request};
use super::accumulator::EntryIndex;
use super::batch::BatchId;
use crate::clock::Deadline;
use crate::clock::log_limit::LogLimit;
use crate::error::ProduceErrorKind;
use crate::record::builder::ProducerState;
use crate::types::ProducerIdAndEpoch;
use crate::util::backoff::SHORTEST_BACKOFF;

/// New sequence numbers for a queued batch, after an epoch bump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SequenceRewrite {
    pub(crate) index: EntryIndex,
    pub(crate) batch: BatchId,
    /// `None`: the batch fails, because it may be in the log under its old numbers, or because a later batch was
    /// acknowledged.
    pub(crate) state: Option<ProducerState>,
}

/// An effect on batches that the sender applies after a call to the manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Renumber a batch in the retry queue, or fail it.
    Renumber(SequenceRewrite),
    /// Fail every queued batch with this error; batches in flight may still be acknowledged.
    FailWaiting {
        kind: ProduceErrorKind,
        message: Arc<str>,
    },
}

/// The manager's configuration.
#[derive(Debug, Clone)]
pub(crate) struct TransactionOptions {
    pub(crate) log: LogContext,
    pub(crate) retry_backoff: Duration,
    /// `transactional.id`; `None` for a producer that is only idempotent.
    pub(crate) transactional_id: Option<Arc<str>>,
    /// `transaction.timeout.ms`: the coordinator aborts a transaction that is open for longer.
    pub(crate) transaction_timeout: Duration,
    /// `max.block.ms`: how long a graceful close waits for the transaction's end.
    pub(crate) max_block: Duration,
}

/// The transaction manager: assigns producer id, epoch and sequence numbers to batches, and decides which transactional
/// request the sender sends next.
///
/// # Threads
/// Used by the sender only. The state that application threads share is in [`Transactions`].
/// # Kafka
/// `TransactionManager`. The manager gets summaries of batches, and returns changes of their sequence numbers as
/// [`Effect`]s.
#[derive(Debug)]
pub(crate) struct TransactionManager {
    id_state: IdState,
    /// The state shared with application threads; `None` if the producer is not transactional.
    transactions: Option<Arc<Transactions>>,
    /// The shared state as last read: at the beginning of a step, and after each change by this thread.
    state_seen: TransactionManagerState,
    contents: Contents,
    /// True after an EndTxn(commit) got no response, or an ambiguous one: the transaction may be committed.
    commit_in_doubt: bool,
    /// The close time-out: a producer that is being closed waits for the end of its transaction until then.
    close_deadline: Deadline,
    /// The current producer id and epoch; `NONE` while they are being requested.
    producer: ProducerIdAndEpoch,
    /// The last producer id and epoch, for texts; `NONE` if there was none.
    last_producer: ProducerIdAndEpoch,
    options: TransactionOptions,
    requests: RequestQueue,
    inbox: Arc<RequestInbox>,
    /// True if the coordinator has to bump the epoch when the transaction has ended: a sequence has a gap, the
    /// coordinator has lost the producer id, or a request of the transaction got no response and may still arrive.
    needs_epoch: bool,
    /// Effects that the sender has not taken yet.
    effects: Vec<Effect>,
    partitions: BTreeMap<EntryIndex, PartitionSequences>,
    /// Partitions whose sequence has a gap or is unresolved: no new batches are drained for them.
    disturbed: BTreeSet<EntryIndex>,
    /// The error of the last InitProducerId attempt.
    last_error: Option<Arc<str>>,
    /// Rate limit of the warnings about that error.
    log_limit: LogLimit,
    /// True if the number of in-flight batches per partition is unlimited, see
    /// [`send_without_limit`](Self::send_without_limit).
    #[cfg(feature = "testing")]
    sends_without_limit: bool,
}

impl TransactionManager {
    /// Creates a manager, which requests a producer id at once. For a transactional producer, `init_transactions`
    /// requests the id.
    pub(crate) fn new(options: TransactionOptions) -> Self {
        let inbox = Arc::new(RequestInbox::new());
        let transactions = options.transactional_id.as_ref();
        let transactions =
            transactions.map(|id| Arc::new(Transactions::new(Arc::clone(id), Arc::clone(&inbox))));
        let mut manager = Self {
            id_state: IdState::Initializing,
            transactions,
            state_seen: TransactionManagerState::Uninitialized,
            contents: Contents::default(),
            commit_in_doubt: false,
            close_deadline: Deadline::Never,
            producer: ProducerIdAndEpoch::NONE,
            last_producer: ProducerIdAndEpoch::NONE,
            options,
            requests: RequestQueue::default(),
            inbox,
            needs_epoch: false,
            effects: Vec::new(),
            partitions: BTreeMap::new(),
            disturbed: BTreeSet::new(),
            last_error: None,
            log_limit: LogLimit::default(),
            #[cfg(feature = "testing")]
            sends_without_limit: false,
        };
        if !manager.is_transactional() {
            manager.request_producer_id();
        }
        manager
    }

    /// Whether the producer has a `transactional.id`.
    pub(crate) fn is_transactional(&self) -> bool {
        self.options.transactional_id.is_some()
    }

    /// Lifts the limit of in-flight batches per partition, for a mock client that loses no batch and answers batches in
    /// order.
    #[cfg(feature = "testing")]
    pub(crate) fn send_without_limit(&mut self) {
        self.sends_without_limit = true;
    }

    /// The `transactional.id`.
    pub(crate) fn transactional_id(&self) -> Option<&Arc<str>> {
        self.options.transactional_id.as_ref()
    }

    pub(crate) fn retry_backoff(&self) -> Duration {
        self.options.retry_backoff.max(SHORTEST_BACKOFF)
    }

    pub(crate) fn has_producer_id(&self) -> bool {
        self.producer.is_valid()
    }

    #[cfg(test)]
    pub(crate) fn producer(&self) -> ProducerIdAndEpoch {
        self.producer
    }

    pub(crate) fn fatal_error(&self) -> Option<&FatalError> {
        match &self.id_state {
            IdState::Fatal(error) => Some(error),
            _ => None,
        }
    }

    pub(crate) fn last_error(&self) -> Option<&Arc<str>> {
        self.last_error.as_ref()
    }
}

#[cfg(test)]
mod tests;
