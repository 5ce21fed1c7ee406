//! Events of a run, as data: input of the checker and of the trace.

use std::fmt;
use std::time::Duration;

use kafka_producer::internals::simulation::Coordinated;

use crate::scenario::TxnStage;

/// Number of a record, in the order in which records are offered; the record's value begins with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RecordId(pub(crate) u64);

/// Number of a call of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallId(pub(crate) u64);

/// Index of a producer in the scenario.
pub(crate) type ProducerIndex = usize;

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) struct Event {
    /// Time since the start.
    pub(crate) at: Duration,
    pub(crate) who: Who,
    pub(crate) kind: EventKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Who {
    /// An application thread.
    Thread {
        producer: ProducerIndex,
        thread: usize,
    },
    Sender(ProducerIndex),
    Broker(i32),
    /// The scenario's faults, and the run itself.
    World,
}

/// The outcome of a record, as reported by its future or callback.
#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) enum Outcome {
    /// Offset and timestamp are -1 if the brokers do not report them.
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
    /// The `ProduceErrorKind`, printed with `{:?}`.
    pub(crate) kind: String,
    pub(crate) may_be_written: bool,
    /// The whole error text.
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
        /// The same for all partitions; every call has an offset of its own.
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
    /// Whether this is a transactional call.
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

/// The result of a call: `Ok`, or its error as printed with `{:?}` (the first word names the kind) and with `{}`.
#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) enum Returned {
    Ok,
    /// For a transactional call `kind` is the error's `TransactionErrorKind`.
    Error {
        kind: String,
        text: String,
    },
}

impl Returned {
    /// The kind of the error; `None` for success.
    pub(crate) fn kind(&self) -> Option<&str> {
        match self {
            Self::Ok => None,
            Self::Error { kind, .. } => Some(kind),
        }
    }

    /// Whether a transactional call failed and reported that its transaction may have been committed.
    pub(crate) fn may_be_committed(&self) -> bool {
        const DOUBT: &str = "(the transaction may have been committed)";
        matches!(self, Self::Error { text, .. } if text.ends_with(DOUBT))
    }
}

/// A call of a metrics reporter, with the printed name of the metric.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Report {
    Context,
    Init,
    Change(String),
    Removal(String),
    Close,
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) enum EventKind {
    CallBegins {
        call: CallId,
        operation: Call,
    },
    /// The call begins to wait: one event for each thing it waits for ("metadata", "memory", "a batch", "the sender's
    /// end"). `until` is `None` for a wait without a time limit.
    CallWaits {
        call: CallId,
        until: Option<Duration>,
    },
    CallEnds {
        call: CallId,
        returned: Returned,
    },

    /// A record is offered, before anything is done with it. `inside` is true if user code offers it.
    RecordOffered {
        record: RecordId,
        producer: ProducerIndex,
        topic: String,
        partition: Option<i32>,
        key: Option<Vec<u8>>,
        /// In milliseconds; `None` for the time of sending.
        timestamp: Option<i64>,
        /// Hash of key, value and headers, see `contents_of`.
        contents: u64,
        size: usize,
        has_callback: bool,
        inside: bool,
    },
    /// `send` returned a future. The record may still fail.
    RecordAccepted {
        record: RecordId,
    },
    /// `send` refused the record: there is no future.
    RecordRefused {
        record: RecordId,
        kind: String,
        text: String,
    },
    /// The future reported an outcome (by `get`, `poll`, or `is_done` and `get`); possibly more than once.
    FutureReported {
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

    /// An interceptor was called: `on_send` if `sent`, otherwise `on_acknowledgement`.
    Intercepted {
        producer: ProducerIndex,
        sent: bool,
    },
    /// A metrics reporter was called.
    Reported {
        producer: ProducerIndex,
        report: Report,
    },
    /// A piece of user code performed an act.
    UserCode {
        piece: &'static str,
        act: String,
    },

    /// A batch was written. `incarnation` counts how often a topic of this name was created, over all clusters.
    Appended {
        topic: String,
        incarnation: u64,
        partition: i32,
        base_offset: i64,
        records: Vec<RecordId>,
        /// For each record, the hash of its key, value and headers.
        contents: Vec<u64>,
        timestamps: Vec<i64>,
        producer_id: i64,
        epoch: i16,
        sequence: i32,
        /// Whether the batch belongs to a transaction.
        transactional: bool,
        /// Hash of the bytes that are the same in each retry of the batch: attributes, timestamps and records.
        digest: u64,
    },
    /// A broker recognized a batch as a duplicate.
    Duplicate {
        topic: String,
        partition: i32,
        base_offset: i64,
        records: Vec<RecordId>,
    },
    /// The log lost all records from this offset on, by an unclean leader election or because its topic was deleted.
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
    /// A transaction marker was written to a partition.
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
    /// A coordinator changed the state of a transactional id.
    Coordinated {
        transactional_id: String,
        producer_id: i64,
        epoch: i16,
        change: Coordinated,
    },
    /// A request reached a broker. `fate` is "NONE", the names of error codes, "closed" or "silent".
    Request {
        api: &'static str,
        version: i16,
        bytes: usize,
        fate: String,
    },

    /// A TLS handshake completed at a broker.
    Handshake {
        /// TLS 1.3; otherwise TLS 1.2.
        is_newest: bool,
        /// An earlier session was resumed.
        is_resumed: bool,
        /// The client showed a certificate.
        has_certificate: bool,
        /// The broker showed a valid certificate.
        is_trusted: bool,
    },

    FaultBegins {
        fault: usize,
    },
    FaultEnds {
        fault: usize,
    },
    Healed,

    /// A log line; `who` is the thread that logged it.
    LogLine {
        level: log::Level,
        text: String,
    },
    /// A step of the sender: whether it now waits, and until when; `until` is `None` without a time limit.
    SenderStep {
        waits: bool,
        until: Option<Duration>,
    },
    SenderEnded,
    /// The application of a producer crashed at this stage.
    Crashed {
        producer: ProducerIndex,
        stage: TxnStage,
    },
    /// The run cannot end; `why` is the reason.
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
