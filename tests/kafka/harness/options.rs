//! Options of a cluster.

use std::time::Duration;

use super::DEFAULT_VERSION;

/// Configuration of a cluster that the tests start.
#[derive(Clone, Debug)]
pub(crate) struct ClusterOptions {
    /// The version of Apache Kafka, such as `3.0.0`.
    pub(crate) version: String,
    /// The number of brokers, whose ids start at 0.
    pub(crate) brokers: usize,
    /// Lines of `server.properties` for every broker, in addition to the defaults of the harness. `{id}` in a value is
    /// replaced by the broker id.
    pub(crate) broker_configs: Vec<(String, String)>,
    /// Listeners in addition to `PLAINTEXT`, named after their security protocol, such as `SASL_PLAINTEXT`.
    pub(crate) listeners: Vec<String>,
    /// The content of the JAAS file of brokers before 1.1, which have no configuration key for it.
    pub(crate) jaas: Option<String>,
    /// System properties of the brokers' JVMs, as `name=value`.
    pub(crate) system_properties: Vec<String>,
    /// Enables the TLS handshake log of brokers.
    pub(crate) logs_handshakes: bool,
    /// The session time-out of brokers. A restart after [`Broker::kill`](super::Broker::kill) waits until the session
    /// of the killed process has expired.
    pub(crate) session_timeout: Duration,
    /// The heap of one broker's JVM in MiB.
    pub(crate) heap_mb: u32,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            version: DEFAULT_VERSION.to_owned(),
            brokers: 1,
            broker_configs: Vec::new(),
            listeners: Vec::new(),
            jaas: None,
            system_properties: Vec::new(),
            logs_handshakes: false,
            session_timeout: Duration::from_secs(6),
            heap_mb: 512,
        }
    }
}

impl ClusterOptions {
    pub(crate) fn brokers(mut self, count: usize) -> Self {
        self.brokers = count;
        self
    }

    pub(crate) fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    pub(crate) fn config(mut self, key: &str, value: &str) -> Self {
        self.broker_configs.push((key.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn listener(mut self, protocol: &str) -> Self {
        self.listeners.push(protocol.to_owned());
        self
    }

    pub(crate) fn jaas(mut self, text: &str) -> Self {
        self.jaas = Some(text.to_owned());
        self
    }

    pub(crate) fn system_property(mut self, name: &str, value: &str) -> Self {
        self.system_properties.push(format!("{name}={value}"));
        self
    }

    pub(crate) fn logs_handshakes(mut self) -> Self {
        self.logs_handshakes = true;
        self
    }

    /// Sets the certificate, key and trust store, in PEM, of the listeners whose configuration keys have this prefix.
    pub(crate) fn identity(self, prefix: &str, chain: &str, key: &str, trusted: &str) -> Self {
        self.config(&format!("{prefix}ssl.keystore.type"), "PEM")
            .config(&format!("{prefix}ssl.keystore.certificate.chain"), chain)
            .config(&format!("{prefix}ssl.keystore.key"), key)
            .config(&format!("{prefix}ssl.truststore.type"), "PEM")
            .config(&format!("{prefix}ssl.truststore.certificates"), trusted)
    }

    pub(crate) fn heap_mb(mut self, heap_mb: u32) -> Self {
        self.heap_mb = heap_mb;
        self
    }

    pub(crate) fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        self
    }
}
