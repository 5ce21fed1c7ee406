//! Probe of one connection to a broker, for the tool `kafka-check`: connects stage by stage with a producer's settings,
//! and fetches the metadata of the cluster without creating topics. Not part of the public API. Functions
//! without a probe, which the other command line tools call too, are in `mod` as well.
//!
//! | file | subject |
//! |---|---|
//! | `mod` | the probe, and its wiring |
//! | `run` | one run: the stages of a connection, the metadata request |
//! | `observed` | the selector, which records the reason for which the connection was closed |
//! | `report` | the result of a run |
//! | `without_metadata` | the metadata source and the resolver of a client that needs neither |

mod observed;
mod report;
mod run;
#[cfg(test)]
mod tests;
mod without_metadata;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::observed::ObservedSelector;
pub use self::report::{
    ProbeFailure, ProbeFailureKind, ProbeReport, ProbeStage, ProbedApi, ProbedBroker,
    ProbedPartition, ProbedTopic, StagePassed,
};
use self::run::ProbeRun;
use self::without_metadata::{FixedAddress, NoMetadata};
use crate::client::network_client::{NetworkClient, NetworkClientOptions, RecoveryOptions};
use crate::clock::{Clock, SystemClock};
use crate::config::{ProducerConfig, listed_servers, nearest_key};
use crate::error::ConfigError;
use crate::metrics::{MetricsOptions, MetricsRegistry, NodeMetrics, Windows};
use crate::network::channel_builder::channel_builder;
use crate::network::metrics::SelectorMetrics;
use crate::network::mio_poller::{MioPoller, SocketOptions};
use crate::network::poller::Poller;
use crate::network::resolver::{DnsLookup, NameLookUps};
use crate::network::selectable::Selectable;
use crate::network::selector::{Selector, SelectorOptions};
pub use crate::network::tls_facts::TlsFacts;
use crate::record::builder::{RecordParts, batch_size_upper_bound};
pub use crate::security::BrokerCertificate;
use crate::security::sasl::dependencies::{SaslDependencies, random_of_system};
use crate::security::{Security, SecurityParts};
use crate::types::{Node, UsableMagic};
use crate::util::foreign_text;
use crate::util::log::LogContext;

/// The network client of a probe.
type ProbeClient<S> = NetworkClient<ObservedSelector<S>, FixedAddress, ()>;

/// The key that a misspelled one probably stands for; `None` if no key resembles it.
pub fn suggested_key(misspelled: &str) -> Option<&'static str> {
    nearest_key(misspelled)
}

/// The name of a key as it may be shown: hidden if it does not look like a key, and so may be a secret.
pub fn shown_key(key: &str) -> &str {
    crate::config::shown_key(key)
}

/// The configuration with changes to its keys. Values of config providers are not requested again.
///
/// # Errors
/// If the changed configuration is invalid.
pub fn changed(
    config: &ProducerConfig,
    change: impl FnOnce(&mut BTreeMap<String, String>),
) -> Result<ProducerConfig, ConfigError> {
    config.changed(change)
}

/// The text with control and formatting characters escaped, for a terminal or a log.
pub fn printable(text: &str) -> Cow<'_, str> {
    foreign_text::printable(text)
}

/// The size, in bytes, that a producer assumes for the smallest record: one with neither key nor value nor headers.
pub fn smallest_record_bytes() -> usize {
    let nothing = RecordParts {
        key: None,
        value: None,
        headers: &[],
        timestamp_ms: 0,
    };
    batch_size_upper_bound(nothing.payload_len())
}

/// Connects to single brokers with the settings of a producer.
pub struct ConnectionProbe {
    config: ProducerConfig,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl ConnectionProbe {
    /// A probe with the settings of `config`. `timeout` limits each stage of a connection.
    ///
    /// # Errors
    /// If the keys of TLS or SASL are invalid, or a file that they name is.
    /// # Blocking
    /// Reads those files.
    pub fn new(config: &ProducerConfig, timeout: Duration) -> Result<Self, ConfigError> {
        let probe = Self {
            config: config.clone(),
            timeout,
            clock: Arc::new(SystemClock::new()),
        };
        probe.security()?;
        Ok(probe)
    }

    /// The hosts and ports of `bootstrap.servers`, without duplicates.
    ///
    /// # Errors
    /// If an entry is invalid, or there is none.
    pub fn bootstrap_servers(&self) -> Result<Vec<(String, u16)>, ConfigError> {
        listed_servers(self.config.bootstrap_servers())
    }

    /// The stages of a connection with this `security.protocol`, in their order.
    pub fn stages(&self) -> Vec<ProbeStage> {
        let protocol = self.config.security_protocol();
        let mut stages = vec![ProbeStage::Connect];
        if protocol.uses_tls() {
            stages.push(ProbeStage::Tls);
        }
        if protocol.uses_sasl() {
            stages.push(ProbeStage::Sasl);
        }
        stages.extend([ProbeStage::ApiVersions, ProbeStage::Metadata]);
        stages
    }

    /// Connects to the broker `host` at `address`, fetches the metadata of the cluster and of `topics`, and
    /// disconnects. Calls `passed` after each stage. No topic is created.
    ///
    /// # Errors
    /// The stage that failed, and why.
    /// # Blocking
    /// Up to the timeout of the probe for each stage, and once more if the broker throttles the client.
    pub fn run(
        &self,
        host: &str,
        address: SocketAddr,
        topics: &[String],
        passed: &mut dyn FnMut(&StagePassed),
    ) -> Result<ProbeReport, ProbeFailure> {
        let node = Node::new(-1, host, address.port());
        let not_started = |reason: String| ProbeFailure {
            stage: ProbeStage::Connect,
            took: Duration::ZERO,
            kind: ProbeFailureKind::Other,
            reason: reason.into(),
        };
        let security = self
            .security()
            .map_err(|error| not_started(error.to_string()))?;
        let (selector, registry) = self
            .selector(&security)
            .map_err(|error| not_started(error.to_string()))?;
        let client = self.client(address, selector, &registry);
        ProbeRun::new(self, client, node, passed).run(topics)
    }

    fn log(&self) -> LogContext {
        LogContext::of_producer(self.config.client_id(), None)
    }

    /// The security settings of one connection: SASL is bound to one network client.
    fn security(&self) -> Result<Security, ConfigError> {
        let dependencies = SaslDependencies {
            run: NameLookUps::of_system().run,
            wake: Arc::default(),
            random: random_of_system(),
            clock: Arc::clone(&self.clock),
            log: self.log(),
            seed: 0,
        };
        let config = &self.config;
        Security::from_config(config, SecurityParts::default(), dependencies)
            .map_err(|error| config.without_resolved_values(error))
    }

    /// A network client that connects to `address`, whatever the name of the host.
    fn client<S: Selectable>(
        &self,
        address: SocketAddr,
        selector: S,
        registry: &Arc<MetricsRegistry>,
    ) -> ProbeClient<S> {
        // Longer than the run: its stages have time limits of their own, whose errors name no key of the producer.
        let long = self.timeout.saturating_mul(10);
        let options = NetworkClientOptions {
            client_id: self.config.client_id().into(),
            log: self.log(),
            uses_sasl: self.config.security_protocol().uses_sasl(),
            max_in_flight: 1,
            reconnect_backoff: long,
            reconnect_backoff_max: long,
            setup_timeout: long,
            setup_timeout_max: long,
            request_timeout: long,
            recovery: RecoveryOptions {
                servers: Vec::new(),
                lookup: DnsLookup::UseAllDnsIps,
                trigger: long,
            },
            seed: 0,
        };
        NetworkClient::new(
            options,
            ObservedSelector::new(selector),
            FixedAddress::new(address),
            Arc::new(NoMetadata),
            Arc::new(UsableMagic::new()),
            Arc::clone(&self.clock),
            registry.add(&[]),
        )
    }

    fn selector(
        &self,
        security: &Security,
    ) -> io::Result<(Selector<MioPoller>, Arc<MetricsRegistry>)> {
        let config = &self.config;
        let sockets = SocketOptions {
            send_buffer: config.send_buffer_bytes(),
            receive_buffer: config.receive_buffer_bytes(),
        };
        let poller = MioPoller::new(sockets, self.log())?;
        let builder = channel_builder(security, config.client_id(), &poller.wake_up())?;
        let registry = Arc::new(MetricsRegistry::new(MetricsOptions {
            client_id: config.client_id().into(),
            windows: Windows::new(1, self.timeout),
            level: config.metrics_recording_level(),
            clock: Arc::clone(&self.clock),
        }));
        let nodes = NodeMetrics::new(Arc::clone(&registry));
        let selector = Selector::new(
            poller,
            builder,
            SelectorOptions::default(),
            Arc::clone(&self.clock),
            SelectorMetrics::new(Arc::clone(&registry), nodes),
        );
        Ok((selector, registry))
    }
}

impl std::fmt::Debug for ConnectionProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionProbe")
            .field("config", &self.config)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
