//! The [`RequestHandler`] trait of transactional requests: destination, priority, condition, and response handling.
//!
//! The sender sends requests of all kinds alike. Each kind is a handler in a file of its own, and is pushed to the
//! request queue of the [`TransactionManager`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::TransactionManager;
use crate::clock::Instant;
use crate::error::ErrorCode;
use crate::protocol::{CoordinatorType, Request, Response};
use crate::util::backoff::SHORTEST_BACKOFF;

/// The key of a coordinator: a transactional id or a consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CoordinatorKey {
    pub(crate) kind: CoordinatorType,
    pub(crate) key: Arc<str>,
}

/// The destination of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Any broker: the least loaded one.
    AnyNode,
    /// The coordinator of this key; it is looked up first if it is unknown.
    Coordinator(CoordinatorKey),
}

/// The priority of a request. Requests of equal priority are sent in the order they were queued, except that a request in
/// back-off, or whose node is not ready, is passed by those of other [lanes](Lane).
///
/// # Kafka
/// `TransactionManager.Priority` (TM-9). Differs: in Java the order of requests with equal priority is not fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    FindCoordinator,
    InitProducerId,
    AddPartitionsOrOffsets,
    EndTransaction,
    EpochBump,
}

/// A lane of the request queue: requests that do not depend on those of the other lanes, if they have the same priority.
/// A group coordinator that does not answer must not keep partitions from being added, nor the other way round. Retry
/// reasons are kept for each lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The producer's id and epoch, its coordinator, and the end of a transaction.
    Producer,
    /// No requests: batches that are retried while a transaction is being ended.
    Batches,
    /// The partitions of the transaction.
    Partitions,
    /// The offsets of the transaction, in the order of the calls, and their group's coordinator.
    Offsets,
}

impl Lane {
    pub(super) const COUNT: usize = Self::Offsets as usize + 1;
}

/// The condition that a request waits for, besides its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Nothing,
    /// Batches that cannot be sent without this request must be waiting. Such batches may never arrive, so the requests
    /// behind this one do not wait for it.
    BatchesWait,
    /// All batches must have completed (TM-11). Batches always complete, so the requests behind this one wait, too.
    BatchesEnded,
}

/// Why a request got no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequestFailure {
    /// The connection was lost before the response, or could not be established.
    Disconnected(Arc<str>),
    /// The broker supports no version of the request with all its fields.
    UnsupportedVersion(Arc<str>),
    /// The request exceeds a limit of the protocol: it cannot be sent to any broker.
    Unwritable(Arc<str>),
    /// The broker refuses the client's credentials.
    Unauthenticated(Arc<str>),
    /// The brokers refuse to return the coordinator.
    NoCoordinator { code: ErrorCode, message: Arc<str> },
}

/// The reason of a retry: an error response, a response that cannot be used, or an error of the connection. It is part
/// of the errors of calls and records that time out meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RetryReason {
    /// The error code in the response; `None` if there was no response, or no error in it.
    pub(crate) code: Option<ErrorCode>,
    pub(crate) message: Arc<str>,
}

impl RetryReason {
    pub(crate) fn new(message: impl Into<Arc<str>>) -> Self {
        Self {
            code: None,
            message: message.into(),
        }
    }

    /// The request, or the part of it that `about` names, was answered with an error.
    pub(super) fn refused(about: &str, code: ErrorCode) -> Self {
        Self {
            code: Some(code),
            message: format!("{about}: {}", describe(code)).into(),
        }
    }
}

/// A code with its meaning, for messages.
pub(super) fn describe(code: ErrorCode) -> Arc<str> {
    format!("{}: {}", code.name(), code.message()).into()
}

/// The verdict on a completed attempt: done, retry, or retry after a coordinator lookup. The manager keeps the reason
/// of a retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequestVerdict {
    Done,
    /// The request is retried, at its old position in the queue, after the back-off `wait`, which is at least
    /// [`SHORTEST_BACKOFF`]. Requests of lower priority and later ones of its
    /// lane wait too.
    Retry {
        wait: Duration,
        why: RetryReason,
    },
    /// The request is retried after the back-off `wait` and a new lookup of its coordinator.
    FindCoordinator {
        wait: Duration,
        why: RetryReason,
    },
}

impl RequestVerdict {
    /// The reason of the retry; `None` if there is no retry.
    pub(super) fn retry_reason(&self) -> Option<&RetryReason> {
        match self {
            Self::Done => None,
            Self::Retry { why, .. } | Self::FindCoordinator { why, .. } => Some(why),
        }
    }
}

/// Whether a coordinator may have executed a request that it answers with this code: false only for codes that it
/// returns before it writes to its log. A coordinator that loses leadership of its log during the write answers
/// `NOT_COORDINATOR`, or `COORDINATOR_LOAD_IN_PROGRESS` if it loads that log again, and the next coordinator may find the
/// write in the log.
pub(super) fn may_be_carried_out(code: ErrorCode) -> bool {
    !matches!(
        code,
        ErrorCode::ConcurrentTransactions
            | ErrorCode::InvalidProducerEpoch
            | ErrorCode::ProducerFenced
            | ErrorCode::InvalidProducerIdMapping
            | ErrorCode::UnknownProducerId
            | ErrorCode::InvalidTxnState
            | ErrorCode::TransactionAbortable
            | ErrorCode::TransactionalIdAuthorizationFailed
            | ErrorCode::ClusterAuthorizationFailed
            | ErrorCode::TopicAuthorizationFailed
            | ErrorCode::GroupAuthorizationFailed
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::OperationNotAttempted
            | ErrorCode::UnsupportedVersion
            | ErrorCode::InvalidRequest
    )
}

/// The back-off of a request that begins a transaction while the markers of the previous transaction are still being
/// written (TM-15). The first one is [`SHORTEST_BACKOFF`], which is usually enough: if short transactions follow each
/// other, this wait is most of their duration.
#[derive(Debug, Default)]
pub(super) struct ConcurrentBackoff {
    has_waited: bool,
}

impl ConcurrentBackoff {
    /// The longest back-off.
    const LONGEST: Duration = Duration::from_millis(20);

    /// The next back-off, at most `usual`.
    pub(super) fn next(&mut self, usual: Duration) -> Duration {
        let longest = if std::mem::replace(&mut self.has_waited, true) {
            Self::LONGEST
        } else {
            SHORTEST_BACKOFF
        };
        usual.min(longest)
    }
}

/// A transactional request and its response handler. The same value handles all attempts, until its [`RequestVerdict`]
/// is [`Done`](RequestVerdict::Done).
///
/// # Threads
/// Used by the sender only, as is the manager that it changes.
/// # Kafka
/// `TransactionManager.TxnRequestHandler`.
pub(crate) trait RequestHandler: fmt::Debug + Send {
    fn destination(&self) -> Destination;

    fn priority(&self) -> Priority;

    fn lane(&self) -> Lane {
        Lane::Producer
    }

    /// The coordinator that this request looks up; `None` for requests of other kinds.
    fn looks_up(&self) -> Option<&CoordinatorKey> {
        None
    }

    fn condition(&self, _manager: &TransactionManager) -> Condition {
        Condition::Nothing
    }

    /// Whether the request is still needed when its turn comes. For example, a partition need not be added to a
    /// transaction that is to be aborted.
    fn is_needed(&self, _manager: &TransactionManager) -> bool {
        true
    }

    /// Whether the request has to be sent, once its [condition](Self::condition) is met. False for the EndTxn of a
    /// transaction that the coordinator cannot have begun: the transaction ends without a request, but not before its
    /// batches. Also false for the AddOffsetsToTxn of a group that the coordinator has added.
    fn asks_broker(&self, _manager: &TransactionManager) -> bool {
        true
    }

    /// Handles a request that is not sent, because [`is_needed`](Self::is_needed) or [`asks_broker`](Self::asks_broker)
    /// returned false.
    fn handle_unneeded(&mut self, _manager: &mut TransactionManager, _now: Instant) {}

    /// Whether a graceful close waits for this request.
    fn is_awaited(&self, _manager: &TransactionManager) -> bool {
        false
    }

    /// Whether the request is part of a transaction: it carries the epoch of the producer, and changes the transaction
    /// that the coordinator has open for that epoch.
    fn is_of_transaction(&self) -> bool {
        match self.priority() {
            Priority::AddPartitionsOrOffsets | Priority::EndTransaction => true,
            Priority::FindCoordinator | Priority::InitProducerId | Priority::EpochBump => false,
        }
    }

    /// Whether the request is sent to the coordinator of the transactional id.
    fn is_to_own_coordinator(&self) -> bool {
        match self.destination() {
            Destination::Coordinator(of) => of.kind == CoordinatorType::TRANSACTION,
            Destination::AnyNode => false,
        }
    }

    /// Whether the coordinator begins the transaction when it receives this request, unless it has begun it before.
    fn begins_transaction(&self) -> bool {
        false
    }

    /// Whether the request is an EndTxn that commits: once it is sent, the transaction may be committed.
    fn commits(&self) -> bool {
        false
    }

    /// The request to send; built anew for each attempt.
    fn request(&self, manager: &TransactionManager) -> Request;

    /// Handles the response, and changes the manager accordingly.
    fn handle_response(
        &mut self,
        response: Response,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> RequestVerdict;

    /// Handles an attempt that got no response.
    ///
    /// # Kafka
    /// `TxnRequestHandler#onComplete`, `TransactionManager#authenticationFailed`: after a lost connection the
    /// coordinator is looked up again; an unsupported version and refused credentials are fatal to the producer.
    fn handle_failure(
        &mut self,
        failure: RequestFailure,
        manager: &mut TransactionManager,
        _now: Instant,
    ) -> RequestVerdict {
        manager.no_answer(failure)
    }

    /// Called when the request is dropped, unsent or not retried: the producer has failed, is closed, or panicked,
    /// perhaps in this handler.
    fn give_up(&mut self, _why: &Arc<str>, _manager: &mut TransactionManager) {}
}
