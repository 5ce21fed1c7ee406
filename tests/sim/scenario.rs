//! Scenario: everything that one run of the simulator does, as data. It is drawn from a seed, shrunk when it fails, and
//! stored as JSON when it has found a bug.
//!
//! All times are simulated. Points in time count from the start of the run. Random choices during the run (which task
//! steps next, how long a piece of a stream travels) follow from [`Scenario::seed`] as well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The input of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scenario {
    /// Seed of the random choices during the run.
    pub(crate) seed: u64,
    pub(crate) network: Network,
    pub(crate) brokers: Brokers,
    pub(crate) topics: Vec<Topic>,
    pub(crate) producers: Vec<Producer>,
    /// Behaviour of the logger, which is called for each log line.
    pub(crate) logger: Behaviour,
    /// Whether the logger takes lines of all levels; otherwise it takes only Info and above.
    #[serde(default)]
    pub(crate) logs_all: bool,
    /// The longest time that an application thread takes for one step of packing a batch, while other tasks run.
    #[serde(default)]
    pub(crate) packing_us: u64,
    pub(crate) faults: Vec<TimedFault>,
    /// The time at which all faults end. From then on every record and call has to complete.
    pub(crate) heal_at_ms: u64,
}

/// The network without faults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Network {
    /// The longest time to establish a connection.
    pub(crate) connect_us: u64,
    /// The longest time that a piece of a stream is in flight.
    pub(crate) latency_us: u64,
    /// Buffer size of one direction of a connection, in bytes.
    pub(crate) capacity: usize,
    /// Whether reads and writes are short: they transfer fewer bytes than they could.
    pub(crate) splits: bool,
    /// Whether a read that empties a stream reports it as drained; otherwise only the next read does.
    pub(crate) short_read_drains: bool,
    /// Percentage of waits with spurious events.
    pub(crate) spurious_percent: u8,
    /// Percentage of connections that are established at once.
    pub(crate) at_once_percent: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Brokers {
    pub(crate) nodes: u8,
    /// A variant of `KafkaRelease`, such as `V3_0`.
    pub(crate) release: String,
    pub(crate) replication: u8,
    pub(crate) auto_create_topics: bool,
    /// Whether `bootstrap.servers` and the addresses that brokers advertise are host names; otherwise they are IP
    /// addresses.
    pub(crate) by_name: bool,
    /// The first epoch of new producer ids.
    #[serde(default)]
    pub(crate) first_epoch: i16,
    /// Whether brokers refuse a batch whose partition was not added to its transaction, as Kafka does since 3.6
    /// (KIP-890).
    #[serde(default)]
    pub(crate) verify_transactions: bool,
    /// The SASL setup of the brokers; `None` if they do not require SASL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sasl: Option<Sasl>,
    /// The TLS setup of the brokers; `None` if they do not require TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<Tls>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tls {
    /// `ssl.enabled.protocols` of all producers.
    pub(crate) protocols: String,
    /// Whether brokers require client certificates.
    pub(crate) client_certificates: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sasl {
    /// `sasl.mechanism` of all producers.
    pub(crate) mechanism: String,
    /// Session lifetime, after which clients have to re-authenticate; `None` for no limit.
    pub(crate) session_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Topic {
    pub(crate) name: String,
    /// 0 if the topic does not exist at the start.
    pub(crate) partitions: u16,
    pub(crate) log_append_time: bool,
    pub(crate) max_message_bytes: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Producer {
    /// Configuration by Kafka's keys, as a user writes it; the run sets `bootstrap.servers` and `client.id`.
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) plugins: Plugins,
    pub(crate) threads: Vec<Thread>,
    /// When the producer is built.
    #[serde(default, skip_serializing_if = "Begins::is_first")]
    pub(crate) begins: Begins,
    /// The crash of the application, which ends without closing its producer; `None` if it does not crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crashes: Option<Crash>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Begins {
    /// At the start of the run.
    #[default]
    First,
    AtMs(u64),
    /// `ms` milliseconds after the application of the producer with the index `producer` has crashed, has failed for
    /// good or has performed all its operations.
    After {
        producer: usize,
        ms: u64,
    },
}

impl Begins {
    fn is_first(&self) -> bool {
        *self == Self::First
    }
}

/// The moment of a crash: `steps` steps of the run after the application has reached `stage` for the `nth` time,
/// counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Crash {
    pub(crate) stage: TxnStage,
    pub(crate) nth: u32,
    pub(crate) steps: u32,
}

/// Stage of a transactional application.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub(crate) enum TxnStage {
    /// In a call of `init_transactions`.
    Initializing,
    /// A transaction is open.
    Begun,
    /// In a call of `send_offsets_to_transaction`.
    SendingOffsets,
    Committing,
    Aborting,
    /// Outside a transaction.
    #[default]
    Between,
}

/// User code; `None` for the library's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plugins {
    pub(crate) key_serializer: Option<Behaviour>,
    pub(crate) value_serializer: Option<Behaviour>,
    pub(crate) partitioner: Option<Behaviour>,
    /// Implements `on_send` and `on_acknowledgement`.
    pub(crate) interceptor: Option<Behaviour>,
    pub(crate) cluster_listener: Option<Behaviour>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) metrics_reporter: Option<Behaviour>,
}

/// Behaviour of a piece of user code beyond its purpose: its acts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Behaviour {
    pub(crate) acts: Vec<Every>,
}

/// An act that is performed at every `every`th call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Every {
    pub(crate) every: u32,
    pub(crate) act: Act,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Act {
    /// Returns an error, where its interface allows one; otherwise does nothing.
    Fails,
    Panics,
    TakesMs(u64),
    /// Sends a small record to this topic.
    Sends(String),
    /// Like `Sends`, with `try_send`.
    TrySends(String),
    Flushes,
    Closes,
    AsksForPartitions(String),
    /// Drops the futures that the application holds.
    DropsFutures,
    /// Waits for a record whose future the application holds.
    Gets,
    /// Reads all metrics.
    ReadsMetrics,
}

/// An application thread: performs its operations in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Thread {
    pub(crate) ops: Vec<Op>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Op {
    Send(Burst),
    Flush {
        timeout_ms: Option<u64>,
    },
    Close {
        timeout_ms: Option<u64>,
    },
    PartitionsFor {
        topic: String,
    },
    Sleep {
        ms: u64,
    },
    /// `get` or `get_timeout` on the oldest futures that this thread holds; a future that returns its outcome is
    /// dropped.
    Get {
        count: u32,
        timeout_ms: Option<u64>,
    },
    /// Awaits the oldest futures, as async tasks do: `poll` with a waker.
    Await {
        count: u32,
    },
    /// Polls the oldest futures once and keeps them. The waker panics when it is woken and when it is dropped.
    PollOnce {
        count: u32,
    },
    /// Drops the oldest futures without reading them.
    DropFutures {
        count: u32,
    },
    /// Drops this thread's handle of the producer; dropping the last handle drops the producer.
    DropProducer,
    /// A transactional call. After a time-out it is repeated; after another error the application aborts the
    /// transaction or stops, as the error demands. Calls that the application's state does not allow are left out.
    Transaction {
        call: TransactionOp,
        timeout_ms: Option<u64>,
    },
    /// A transactional call that is made only if the application's state does not allow it.
    Stray {
        call: TransactionOp,
    },
    /// Waits until another thread has begun a transaction, at most `ms` milliseconds.
    AwaitTransaction {
        ms: u64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TransactionOp {
    Init,
    Begin,
    /// Commits an offset for each of these partitions. All partitions of a call get the same offset, and each call has
    /// another one.
    SendOffsets {
        group: String,
        partitions: Vec<(String, i32)>,
    },
    Commit,
    Abort,
}

/// A burst: records sent one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Burst {
    pub(crate) topic: String,
    pub(crate) partition: Option<i32>,
    /// Number of different keys; 0 for none.
    pub(crate) keys: u32,
    /// Number of headers; the second of them has no value.
    #[serde(default)]
    pub(crate) headers: u8,
    /// Whether the application sets each record's timestamp.
    #[serde(default)]
    pub(crate) stamped: bool,
    pub(crate) count: u32,
    /// Size of the value in bytes; a value is never shorter than the record's number.
    pub(crate) size: u32,
    pub(crate) how: How,
    /// Behaviour of the callback; `None` for no callback.
    pub(crate) callback: Option<Behaviour>,
    /// Pause between two records.
    pub(crate) pause_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum How {
    Send,
    TrySend,
}

/// A fault with its start and duration; if `for_ms` is `None`, it lasts until the healing. Instantaneous faults, such
/// as a cut, have no duration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TimedFault {
    pub(crate) at_ms: u64,
    pub(crate) for_ms: Option<u64>,
    pub(crate) fault: Fault,
}

/// A fault. Nodes are numbered from 0. A fault that names a node, topic or partition that does not exist does nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Fault {
    // The network.
    /// Added latency, in both directions, for one node.
    Slow {
        node: i32,
        ms: u64,
    },
    /// The node's connections are reset.
    Cut {
        node: i32,
    },
    /// On the node's present connections everything is held back until the fault ends: requests if `up`, responses if
    /// `down`.
    Silence {
        node: i32,
        up: bool,
        down: bool,
    },
    /// The node refuses new connections, and its present ones are reset.
    Refuse {
        node: i32,
    },
    /// Connection attempts get no response, and nothing arrives on the present connections.
    BlackHole {
        node: i32,
    },

    // TLS faults. They apply to new connections; the present ones are reset, since a broker restarts with its new TLS
    // setup.
    /// The broker's certificate is invalid.
    WrongCertificate {
        node: i32,
        wrong: WrongCertificate,
    },
    /// The broker does not speak TLS.
    NoTls {
        node: i32,
        instead: InsteadOfTls,
    },
    /// Handshakes are cut off: of its flight with index `turn` (the first is 0) the broker sends only `permille`
    /// thousandths, then resets the connection if `resets`, and otherwise closes it.
    CutHandshake {
        node: i32,
        turn: u8,
        permille: u16,
        resets: bool,
    },

    // Brokers.
    /// The broker goes down: its connections end, and its partitions get other leaders.
    Down {
        node: i32,
    },
    /// The broker hangs: it keeps its connections, and processes requests only when the fault is over.
    Hang {
        node: i32,
    },
    MoveLeader {
        topic: String,
        partition: i32,
        to: i32,
    },
    /// The broker's metadata responses describe the cluster as it was when the fault began.
    StaleMetadata {
        node: i32,
    },
    /// Metadata responses have lower leader epochs than before.
    EpochsGoBack,
    /// Another cluster answers at the same addresses: another cluster id, the same topics, empty logs.
    Rebuild,
    /// All brokers move to other addresses; the name of the bootstrap server resolves to the new ones.
    MoveBrokers,
    DeleteTopic {
        topic: String,
    },
    RecreateTopic {
        topic: String,
        partitions: u16,
    },
    GrowTopic {
        topic: String,
        to: u16,
    },
    /// The log loses its last records, as after an unclean leader election.
    Truncate {
        topic: String,
        partition: i32,
        records: u32,
    },
    /// The brokers lose the producer state of a partition.
    ForgetProducers {
        topic: String,
        partition: i32,
    },
    LowerLimit {
        topic: String,
        bytes: u32,
    },
    /// Another node becomes the coordinator of a transactional id or of a group.
    MoveCoordinator {
        of_group: bool,
        key: String,
        to: i32,
    },
    /// A new coordinator loads its state for `ms` milliseconds.
    LoadCoordinators {
        ms: u64,
    },
    /// Transaction markers are written `ms` milliseconds after the transaction has ended.
    DelayMarkers {
        ms: u64,
    },

    // Responses.
    /// Requests are answered with an error: `times` of them, or with `None` all requests while the fault lasts.
    Error {
        request: Api,
        topic: Option<String>,
        partition: Option<i32>,
        code: i16,
        times: Option<u64>,
        after_applying: bool,
    },
    /// The response to a request is lost: before the request is applied, after it, or when some bytes of the response
    /// were sent. Then the broker closes the connection if `closes`, and otherwise sends nothing more.
    Lose {
        request: Api,
        moment: Moment,
        times: Option<u64>,
        closes: bool,
    },
    /// Responses are delayed.
    Late {
        request: Option<Api>,
        ms: u64,
    },
    Throttle {
        request: Option<Api>,
        ms: u64,
    },
    /// A node supports a request only up to the version `up_to`, or with `None` not at all.
    Versions {
        node: i32,
        request: Api,
        up_to: Option<i16>,
    },

    // Names and clocks.
    NamesFail,
    /// Names resolve to unreachable addresses, in addition to the right ones or instead of them.
    WrongAddresses {
        instead: bool,
    },
    WallClock {
        by_ms: i64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum WrongCertificate {
    Expired,
    OtherName,
    OtherAuthority,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum InsteadOfTls {
    /// A plaintext Kafka listener, which closes the connection.
    Plain,
    /// A web server.
    Web,
    Noise,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Api {
    Produce,
    Metadata,
    ApiVersions,
    InitProducerId,
    FindCoordinator,
    AddPartitionsToTxn,
    AddOffsetsToTxn,
    TxnOffsetCommit,
    EndTxn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Moment {
    BeforeRequest,
    AfterApplied,
    WithinAnswer { bytes: u32 },
}
