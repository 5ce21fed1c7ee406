//! What one run of the simulator does, as data: drawn from a seed, made smaller when it fails, kept as JSON when
//! it has found something.
//!
//! All times are of the simulated clock, since the start of the run. What is drawn only while it runs (who steps
//! next, how long a piece of a stream travels) follows from [`Scenario::seed`] as well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scenario {
    /// What is drawn while it runs.
    pub(crate) seed: u64,
    pub(crate) network: Network,
    pub(crate) brokers: Brokers,
    pub(crate) topics: Vec<Topic>,
    pub(crate) producers: Vec<Producer>,
    /// What a logger does with each line.
    pub(crate) logger: Behaviour,
    /// The logger wants all lines, not only those of level Info and above.
    #[serde(default)]
    pub(crate) logs_all: bool,
    /// The longest that a thread takes for a step of packing a batch that it has filled, while others go on.
    #[serde(default)]
    pub(crate) packing_us: u64,
    pub(crate) faults: Vec<TimedFault>,
    /// When all faults are over: from then on everything has to come to an end.
    pub(crate) heal_at_ms: u64,
}

/// What the network does without being told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Network {
    /// The longest that making a connection takes.
    pub(crate) connect_us: u64,
    /// The longest that a piece is on its way.
    pub(crate) latency_us: u64,
    /// Bytes that one direction of a connection holds.
    pub(crate) capacity: usize,
    /// Reads and writes take less than they could.
    pub(crate) splits: bool,
    pub(crate) short_read_drains: bool,
    pub(crate) spurious_percent: u8,
    pub(crate) at_once_percent: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Brokers {
    pub(crate) nodes: u8,
    /// As in `KafkaRelease`: `V3_0`.
    pub(crate) release: String,
    pub(crate) replication: u8,
    pub(crate) auto_create_topics: bool,
    /// `bootstrap.servers` has a name to be looked up, and brokers tell of names; otherwise addresses.
    pub(crate) by_name: bool,
    /// The epoch that fresh producer ids begin with.
    #[serde(default)]
    pub(crate) first_epoch: i16,
    /// They refuse a batch whose partition was not added to its transaction, as they do from 3.6 on.
    #[serde(default)]
    pub(crate) verify_transactions: bool,
    /// They ask clients who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sasl: Option<Sasl>,
    /// They take TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<Tls>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tls {
    /// As in `ssl.enabled.protocols`: that of all producers.
    pub(crate) protocols: String,
    /// Brokers want to know by certificate who clients are.
    pub(crate) client_certificates: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sasl {
    /// As in `sasl.mechanism`: that of all producers.
    pub(crate) mechanism: String,
    /// After which clients have to authenticate again.
    pub(crate) session_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Topic {
    pub(crate) name: String,
    /// 0: there is none of that name at the start.
    pub(crate) partitions: u16,
    pub(crate) log_append_time: bool,
    pub(crate) max_message_bytes: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Producer {
    /// Kafka's keys, as a user writes them; `bootstrap.servers` and `client.id` are set by the run.
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) plugins: Plugins,
    pub(crate) threads: Vec<Thread>,
    /// When it is built.
    #[serde(default, skip_serializing_if = "Begins::is_first")]
    pub(crate) begins: Begins,
    /// The application ends without a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crashes: Option<Crash>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Begins {
    /// At the start.
    #[default]
    First,
    AtMs(u64),
    /// So long after another, by its place, has crashed or can do nothing any more.
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

/// A crash: so many steps of the run after the application has come to a stage for the `nth` time, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Crash {
    pub(crate) stage: TxnStage,
    pub(crate) nth: u32,
    pub(crate) steps: u32,
}

/// What a transactional application is at.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub(crate) enum TxnStage {
    /// It calls `init_transactions`.
    Initializing,
    /// It has begun a transaction.
    Begun,
    /// It gives offsets to the transaction.
    SendingOffsets,
    Committing,
    Aborting,
    /// No transaction is open.
    #[default]
    Between,
}

/// The user's code: `None` for what the library brings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plugins {
    pub(crate) key_serializer: Option<Behaviour>,
    pub(crate) value_serializer: Option<Behaviour>,
    pub(crate) partitioner: Option<Behaviour>,
    /// `on_send`, `on_acknowledgement`.
    pub(crate) interceptor: Option<Behaviour>,
    pub(crate) cluster_listener: Option<Behaviour>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) metrics_reporter: Option<Behaviour>,
}

/// What a piece of the user's code does: each `every`th time it is called, besides what it is there for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Behaviour {
    pub(crate) acts: Vec<Every>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Every {
    pub(crate) every: u32,
    pub(crate) act: Act,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Act {
    /// Says that it failed, where it can; else nothing.
    Fails,
    Panics,
    TakesMs(u64),
    /// Sends a small record to this topic.
    Sends(String),
    /// As `Sends`, with `try_send`.
    TrySends(String),
    Flushes,
    Closes,
    AsksForPartitions(String),
    /// Drops the futures that the application keeps.
    DropsFutures,
    /// Waits for a record that is not done.
    Gets,
    /// Asks for all metrics, and reads them.
    ReadsMetrics,
}

/// A thread of the application: does one thing after another.
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
    /// `get` or `get_timeout` of the oldest futures that this thread keeps; those that are told are let go.
    Get {
        count: u32,
        timeout_ms: Option<u64>,
    },
    /// Awaits the oldest futures as tasks do, by `poll` and a waker.
    Await {
        count: u32,
    },
    /// Polls the oldest futures once, with a waker that panics when it is woken and when it is dropped, and keeps them.
    PollOnce {
        count: u32,
    },
    /// Drops the oldest futures unread.
    DropFutures {
        count: u32,
    },
    /// This thread's handle of the producer; the last one drops the producer.
    DropProducer,
    /// A transactional call. One that timed out is made again, after an error the application does what that says, and
    /// it makes no call that is not for the state that it knows of.
    Transaction {
        call: TransactionOp,
        timeout_ms: Option<u64>,
    },
    /// A transactional call whatever the state is.
    Stray {
        call: TransactionOp,
    },
    /// Waits until another thread has begun a transaction, or for so long.
    AwaitTransaction {
        ms: u64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TransactionOp {
    Init,
    Begin,
    /// Of each of these partitions an offset that no other call gives.
    SendOffsets {
        group: String,
        partitions: Vec<(String, i32)>,
    },
    Commit,
    Abort,
}

/// Records, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Burst {
    pub(crate) topic: String,
    pub(crate) partition: Option<i32>,
    /// So many different keys; 0 for none.
    pub(crate) keys: u32,
    /// So many headers, one of them without a value.
    #[serde(default)]
    pub(crate) headers: u8,
    /// The application gives each record its timestamp.
    #[serde(default)]
    pub(crate) stamped: bool,
    pub(crate) count: u32,
    /// Bytes of the value: at least those that say which record it is.
    pub(crate) size: u32,
    pub(crate) how: How,
    /// What the callback does; `None` for no callback.
    pub(crate) callback: Option<Behaviour>,
    /// Between two records.
    pub(crate) pause_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum How {
    Send,
    TrySend,
}

/// What goes wrong, from when, and for how long: until everything is healed if that is not said. What happens at
/// one moment (a cut) has no duration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TimedFault {
    pub(crate) at_ms: u64,
    pub(crate) for_ms: Option<u64>,
    pub(crate) fault: Fault,
}

/// Nodes are numbered from 0. A fault that names what is not there does nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Fault {
    // The network.
    /// Everything to and from a node takes so much longer.
    Slow {
        node: i32,
        ms: u64,
    },
    /// Its connections break.
    Cut {
        node: i32,
    },
    /// On its present connections nothing comes through any more, in one direction or both.
    Silence {
        node: i32,
        up: bool,
        down: bool,
    },
    /// It says no to new connections, and its connections break.
    Refuse {
        node: i32,
    },
    /// It says nothing at all to new connections, and nothing comes through on the present ones.
    BlackHole {
        node: i32,
    },

    // TLS, for connections from then on. The present ones break: a broker is started anew with it.
    /// Its certificate is not right.
    WrongCertificate {
        node: i32,
        wrong: WrongCertificate,
    },
    /// It does not speak TLS.
    NoTls {
        node: i32,
        instead: InsteadOfTls,
    },
    /// Handshakes end early: with so much sent of what it says in this turn (its first is 0).
    CutHandshake {
        node: i32,
        turn: u8,
        permille: u16,
        resets: bool,
    },

    // Brokers.
    /// It goes down: its connections end, its partitions go elsewhere.
    Down {
        node: i32,
    },
    /// It hangs: keeps its connections, and looks at what came when it is over.
    Hang {
        node: i32,
    },
    MoveLeader {
        topic: String,
        partition: i32,
        to: i32,
    },
    /// What it tells of the cluster is what was so when this began.
    StaleMetadata {
        node: i32,
    },
    /// The metadata tells of epochs lower than before.
    EpochsGoBack,
    /// Another cluster answers under the same addresses: another id, the same topics, empty.
    Rebuild,
    /// All brokers move to other addresses; the name of the bootstrap server follows.
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
    /// The last records of the log are lost, as when a replica that is behind is elected.
    Truncate {
        topic: String,
        partition: i32,
        records: u32,
    },
    /// The brokers forget the producers of a partition.
    ForgetProducers {
        topic: String,
        partition: i32,
    },
    LowerLimit {
        topic: String,
        bytes: u32,
    },
    /// Another node looks after the transactions of an id, or after a group.
    MoveCoordinator {
        of_group: bool,
        key: String,
        to: i32,
    },
    /// Who takes over as a coordinator reads for so long.
    LoadCoordinators {
        ms: u64,
    },
    /// Markers come so long after the end of a transaction.
    DelayMarkers {
        ms: u64,
    },

    // Answers.
    /// Requests are refused: so many, or all while it lasts.
    Error {
        request: Api,
        topic: Option<String>,
        partition: Option<i32>,
        code: i16,
        times: Option<u64>,
        after_applying: bool,
    },
    /// The connection is lost with the request: before it is carried out, after, or with so many bytes of the answer
    /// sent.
    Lose {
        request: Api,
        moment: Moment,
        times: Option<u64>,
        closes: bool,
    },
    /// Answers are late.
    Late {
        request: Option<Api>,
        ms: u64,
    },
    Throttle {
        request: Option<Api>,
        ms: u64,
    },
    /// A node speaks only old versions of a request, or does not know it.
    Versions {
        node: i32,
        request: Api,
        up_to: Option<i16>,
    },

    // Names and clocks.
    NamesFail,
    /// Names lead to addresses where nobody is, besides the right ones or instead.
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
    /// Kafka without TLS: it hangs up.
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
