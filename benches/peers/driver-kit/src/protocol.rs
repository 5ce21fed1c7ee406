//! The lines of JSON that conductor and driver exchange.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the conductor says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case")]
pub enum Command {
    /// Make the producer.
    Setup(Box<Setup>),
    /// Send the records of a round.
    Produce(Produce),
    /// Close the producer and exit.
    Quit {},
}

/// How the producer is to be made, and what it will send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // As the protocol has them.
pub struct Setup {
    /// Addresses of brokers, `host:port`, with commas between them.
    pub bootstrap: String,
    /// File of the certificates to trust, in PEM, where the brokers speak TLS. Even a client with its own defaults
    /// needs it.
    #[serde(default)]
    pub authority: Option<String>,
    /// The topic to send to.
    pub topic: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// The one partition every record goes to, if it is not left to the client.
    pub partition: Option<i32>,
    /// `0`, `1` or `all`.
    pub acks: String,
    /// Whether the producer is idempotent.
    pub idempotent: bool,
    /// How long a batch waits for more records.
    pub linger_ms: u64,
    /// When a batch is full.
    pub batch_bytes: usize,
    /// Memory for records that are not sent yet.
    pub buffer_bytes: usize,
    /// Requests that may be unanswered at a time, per connection.
    pub max_in_flight: usize,
    /// How long an answer may take.
    pub request_timeout_ms: u64,
    /// How long the delivery of a record may take.
    pub delivery_timeout_ms: u64,
    /// `none`, `gzip`, `snappy`, `lz4` or `zstd`, at the client's default level.
    pub compression: String,
    /// Whether all but the address is left as the client has it.
    pub defaults: bool,
    /// File of values, end to end.
    pub payloads: String,
    /// Bytes of each value.
    pub payload_bytes: usize,
    /// File of keys, end to end, if records have keys.
    pub keys: Option<String>,
    /// Bytes of each key.
    #[serde(default)]
    pub key_bytes: usize,
    /// Sending threads.
    pub threads: usize,
    /// Whether each record's end is learnt by callback.
    pub callback: bool,
    /// Whether each group of [`Mode::Groups`] is a transaction.
    #[serde(default)]
    pub transactional: bool,
}

impl Setup {
    /// Whether the client is told to compress.
    pub fn compresses(&self) -> bool {
        !self.defaults && self.compression != "none"
    }

    /// The transactional id of a driver whose groups are transactions. One that was started with the argument `flush`
    /// is asked what the same groups take without, and has none.
    pub fn transactional_id(&self) -> Option<String> {
        let is_transactional = self.transactional && std::env::args().all(|word| word != "flush");
        is_transactional.then(|| format!("driver-{}", std::process::id()))
    }
}

/// For [`About::unequal`]: of clients whose batches are full by what is in them and not by what it will come to.
pub const SIZED_UNCOMPRESSED: &str = "The size of a batch counts bytes before they are compressed, where Java and ours \
                                      count what they will come to: its batches hold fewer records, and its codec \
                                      sees less of them at a time.";

/// One round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Produce {
    /// How the records follow each other.
    pub mode: Mode,
    /// How many, over all threads.
    pub records: u64,
    /// Records per second, for [`Mode::Rate`].
    #[serde(default)]
    pub per_second: Option<f64>,
    /// Records of a group, for [`Mode::Groups`].
    #[serde(default)]
    pub group: Option<u64>,
    /// When to end the round in any case, counted from its start.
    #[serde(default)]
    pub give_up_ms: Option<u64>,
}

/// How the records of a round follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// As fast as the client takes them.
    Blast,
    /// The next when the one before is acknowledged.
    OneByOne,
    /// At fixed points in time.
    Rate,
    /// So many as fast as the client takes them; the next when all of those are acknowledged. A latency is that of a
    /// group, from before its first record, or the begin of its transaction, to when all is acknowledged or committed.
    Groups,
}

/// What a client says of itself when it is set up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The client and its version, and through what it is used.
    pub client: String,
    /// The client's own keys, as handed over.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// What could not be made equal and why, a sentence each.
    #[serde(default)]
    pub unequal: Vec<String>,
    /// What else a reader should know.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl About {
    /// Says whose TLS the client speaks, where it does.
    #[must_use]
    pub fn with_tls_of(mut self, setup: &Setup, whose: &str) -> Self {
        if setup.authority.is_some() {
            self.notes.push(format!("TLS is that of {whose}."));
        }
        self
    }
}

/// The answer to `setup` of a client that can.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ready {
    /// True.
    pub ok: bool,
    /// What it says of itself.
    #[serde(flatten)]
    pub about: About,
}

/// The answer to `produce`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Result {
    /// True.
    pub ok: bool,
    /// Records handed to the client, those it refused included.
    pub sent: u64,
    /// Records known to be acknowledged.
    pub acked: u64,
    /// Records that were refused or failed.
    pub failed: u64,
    /// Why the first of those failed.
    pub first_error: Option<String>,
    /// From before the first send to after the last end.
    pub seconds: f64,
    /// Latencies in nanoseconds, and how often each was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latency_ns: Vec<(u64, u64)>,
    /// In the flavours that count them: allocations of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocations: Option<Allocations>,
}

/// How often memory was allocated in a round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocations {
    /// On the sending threads, if that was counted.
    pub callers: Option<u64>,
    /// In the whole process, if that was counted.
    pub process: Option<u64>,
}
