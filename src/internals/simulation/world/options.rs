//! Options of a world.

use std::time::Duration;

use crate::testing::KafkaRelease;
#[cfg(feature = "tls-no-provider")]
use crate::testing::TestTls;
use crate::testing::sim::network::NetworkProfile;

/// Properties of the network while no fault is injected.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "the simulator makes them")]
pub struct NetworkOptions {
    /// The longest time to establish a connection, in microseconds.
    pub connect_us: u64,
    /// The longest time that a piece of a stream is in flight, in microseconds.
    pub latency_us: u64,
    /// Buffer size of one direction of a connection, in bytes.
    pub capacity: usize,
    /// Whether reads and writes are short: they transfer fewer bytes than they could.
    pub splits: bool,
    /// Whether a read that empties a stream reports it as drained; if not, only the next read does.
    pub short_read_drains: bool,
    /// Percentage of waits with spurious events.
    pub spurious_percent: u8,
    /// Percentage of connections that are established at once.
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

/// The brokers.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "the simulator makes them")]
pub struct BrokersOptions {
    /// Number of nodes, numbered from 0.
    pub nodes: i32,
    /// The release that the brokers imitate.
    pub release: KafkaRelease,
    /// Number of replicas of each partition.
    pub replication: usize,
    /// Whether a metadata request creates missing topics.
    pub auto_create_topics: bool,
    /// Whether brokers advertise host names instead of addresses.
    pub by_name: bool,
    /// The first epoch of new producer ids: 0 as with real brokers, or near the last for tests of exhausted epochs.
    pub first_epoch: i16,
    /// Whether batches are refused whose partition was not added to the transaction (KIP-890).
    pub verify_transactions: bool,
    /// SASL settings; `None` if brokers do not require SASL.
    pub sasl: Option<SaslOptions>,
    /// TLS settings; `None` if brokers do not require TLS.
    #[cfg(feature = "tls-no-provider")]
    pub tls: Option<TlsOptions>,
}

/// Certificates of the brokers, for all names of [`World::hosts`](super::World::hosts), with Ed25519 keys.
#[cfg(feature = "tls-no-provider")]
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "the simulator makes them")]
pub struct TlsOptions {
    /// A valid certificate.
    pub right: TestTls,
    /// An expired certificate.
    pub expired: TestTls,
    /// A certificate for other names.
    pub other_name: TestTls,
    /// A certificate of an unknown authority.
    pub other_authority: TestTls,
}

/// SASL credentials that brokers accept.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "the simulator makes them")]
pub struct SaslOptions {
    /// The only user.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// The accepted bearer token.
    pub token: String,
    /// Session lifetime, after which clients have to re-authenticate; `None` if it is unlimited.
    pub session: Option<Duration>,
}
