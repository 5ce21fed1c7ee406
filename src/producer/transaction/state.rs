//! The state machine of a transactional producer.

use std::fmt;

/// The state of a transactional producer.
///
/// ```text
///  Uninitialized ─init▶ Initializing ──▶ Ready ─begin▶ InTransaction ─commit▶ Committing ──▶ Ready
///                            ▲             ▲                │     │               │
///                            │             └── Aborting ◀───┼─abort               │ something failed
///                            └─ epoch bumped ──┘   ▲        ▼                     │
///                                                  └─ AbortableError ◀────────────┘
///  FatalError: from anywhere, for good
/// ```
///
/// # Kafka
/// `TransactionManager.State` (TM-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionManagerState {
    Uninitialized,
    Initializing,
    Ready,
    InTransaction,
    Committing,
    Aborting,
    AbortableError,
    FatalError,
}

impl TransactionManagerState {
    /// The table of state transitions (TM-2): whether `next` may follow this state.
    pub(super) fn may_become(self, next: Self) -> bool {
        match next {
            Self::Uninitialized => false,
            Self::Initializing => self == Self::Uninitialized || self.is_completing(),
            Self::Ready => self == Self::Initializing || self.is_completing(),
            Self::InTransaction => self == Self::Ready,
            Self::Committing => self == Self::InTransaction,
            Self::Aborting => matches!(self, Self::InTransaction | Self::AbortableError),
            Self::AbortableError => matches!(self, Self::InTransaction | Self::Committing),
            Self::FatalError => self != Self::FatalError,
        }
    }

    /// Whether the transaction is being aborted, or must be aborted. If so, no new batches are sent, only retries.
    pub(crate) fn is_aborting(self) -> bool {
        matches!(self, Self::Aborting | Self::AbortableError)
    }

    /// Whether the transaction is being committed or aborted.
    pub(crate) fn is_completing(self) -> bool {
        matches!(self, Self::Committing | Self::Aborting)
    }
}

impl fmt::Display for TransactionManagerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uninitialized => "init_transactions was not called yet",
            Self::Initializing => "the producer's id is being asked for",
            Self::Ready => "no transaction is open",
            Self::InTransaction => "a transaction is open",
            Self::Committing => "the transaction is being committed",
            Self::Aborting => "the transaction is being aborted",
            Self::AbortableError => "the transaction has failed and must be aborted",
            Self::FatalError => "the producer has failed for good",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [TransactionManagerState; 8] = [
        TransactionManagerState::Uninitialized,
        TransactionManagerState::Initializing,
        TransactionManagerState::Ready,
        TransactionManagerState::InTransaction,
        TransactionManagerState::Committing,
        TransactionManagerState::Aborting,
        TransactionManagerState::AbortableError,
        TransactionManagerState::FatalError,
    ];

    /// The state transitions of Kafka (TM-2). Differs: a second error does not replace the first, and an epoch bump may
    /// follow a commit.
    #[test]
    fn only_the_listed_state_transitions_are_allowed() {
        use TransactionManagerState::{
            AbortableError, Aborting, Committing, FatalError, InTransaction, Initializing, Ready,
            Uninitialized,
        };
        let table: [(TransactionManagerState, &[TransactionManagerState]); 8] = [
            (Uninitialized, &[Initializing, FatalError]),
            (Initializing, &[Ready, FatalError]),
            (Ready, &[InTransaction, FatalError]),
            (
                InTransaction,
                &[Committing, Aborting, AbortableError, FatalError],
            ),
            (
                Committing,
                &[Initializing, Ready, AbortableError, FatalError],
            ),
            (Aborting, &[Initializing, Ready, FatalError]),
            (AbortableError, &[Aborting, FatalError]),
            (FatalError, &[]),
        ];
        for (from, to) in table {
            let can: Vec<TransactionManagerState> =
                ALL.into_iter().filter(|it| from.may_become(*it)).collect();
            assert_eq!(can, to, "from {from:?}");
        }
    }
}
