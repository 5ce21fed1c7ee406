//! What happens in a run, as data: for the checker, and for the trace that a person reads.

use std::fmt;
use std::time::Duration;

use kafka_producer::internals::simulation::Coordinated;

use crate::scenario::TxnStage;

/// A record that the application offered, numbered in the order of offering; its value begins with the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RecordId(pub(crate) u64);

/// One call of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallId(pub(crate) u64);

/// One of the producers of the scenario, by its place there.
pub(crate) type ProducerIndex = usize;

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) struct Event {
    /// Since the start.
    pub(crate) at: Duration,
    pub(crate) who: Who,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Who {
    /// A thread of the application.
    Thread {
        producer: ProducerIndex,
        thread: usize,
    },
    Sender(ProducerIndex),
    Broker(i32),
    /// The faults of the scenario, and what the run itself does.
    World,
}

/// What a record's future or callback was told.
#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) enum Outcome {
    /// Offset and timestamp -1 where the brokers do not tell.
    Acknowledged {
        topic: String,
        partition: i32,
        offset: i64,
        timestamp: i64,
    },
    Failed(Failure),
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) struct Failure {
    /// `ProduceErrorKind` as it prints with `{:?}`.
    pub(crate) kind: String,
    pub(crate) may_be_written: bool,
    /// The whole error as it prints.
    pub(crate) text: String,
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) enum Call {
    Build,
    Send(RecordId),
    TrySend(RecordId),
    Flush {
        timeout: Option<Duration>,
    },
    Close {
        timeout: Option<Duration>,
    },
    PartitionsFor {
        topic: String,
    },
    Get {
        record: RecordId,
        timeout: Option<Duration>,
    },
    Await {
        record: RecordId,
    },
    DropFuture {
        record: RecordId,
    },
    DropProducer,
    InitTransactions {
        timeout: Option<Duration>,
    },
    BeginTransaction,
    SendOffsets {
        group: String,
        /// The same in each: no other call has it.
        offset: i64,
        partitions: Vec<(String, i32)>,
        timeout: Option<Duration>,
    },
    Commit {
        timeout: Option<Duration>,
    },
    Abort {
        timeout: Option<Duration>,
    },
}

impl Call {
    /// Whether it begins, fills or ends a transaction.
    pub(crate) fn is_transactional(&self) -> bool {
        matches!(
            self,
            Self::InitTransactions { .. }
                | Self::BeginTransaction
                | Self::SendOffsets { .. }
                | Self::Commit { .. }
                | Self::Abort { .. }
        )
    }
}

/// How a call ended: `Ok`, or the error as it prints with `{:?}` (its first word is its kind) and with `{}`.
#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) enum Returned {
    Ok,
    /// Of a transactional call the kind is that of its error.
    Error {
        kind: String,
        text: String,
    },
}

impl Returned {
    /// The kind of an error.
    pub(crate) fn kind(&self) -> Option<&str> {
        match self {
            Self::Ok => None,
            Self::Error { kind, .. } => Some(kind),
        }
    }

    /// A transactional call said that the transaction may be committed all the same.
    pub(crate) fn may_be_committed(&self) -> bool {
        const SAID: &str = "(the transaction may have been committed)";
        matches!(self, Self::Error { text, .. } if text.ends_with(SAID))
    }
}

/// What a metrics reporter is called for; metrics by their names, as they print.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Report {
    Context,
    Init,
    Change(String),
    Removal(String),
    Close,
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) enum What {
    CallBegins {
        call: CallId,
        what: Call,
    },
    /// The call has something to wait for: said once for each thing ("metadata", "memory", "a batch", "the sender's end").
    CallWaits {
        call: CallId,
        until: Option<Duration>,
    },
    CallEnds {
        call: CallId,
        returned: Returned,
    },

    /// Before anything becomes of it. `inside`: from within the user's code, of that record's producer or another's.
    RecordOffered {
        record: RecordId,
        producer: ProducerIndex,
        topic: String,
        partition: Option<i32>,
        key: Option<Vec<u8>>,
        /// In milliseconds; `None`: that of the sending.
        timestamp: Option<i64>,
        /// Of key, value and headers: see `contents_of`.
        contents: u64,
        size: usize,
        has_callback: bool,
        inside: bool,
    },
    /// A future was returned. That says nothing of the record's fate.
    RecordTaken {
        record: RecordId,
    },
    /// The call itself was refused: there is no future.
    RecordRefused {
        record: RecordId,
        kind: String,
        text: String,
    },
    /// The future says so (by `get`, `poll` or `is_done` and `get`); may be said more than once.
    FutureTold {
        record: RecordId,
        outcome: Outcome,
    },
    CallbackRan {
        record: RecordId,
        outcome: Outcome,
    },
    CallbackDropped {
        record: RecordId,
    },

    /// An interceptor was called: `on_send`, or `on_acknowledgement`.
    Intercepted {
        producer: ProducerIndex,
        sent: bool,
    },
    /// A metrics reporter was called.
    Reported {
        producer: ProducerIndex,
        what: Report,
    },
    /// A piece of the user's code was run, and which of its acts it did.
    UserCode {
        what: &'static str,
        act: String,
    },

    /// A batch was written. `incarnation` counts how often the topic was made, over all clusters.
    Appended {
        topic: String,
        incarnation: u64,
        partition: i32,
        base_offset: i64,
        records: Vec<RecordId>,
        /// Of each record's key, value and headers.
        contents: Vec<u64>,
        timestamps: Vec<i64>,
        producer_id: i64,
        epoch: i16,
        sequence: i32,
        /// It is part of a transaction.
        transactional: bool,
        /// Of the batch's bytes from the records on (attributes and timestamps included).
        digest: u64,
    },
    /// A broker found that it has the batch already.
    Duplicate {
        topic: String,
        partition: i32,
        base_offset: i64,
        records: Vec<RecordId>,
    },
    /// The log lost what it had from this offset on, by an election or with the topic.
    Truncated {
        topic: String,
        incarnation: u64,
        partition: i32,
        from_offset: i64,
    },
    TopicGone {
        topic: String,
        incarnation: u64,
    },
    /// The end of a transaction was written to a partition.
    Marker {
        topic: String,
        incarnation: u64,
        partition: i32,
        offset: i64,
        producer_id: i64,
        epoch: i16,
        committed: bool,
    },
    /// A group's offsets were committed with a transaction.
    OffsetsCommitted {
        group: String,
        producer_id: i64,
        offsets: Vec<(String, i32, i64)>,
    },
    /// A coordinator changed what it keeps of a transactional id.
    Coordinated {
        transactional_id: String,
        producer_id: i64,
        epoch: i16,
        did: Coordinated,
    },
    /// A request came to a broker, and what became of it: "NONE", error codes by name, "closed", "silent".
    Request {
        api: &'static str,
        version: i16,
        bytes: usize,
        fate: String,
    },

    /// A handshake of TLS came to its end at a broker.
    Handshake {
        is_newest: bool,
        is_resumed: bool,
        has_certificate: bool,
        /// The broker has shown a certificate that clients may take.
        is_trusted: bool,
    },

    FaultBegins {
        fault: usize,
    },
    FaultEnds {
        fault: usize,
    },
    Healed,

    /// A line of the log; `who` says on whose thread.
    LogLine {
        level: log::Level,
        text: String,
    },
    /// A step of the sender: whether it came to wait, and until when.
    SenderStep {
        waits: bool,
        until: Option<Duration>,
    },
    SenderEnded,
    /// The application of a producer ended without a word, and what it was at.
    Crashed {
        producer: ProducerIndex,
        stage: TxnStage,
    },
    /// The scenario is over, or would never end: why.
    Stuck {
        why: String,
    },
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {}", self.0)
    }
}
