//! The state of a producer, for probes.

use std::fmt;

use super::core::Core;
use super::lifecycle::SenderThread;
use super::transaction::TransactionManagerState;
use crate::error::{CLOSED, Misuse, ProducerFailure, TransactionCall, TransactionError};

/// The state of a producer: see [`KafkaProducer::state`](crate::KafkaProducer::state). `Display` prints a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LifecycleState {
    /// It takes records.
    Running,
    /// `close` was called: the records that it has are being delivered, and no new ones are taken.
    Closing,
    /// It is closed, and its thread has ended.
    Closed,
    /// It failed for good, by an error in this library or a panic that it could not contain: build another one.
    Failed(ProducerFailure),
    /// No transaction can be begun any more, for example because another producer with the same `transactional.id` has
    /// taken over: build another one. This is the error of a `send`.
    TransactionsFailed(TransactionError),
    /// This process was forked after the producer was built: build another one.
    Forked,
}

impl LifecycleState {
    pub(super) fn of(core: &Core, thread: &SenderThread) -> Self {
        if core.instance.id().is_forked() {
            return Self::Forked;
        }
        // Read before the failure, which is set before the producer stops running: a failed producer that no longer
        // runs is never taken for one that is being closed.
        let is_running = core.control.is_running();
        if let Some(failure) = core.control.failure() {
            return Self::Failed(failure.clone());
        }
        if !is_running {
            return if thread.has_ended() {
                Self::Closed
            } else {
                Self::Closing
            };
        }
        // A closing producer fails its transactions as well, so they come last.
        let failed = core
            .transactions
            .as_ref()
            .filter(|transactions| transactions.state() == TransactionManagerState::FatalError);
        match failed.and_then(|transactions| transactions.failure()) {
            Some(failure) => {
                Self::TransactionsFailed(TransactionError::new(TransactionCall::Send, failure))
            }
            None => Self::Running,
        }
    }

    /// Whether the producer takes records.
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running)
    }
}

impl fmt::Display for LifecycleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("the producer is running"),
            Self::Closing => f.write_str("the producer is being closed"),
            Self::Closed => f.write_str(CLOSED),
            Self::Failed(failure) => failure.fmt(f),
            Self::TransactionsFailed(error) => error.fmt(f),
            Self::Forked => Misuse::Forked.fmt(f),
        }
    }
}
