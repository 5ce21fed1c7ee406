//! The [`RequestHandler`] trait of transactional requests: destination, priority, condition, and response handling.
//!
//! The sender sends requests without knowing their kinds. Each kind is a handler in a file of its own, and is pushed to
//! the request queue of the [`TransactionManager`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::TransactionManager;
use crate::clock::Instant;
use crate::error::ErrorCode;
use crate::protocol::{CoordinatorType, Request, Response};

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

/// The priority of a request; equal ones are sent in the order they were queued.
///
/// # Kafka
/// `TransactionManager.Priority` (TM-9). Differs: there the order of equals is not fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    FindCoordinator,
    InitProducerId,
    AddPartitionsOrOffsets,
    EndTransaction,
    EpochBump,
}

/// The condition that a request waits for, besides its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Nothing,
    /// There must be batches that cannot be sent without it. They may never come: others go before it meanwhile.
    BatchesWait,
    /// All batches must have completed (TM-11), which they do by themselves: the requests behind it wait too.
    BatchesEnded,
}

/// Why a request got no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequestFailure {
    /// The connection ended before there was one, or there could be no connection.
    Disconnected(Arc<str>),
    /// The broker knows no version of the request that can carry it.
    UnsupportedVersion(Arc<str>),
    /// The request holds more than the protocol can carry: no broker can be sent it.
    Unwritable(Arc<str>),
    /// The broker refuses the client's credentials.
    Unauthenticated(Arc<str>),
    /// The brokers refuse to return the coordinator.
    NoCoordinator { code: ErrorCode, message: Arc<str> },
}

/// The verdict on a completed attempt: done, retry, or retry after a coordinator lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestVerdict {
    Done,
    /// It is retried, in its old place in the queue, after the back-off `wait`, which is at least
    /// [`SHORTEST_BACKOFF`](crate::util::backoff::SHORTEST_BACKOFF); the requests behind it wait too.
    Retry {
        wait: Duration,
    },
    /// It is retried after its coordinator was looked up again.
    FindCoordinator {
        wait: Duration,
    },
}

/// Whether a coordinator may have executed a request that it answers with this code. One that loses leadership of its
/// log during the write answers `NOT_COORDINATOR`, and the write may survive for the next coordinator.
pub(super) fn may_be_carried_out(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::RequestTimedOut
            | ErrorCode::UnknownServerError
            | ErrorCode::NotCoordinator
            | ErrorCode::CoordinatorNotAvailable
    )
}

/// A transactional request and its response handler. One value from the queue until its [`RequestVerdict`] is
/// [`Done`](RequestVerdict::Done), over all retries.
///
/// # Threads
/// The sender's alone, as is the manager that it changes.
/// # Kafka
/// `TransactionManager.TxnRequestHandler`.
pub(crate) trait RequestHandler: fmt::Debug + Send {
    fn destination(&self) -> Destination;

    fn priority(&self) -> Priority;

    fn condition(&self, _manager: &TransactionManager) -> Condition {
        Condition::Nothing
    }

    /// Whether it is still worth making, asked when its turn comes: a partition need not be added to a transaction
    /// that is to be aborted.
    fn is_needed(&self, _manager: &TransactionManager) -> bool {
        true
    }

    /// Whether the broker has to be asked, once what it [waits for](Self::condition) is there: a transaction that the
    /// coordinator knows nothing of ends without a word, but not before its batches.
    fn asks_broker(&self, _manager: &TransactionManager) -> bool {
        true
    }

    /// Handles a request that is not sent: it is no longer [needed](Self::is_needed), or [asks no
    /// broker](Self::asks_broker).
    fn handle_unneeded(&mut self, _manager: &mut TransactionManager, _now: Instant) {}

    /// Whether a graceful close waits for this request.
    fn is_awaited(&self, _manager: &TransactionManager) -> bool {
        false
    }

    /// Whether the coordinator begins the transaction with it, unless it has begun it before.
    fn begins_transaction(&self) -> bool {
        false
    }

    /// Whether it is an EndTxn that commits: once sent, the transaction may be committed.
    fn commits(&self) -> bool {
        false
    }

    /// The request as it is to be sent now: each attempt asks anew.
    fn request(&self, manager: &TransactionManager) -> Request;

    /// Handles the response, and changes the manager accordingly.
    fn handle_response(
        &mut self,
        response: Response,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> RequestVerdict;

    /// There was no answer.
    ///
    /// # Kafka
    /// `TxnRequestHandler#onComplete`, `TransactionManager#authenticationFailed`: without a connection the
    /// coordinator is looked up again; without a version or credentials the producer is at its end.
    fn handle_failure(
        &mut self,
        failure: RequestFailure,
        manager: &mut TransactionManager,
        _now: Instant,
    ) -> RequestVerdict {
        manager.no_answer(failure)
    }

    /// The request is dropped, unsent or not retried: the producer has failed, is closed, or panicked, perhaps in this
    /// handler.
    fn give_up(&mut self, _why: &Arc<str>, _manager: &mut TransactionManager) {}
}
