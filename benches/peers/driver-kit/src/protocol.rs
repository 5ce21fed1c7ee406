//! The protocol between conductor and driver: lines of JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A command of the conductor.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case")]
pub enum Command {
    /// Creates the producer.
    Setup(Box<Setup>),
    /// Sends the records of a round.
    Produce(Produce),
    /// Closes the producer, and exits.
    Quit {},
}

/// The settings of the producer, and its records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // They are fields of the protocol.
pub struct Setup {
    /// Addresses of brokers, `host:port`, with commas between them.
    pub bootstrap: String,
    /// File of the certificates to trust, in PEM; `None` without TLS. Applies even if `defaults` is set.
    #[serde(default)]
    pub authority: Option<String>,
    /// The topic to send to.
    pub topic: String,
    /// The number of partitions of the topic.
    pub partitions: i32,
    /// The partition of all records; `None` if the client chooses partitions.
    pub partition: Option<i32>,
    /// `0`, `1` or `all`.
    pub acks: String,
    /// Whether the producer is idempotent.
    pub idempotent: bool,
    /// How long a batch waits for more records, in milliseconds.
    pub linger_ms: u64,
    /// The maximum size of a batch, in bytes.
    pub batch_bytes: usize,
    /// The maximum memory for records that are not acknowledged yet, in bytes.
    pub buffer_bytes: usize,
    /// The maximum number of requests in flight per connection.
    pub max_in_flight: usize,
    /// The request timeout, in milliseconds.
    pub request_timeout_ms: u64,
    /// The delivery timeout of a record, in milliseconds.
    pub delivery_timeout_ms: u64,
    /// `none`, `gzip`, `snappy`, `lz4` or `zstd`, at the client's default level.
    pub compression: String,
    /// Whether the client uses its own defaults for everything but the addresses.
    pub defaults: bool,
    /// File of values, without gaps.
    pub payloads: String,
    /// The size of each value, in bytes.
    pub payload_bytes: usize,
    /// File of keys, without gaps; `None` for records without keys.
    pub keys: Option<String>,
    /// The size of each key, in bytes.
    #[serde(default)]
    pub key_bytes: usize,
    /// The number of sending threads.
    pub threads: usize,
    /// The number of producers, which share the sending threads; a record's key chooses its producer. Only our driver
    /// supports more than one.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub producers: usize,
    /// Whether the result of each record is reported by a callback.
    pub callback: bool,
    /// Whether each group of [`Mode::Groups`] is a transaction.
    #[serde(default)]
    pub transactional: bool,
}

fn one() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The form that serde asks for.
fn is_one(count: &usize) -> bool {
    *count == 1
}

impl Setup {
    /// Whether the client must compress.
    pub fn compresses(&self) -> bool {
        !self.defaults && self.compression != "none"
    }

    /// The transactional id, if groups are transactions. `None` for a driver that was started with the argument
    /// `flush`: it measures the same groups without transactions.
    pub fn transactional_id(&self) -> Option<String> {
        let is_transactional = self.transactional && std::env::args().all(|word| word != "flush");
        is_transactional.then(|| format!("driver-{}", std::process::id()))
    }
}

/// A sentence for [`About::unequal`] of clients that limit the uncompressed size of batches instead of the estimated
/// compressed size.
pub const SIZED_UNCOMPRESSED: &str = "The size of a batch counts bytes before they are compressed, where Java and ours \
                                      count what they will come to: its batches hold fewer records, and its codec \
                                      sees less of them at a time.";

/// The records of one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Produce {
    /// When the records are sent.
    pub mode: Mode,
    /// The number of records of all threads together.
    pub records: u64,
    /// The number of records per second; only for [`Mode::Rate`].
    #[serde(default)]
    pub per_second: Option<f64>,
    /// In [`Mode::Rate`]: the threads wake up once in this many milliseconds, one of them at a time, and send what is
    /// due. So pacing costs the same with any number of threads, and there are no latencies. `None`: each record is
    /// sent when it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tick_ms: Option<f64>,
    /// The number of records in a group; only for [`Mode::Groups`].
    #[serde(default)]
    pub group: Option<u64>,
    /// Cancels the round this many milliseconds after its start; `None` for no limit.
    #[serde(default)]
    pub give_up_ms: Option<u64>,
}

/// When the records of a round are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// As fast as the client accepts them.
    Blast,
    /// Each record after the acknowledgement of the previous one.
    OneByOne,
    /// At fixed points in time.
    Rate,
    /// In groups. The records of a group are sent as fast as the client accepts them; the next group begins when all of
    /// them are acknowledged. The latency of a group is measured from before its first record, or before the begin of
    /// its transaction, until all its records are acknowledged or committed.
    Groups,
}

/// The description of a client after its setup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The client with its version, and the library through which it is used.
    pub client: String,
    /// The configuration of the client, by its own keys.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Differences from the setup, and their reasons: a sentence each.
    #[serde(default)]
    pub unequal: Vec<String>,
    /// Other notes for the reader of the table.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl About {
    /// Adds the TLS library of the client to the notes, if TLS is used.
    #[must_use]
    pub fn with_tls_of(mut self, setup: &Setup, whose: &str) -> Self {
        if setup.authority.is_some() {
            self.notes.push(format!("TLS is that of {whose}."));
        }
        self
    }
}

/// The response to `setup` if the client supports it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ready {
    /// Always true.
    pub ok: bool,
    /// The description of the client.
    #[serde(flatten)]
    pub about: About,
}

/// The response to `produce`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Result {
    /// Always true.
    pub ok: bool,
    /// Records passed to the client, including those it rejected.
    pub sent: u64,
    /// Records known to be acknowledged.
    pub acked: u64,
    /// Records that were rejected or failed.
    pub failed: u64,
    /// The reason of the first failure; `None` if no record failed.
    pub first_error: Option<String>,
    /// Seconds from before the first send until the last record is complete.
    pub seconds: f64,
    /// Latencies in nanoseconds, each with its count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latency_ns: Vec<(u64, u64)>,
    /// Allocations of memory; `None` if the driver was not built to count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocations: Option<Allocations>,
    /// Nanoseconds that a just-in-time compiler worked in the round; 0 for clients without such a compiler.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub compiling_ns: u64,
    /// By how much each of the client's own [counters](crate::Client::counters) grew.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The signature that serde requires.
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The numbers of allocations in a round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocations {
    /// Allocations on the sending threads; `None` if they are not counted.
    pub callers: Option<u64>,
    /// Allocations in the whole process; `None` if they are not counted.
    pub process: Option<u64>,
}
