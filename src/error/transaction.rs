//! Errors of transactional calls.

use std::fmt;
use std::sync::Arc;

use super::{ErrorCode, Misuse};

/// Why a transactional call failed, and what can be done next.
///
/// | [`kind`](Self::kind) | what to do |
/// |---|---|
/// | [`TimedOut`](TransactionErrorKind::TimedOut) | retry the same call: it resumes waiting for the operation that the failed call started |
/// | [`Abortable`](TransactionErrorKind::Abortable) | `abort_transaction`, then begin the next |
/// | [`Fenced`](TransactionErrorKind::Fenced), [`Fatal`](TransactionErrorKind::Fatal) | close the producer and build another |
/// | [`WrongState`](TransactionErrorKind::WrongState), [`InvalidOffsets`](TransactionErrorKind::InvalidOffsets), [`Misuse`](TransactionErrorKind::Misuse) | fix the program: the call has changed nothing, except that a guard's `commit` or `abort` inside a callback leaves its transaction `Abortable` |
/// | [`Closed`](TransactionErrorKind::Closed) | nothing: the producer is closed |
///
/// Cheap to clone.
///
/// ```
/// use kafka_producer::{KafkaProducer, TransactionError, TransactionErrorKind};
///
/// fn commit(producer: &KafkaProducer<str, str>) -> Result<(), TransactionError> {
///     loop {
///         match producer.commit_transaction() {
///             // The same call resumes waiting.
///             Err(error) if error.kind() == TransactionErrorKind::TimedOut => eprintln!("{error}"),
///             Err(error) if error.is_abortable() => return producer.abort_transaction(),
///             other => return other,
///         }
///     }
/// }
/// # let mock = kafka_producer::testing::MockProducer::builder().transactional_id("billing-1");
/// # let (producer, _mock) = mock.build()?;
/// # producer.init_transactions()?;
/// # producer.begin_transaction()?;
/// # commit(&producer)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Kafka
/// What the transactional methods of `KafkaProducer` throw: `TimeoutException`, `KafkaException`,
/// `ProducerFencedException`, `IllegalStateException` and others, as one type with predicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionError {
    call: TransactionCall,
    failure: TransactionFailure,
}

/// A transactional call. `Display` prints the method's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransactionCall {
    /// `init_transactions`.
    InitTransactions,
    /// `begin_transaction`, or `transaction`, which begins a transaction for a guard.
    BeginTransaction,
    /// `send` of a producer with a `transactional.id`, or of a guard.
    Send,
    /// `send_offsets_to_transaction`.
    SendOffsetsToTransaction,
    /// `commit_transaction`.
    CommitTransaction,
    /// `abort_transaction`.
    AbortTransaction,
    /// `fence_producer` of the mock producer.
    FenceProducer,
}

impl fmt::Display for TransactionCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InitTransactions => "init_transactions",
            Self::BeginTransaction => "begin_transaction",
            Self::Send => "send",
            Self::SendOffsetsToTransaction => "send_offsets_to_transaction",
            Self::CommitTransaction => "commit_transaction",
            Self::AbortTransaction => "abort_transaction",
            Self::FenceProducer => "fence_producer",
        })
    }
}

/// The kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionErrorKind {
    /// The timeout passed. The operation goes on: retry the same call to learn its result. Until then other
    /// transactional calls are rejected. Exception: `send_offsets_to_transaction` that waited for more than a hundred
    /// earlier calls was not begun, as its text says: a commit would not include its offsets.
    TimedOut,
    /// The transaction cannot be committed. Abort it; the producer can be used for the next transaction.
    Abortable,
    /// The producer was fenced: another producer with the same `transactional.id` has taken over, or the coordinator
    /// aborted the transaction because it was open for longer than `transaction.timeout.ms`. This producer cannot be
    /// used any more.
    Fenced,
    /// The producer cannot be used any more.
    Fatal,
    /// The call is not allowed in the producer's current state, which the text names.
    WrongState,
    /// The offsets or the group metadata are invalid for every broker; the text names the invalid part. Nothing was
    /// sent.
    InvalidOffsets,
    /// The call is not allowed where it was made.
    Misuse(Misuse),
    /// The producer was closed.
    Closed,
}

impl TransactionError {
    pub(crate) fn new(call: TransactionCall, failure: TransactionFailure) -> Self {
        Self { call, failure }
    }

    /// The error of the same call, with another failure.
    pub(crate) fn map(self, change: impl FnOnce(TransactionFailure) -> TransactionFailure) -> Self {
        Self {
            failure: change(self.failure),
            ..self
        }
    }

    /// The kind of the failure.
    pub fn kind(&self) -> TransactionErrorKind {
        self.failure.kind
    }

    /// The call that failed.
    pub fn call(&self) -> TransactionCall {
        self.call
    }

    /// Kafka's error code, if an error response caused the failure.
    pub fn code(&self) -> Option<ErrorCode> {
        self.failure.code
    }

    /// True if the same call can be retried: it then resumes where the failed call stopped.
    pub fn is_retriable(&self) -> bool {
        self.failure.kind == TransactionErrorKind::TimedOut
    }

    /// True if the transaction must be aborted. After the abort the producer can be used again.
    pub fn is_abortable(&self) -> bool {
        self.failure.kind == TransactionErrorKind::Abortable
    }

    /// True if the producer cannot be used any more.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self.failure.kind,
            TransactionErrorKind::Fenced
                | TransactionErrorKind::Fatal
                | TransactionErrorKind::Closed
        )
    }

    /// True if the producer was fenced: by another producer with the same `transactional.id`, or by the coordinator;
    /// see [`Fenced`](TransactionErrorKind::Fenced).
    pub fn is_fenced(&self) -> bool {
        self.failure.kind == TransactionErrorKind::Fenced
    }

    /// True if the transaction may be committed in spite of the error: an EndTxn request with commit was sent, or may
    /// have been sent, and the coordinator has not responded; or a commit is still in progress, which timed out or for
    /// which another thread waits. Until the result is known, the errors of all calls return true, whatever their kind.
    /// Once the producer has failed, the errors of all later calls return the same value. The errors of a
    /// [`Transaction`](crate::Transaction) also return true if another call has committed that transaction, and may
    /// return true if the transaction is older than the newest committed one.
    pub fn may_be_committed(&self) -> bool {
        self.failure.may_be_committed
    }
}

impl fmt::Display for TransactionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, self.failure)?;
        if self.failure.may_be_committed {
            write!(f, " (the transaction may have been committed)")?;
        }
        Ok(())
    }
}

impl std::error::Error for TransactionError {}

/// Why a transaction, or the producer, failed: the part of the error that does not depend on the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransactionFailure {
    pub(crate) kind: TransactionErrorKind,
    pub(crate) code: Option<ErrorCode>,
    pub(crate) message: Arc<str>,
    /// True if an EndTxn request with commit was sent, or may still be sent, and its outcome is unknown.
    pub(crate) may_be_committed: bool,
}

impl TransactionFailure {
    pub(crate) fn new(
        kind: TransactionErrorKind,
        code: Option<ErrorCode>,
        message: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            kind,
            code,
            message: message.into(),
            may_be_committed: false,
        }
    }

    /// Sets whether the transaction may be committed.
    #[must_use]
    pub(crate) fn in_doubt(self, may_be_committed: bool) -> Self {
        Self {
            may_be_committed,
            ..self
        }
    }

    pub(crate) fn misuse(why: Misuse) -> Self {
        Self::new(TransactionErrorKind::Misuse(why), None, why.to_string())
    }

    pub(crate) fn wrong_state(message: impl Into<Arc<str>>) -> Self {
        Self::new(TransactionErrorKind::WrongState, None, message)
    }
}

impl fmt::Display for TransactionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TransactionErrorKind::Abortable => {
                write!(f, "the transaction must be aborted: {}", self.message)
            }
            TransactionErrorKind::Fenced | TransactionErrorKind::Fatal => write!(
                f,
                "the producer failed and must be replaced by a new one: {}",
                self.message
            ),
            _ => f.write_str(&self.message),
        }
    }
}
