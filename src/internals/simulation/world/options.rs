//! What a world is made with.

use std::time::Duration;

use crate::testing::KafkaRelease;
#[cfg(feature = "tls-no-provider")]
use crate::testing::TestTls;
use crate::testing::sim::network::NetworkProfile;

/// What the network does without being told.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "the simulator makes them")]
pub struct NetworkOptions {
    /// The longest that making a connection takes.
    pub connect_us: u64,
    /// The longest that a piece is on its way.
    pub latency_us: u64,
    /// Bytes that one direction of a connection holds.
    pub capacity: usize,
    /// Reads and writes take less than they could.
    pub splits: bool,
    /// A read that empties a stream says so.
    pub short_read_drains: bool,
    /// Of 100 waits, so many tell of something that is not so.
    pub spurious_percent: u8,
    /// Of 100 connections, so many stand at once.
    pub at_once_percent: u8,
}

impl NetworkOptions {
    pub(super) fn profile(&self) -> NetworkProfile {
        NetworkProfile {
            connect_us: 0..=self.connect_us,
            latency_us: self.latency_us / 4..=self.latency_us,
            capacity: self.capacity.max(1),
            splits: self.splits,
            short_read_drains: self.short_read_drains,
            spurious_percent: self.spurious_percent,
            at_once_percent: self.at_once_percent,
        }
    }
}

/// The brokers that there are.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "the simulator makes them")]
pub struct BrokersOptions {
    /// How many, numbered from 0.
    pub nodes: i32,
    /// What they imitate.
    pub release: KafkaRelease,
    /// How many of them hold a copy of each partition.
    pub replication: usize,
    /// Whether asking for a topic makes it.
    pub auto_create_topics: bool,
    /// Clients find them by names, not by addresses.
    pub by_name: bool,
    /// The epoch that fresh producer ids begin with: 0 with brokers; near the last for producers that use theirs up.
    pub first_epoch: i16,
    /// A batch is refused whose partition was not added to its transaction (KIP-890).
    pub verify_transactions: bool,
    /// They ask clients who they are.
    pub sasl: Option<SaslOptions>,
    /// They take TLS.
    #[cfg(feature = "tls-no-provider")]
    pub tls: Option<TlsOptions>,
}

/// Who brokers say that they are: for all the names of [`World::hosts`](super::World::hosts), with keys of Ed25519.
#[cfg(feature = "tls-no-provider")]
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "the simulator makes them")]
pub struct TlsOptions {
    /// As clients want it.
    pub right: TestTls,
    /// With a certificate whose time is over.
    pub expired: TestTls,
    /// With one for other names.
    pub other_name: TestTls,
    /// With one of an authority that clients do not know.
    pub other_authority: TestTls,
}

/// Who may connect.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "the simulator makes them")]
pub struct SaslOptions {
    /// The one user that there is.
    pub user: String,
    /// Of that user.
    pub password: String,
    /// A bearer token that is taken.
    pub token: String,
    /// After which clients have to authenticate again.
    pub session: Option<Duration>,
}
