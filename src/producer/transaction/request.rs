//! Transactional requests as data: what is to be sent, to whom, before what else, and who reads what came of it.
//!
//! The sender carries requests out and knows none of them. Whoever has one to make puts a [`RequestHandler`] into
//! the queue of the [`TransactionManager`]; one handler is one kind of request, in a file of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::TransactionManager;
use crate::clock::Instant;
use crate::error::ErrorCode;
use crate::protocol::{CoordinatorType, Request, Response};

/// What a coordinator looks after: the transactions of a transactional id, or a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CoordinatorKey {
    pub(crate) kind: CoordinatorType,
    pub(crate) key: Arc<str>,
}

/// Who a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Any broker: the one that has the least to do.
    AnyNode,
    /// The broker that looks after this, wherever it is: it is looked up first where it is not known.
    Coordinator(CoordinatorKey),
}

/// What goes before what; requests of one priority go in the order they were made.
///
/// # Kafka
/// `TransactionManager.Priority` (TM-9). Differs: there the order of equals is not fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "transactions will make requests of each")
)]
pub(crate) enum Priority {
    FindCoordinator,
    InitProducerId,
    AddPartitionsOrOffsets,
    EndTransaction,
    EpochBump,
}

/// What a request waits for beside its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Nothing,
    /// There must be batches that cannot be sent without it. They may never come: others go before it meanwhile.
    BatchesWait,
    /// All batches must have ended (TM-11), which they do by themselves: what stands behind it waits too.
    BatchesEnded,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The connection ended before there was one, or there could be no connection.
    Disconnected(Arc<str>),
    /// The broker knows no version of the request that can carry it.
    UnsupportedVersion(Arc<str>),
    /// The broker refuses the client's credentials.
    Unauthenticated(Arc<str>),
    /// The brokers will not say who the coordinator is.
    NoCoordinator { code: ErrorCode, message: Arc<str> },
}

/// What becomes of a request that has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// It is sent again in its old place, no sooner than after `wait`, which is never shorter than
    /// [`SHORTEST_BACKOFF`](crate::util::backoff::SHORTEST_BACKOFF); what stands behind it waits too.
    Retry {
        wait: Duration,
    },
    /// The like, and its coordinator is looked up before.
    FindCoordinator {
        wait: Duration,
    },
}

/// A request to be made, and what its end means. It is one value from when it is put into the queue until its
/// [`Verdict`] is [`Done`](Verdict::Done), however often it is sent.
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
    /// that is to be aborted, nor one be ended that has nothing in it.
    fn is_needed(&self, _manager: &TransactionManager) -> bool {
        true
    }

    /// It was [not needed](Self::is_needed) any more, and is not made.
    fn handle_unneeded(&mut self, _manager: &mut TransactionManager, _now: Instant) {}

    /// Whether somebody waits for its end: a producer that is closed in peace makes it first.
    fn is_awaited(&self, _manager: &TransactionManager) -> bool {
        false
    }

    /// The request as it is to be sent now: each attempt asks anew.
    fn request(&self, manager: &TransactionManager) -> Request;

    /// The broker answered. What follows from it is told to the manager.
    fn handle_response(
        &mut self,
        response: Response,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> Verdict;

    /// There was no answer.
    ///
    /// # Kafka
    /// `TxnRequestHandler#onComplete`, `TransactionManager#authenticationFailed`: without a connection the
    /// coordinator is looked up again; without a version or credentials the producer is at its end.
    fn handle_failure(
        &mut self,
        failure: Failure,
        manager: &mut TransactionManager,
        _now: Instant,
    ) -> Verdict {
        match failure {
            Failure::Disconnected(_) => Verdict::FindCoordinator {
                wait: manager.retry_backoff(),
            },
            Failure::UnsupportedVersion(why) => {
                manager.fail_with(ErrorCode::UnsupportedVersion, &why);
                Verdict::Done
            }
            Failure::Unauthenticated(why) => {
                manager.fail_with(ErrorCode::SaslAuthenticationFailed, &why);
                Verdict::Done
            }
            Failure::NoCoordinator { code, message } => {
                manager.fail_with(code, &message);
                Verdict::Done
            }
        }
    }

    /// It will not be sent, or not again: the producer has failed, is closed, or panicked, in this handler perhaps.
    fn give_up(&mut self, _why: &Arc<str>, _manager: &mut TransactionManager) {}
}
