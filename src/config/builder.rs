//! The typed door to [`ProducerConfig`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::definition;
use super::kinds::{
    Acks, ClientDnsLookup, MetadataRecoveryStrategy, RecordingLevel, SecurityProtocol,
};
use super::not_built::NOT_BUILT;
use super::{Password, ProducerConfig, open_file, properties};
use crate::compress::CompressionType;
use crate::error::ConfigError;
use crate::util::log::{self, LogContext};

/// Builds a [`ProducerConfig`] key by key.
///
/// Nothing is checked before [`build`](Self::build). A key set twice has the last value. Durations
/// are rounded up to whole milliseconds, which is how Kafka counts.
///
/// # Kafka
/// The map of a `KafkaProducer`'s constructor, with types.
#[derive(Clone, Default)]
pub struct ProducerConfigBuilder {
    given: BTreeMap<String, String>,
    /// What is to be said of the files that keys were read from.
    warnings: Vec<String>,
}

/// Declares the setters that only differ in key and type.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($value:ident: $kind:ty) => $key:literal = $text:expr;)*) => {
        impl ProducerConfigBuilder {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(self, $value: $kind) -> Self {
                self.set($key, $text)
            })*
        }
    };
}

setters! {
    /// `acks`: what a broker must have done before a record counts as delivered.
    acks(acks: Acks) => "acks" = acks.as_str();
    /// `batch.size`: the size in bytes at which a batch is full.
    batch_size(bytes: usize) => "batch.size" = bytes.to_string();
    /// `buffer.memory`: the bytes of memory for records that are not yet answered.
    buffer_memory(bytes: usize) => "buffer.memory" = bytes.to_string();
    /// `client.dns.lookup`: what to do with a host name of several addresses.
    client_dns_lookup(lookup: ClientDnsLookup) => "client.dns.lookup" = lookup.as_str();
    /// `compression.type`: how batches are compressed.
    compression_type(codec: CompressionType) => "compression.type" = codec.name();
    /// `compression.gzip.level`: how hard gzip tries, from 1 to 9, or -1 for its default.
    compression_gzip_level(level: i32) => "compression.gzip.level" = level.to_string();
    /// `compression.lz4.level`: how hard LZ4 tries; only 9 can be had.
    compression_lz4_level(level: i32) => "compression.lz4.level" = level.to_string();
    /// `compression.zstd.level`: how hard Zstandard tries, from -131072 to 22.
    compression_zstd_level(level: i32) => "compression.zstd.level" = level.to_string();
    /// `connections.max.idle.ms`: after how long without traffic a connection is closed; `None`
    /// is never.
    connections_max_idle(idle: Option<Duration>) => "connections.max.idle.ms" =
        idle.map_or_else(|| "-1".to_owned(), millis);
    /// `delivery.timeout.ms`: when a record has either been delivered or failed.
    delivery_timeout(timeout: Duration) => "delivery.timeout.ms" = millis(timeout);
    /// `enable.idempotence`: drop repeats and keep order on the brokers.
    enable_idempotence(enable: bool) => "enable.idempotence" = enable.to_string();
    /// `linger.ms`: how long a batch that is not full waits for more records.
    linger(linger: Duration) => "linger.ms" = millis(linger);
    /// `max.block.ms`: how long `send` may wait for metadata and memory.
    max_block(limit: Duration) => "max.block.ms" = millis(limit);
    /// `max.in.flight.requests.per.connection`: how many requests may be unanswered.
    max_in_flight_requests_per_connection(requests: usize) =>
        "max.in.flight.requests.per.connection" = requests.to_string();
    /// `max.request.size`: the largest record, in bytes.
    max_request_size(bytes: usize) => "max.request.size" = bytes.to_string();
    /// `metadata.max.age.ms`: after how long metadata is asked for again.
    metadata_max_age(age: Duration) => "metadata.max.age.ms" = millis(age);
    /// `metadata.max.idle.ms`: after how long without records a topic is forgotten.
    metadata_max_idle(idle: Duration) => "metadata.max.idle.ms" = millis(idle);
    /// `metadata.recovery.strategy`: what to do when the known brokers cannot be reached.
    metadata_recovery_strategy(strategy: MetadataRecoveryStrategy) =>
        "metadata.recovery.strategy" = strategy.as_str();
    /// `metadata.recovery.rebootstrap.trigger.ms`: how long metadata may be asked for in vain before
    /// `bootstrap.servers` are asked again.
    metadata_recovery_rebootstrap_trigger(after: Duration) =>
        "metadata.recovery.rebootstrap.trigger.ms" = millis(after);
    /// `metrics.num.samples`: how many samples a rate or average speaks of.
    metrics_num_samples(samples: usize) => "metrics.num.samples" = samples.to_string();
    /// `metrics.recording.level`: the most detailed level of metrics that is recorded.
    metrics_recording_level(level: RecordingLevel) => "metrics.recording.level" = level.as_str();
    /// `metrics.sample.window.ms`: how long a sample covers.
    metrics_sample_window(window: Duration) => "metrics.sample.window.ms" = millis(window);
    /// `receive.buffer.bytes`: the socket's receive buffer; `None` leaves it to the system.
    receive_buffer_bytes(bytes: Option<usize>) => "receive.buffer.bytes" = buffer_size(bytes);
    /// `reconnect.backoff.ms`: the first pause before a broker is connected to again.
    reconnect_backoff(pause: Duration) => "reconnect.backoff.ms" = millis(pause);
    /// `reconnect.backoff.max.ms`: the longest such pause.
    reconnect_backoff_max(pause: Duration) => "reconnect.backoff.max.ms" = millis(pause);
    /// `request.timeout.ms`: how long the answer to a request is waited for.
    request_timeout(timeout: Duration) => "request.timeout.ms" = millis(timeout);
    /// `retries`: how many times a batch is sent again.
    retries(retries: u32) => "retries" = retries.to_string();
    /// `retry.backoff.ms`: the pause before a retry.
    retry_backoff(pause: Duration) => "retry.backoff.ms" = millis(pause);
    /// `retry.backoff.max.ms`: lets the pause before a retry double up to this.
    retry_backoff_max(pause: Duration) => "retry.backoff.max.ms" = millis(pause);
    /// `security.protocol`: how to talk to brokers.
    security_protocol(protocol: SecurityProtocol) => "security.protocol" = protocol.as_str();
    /// `send.buffer.bytes`: the socket's send buffer; `None` leaves it to the system.
    send_buffer_bytes(bytes: Option<usize>) => "send.buffer.bytes" = buffer_size(bytes);
    /// `socket.connection.setup.timeout.ms`: how long a first try to connect may take.
    socket_connection_setup_timeout(timeout: Duration) =>
        "socket.connection.setup.timeout.ms" = millis(timeout);
    /// `socket.connection.setup.timeout.max.ms`: how long any try to connect may take.
    socket_connection_setup_timeout_max(timeout: Duration) =>
        "socket.connection.setup.timeout.max.ms" = millis(timeout);
}

impl ProducerConfigBuilder {
    /// A builder in which no key is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets any key by its name, known to this library or meant for a plug-in.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.given.insert(key.into(), value.into());
        self
    }

    /// Sets every key of a Java `.properties` file in UTF-8 or ISO-8859-1. What is set before gives
    /// way to the file, what is set afterwards wins over it: nothing is checked until all is there.
    ///
    /// # Errors
    /// If the file cannot be read or has a malformed escape.
    ///
    /// # Blocking
    /// Reads the file.
    pub fn properties_file(mut self, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let read = properties::read(path.as_ref())?;
        self.warnings
            .extend(open_file::exposed(path.as_ref(), &read));
        self.given.extend(read);
        Ok(self)
    }

    /// `bootstrap.servers`: the brokers to ask first, each as `host:port`.
    #[must_use]
    pub fn bootstrap_servers<S: Into<String>>(self, servers: impl IntoIterator<Item = S>) -> Self {
        self.set("bootstrap.servers", joined(servers))
    }

    /// `client.id`: the name by which brokers know this producer.
    #[must_use]
    pub fn client_id(self, id: impl Into<String>) -> Self {
        self.set("client.id", id)
    }

    /// `interceptor.classes`: names of interceptors, in the order they are called.
    #[must_use]
    pub fn interceptor_classes<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        self.set("interceptor.classes", joined(names))
    }

    /// `key.serializer`: the name of the keys' serializer.
    #[must_use]
    pub fn key_serializer_class(self, name: impl Into<String>) -> Self {
        self.set("key.serializer", name)
    }

    /// `value.serializer`: the name of the values' serializer.
    #[must_use]
    pub fn value_serializer_class(self, name: impl Into<String>) -> Self {
        self.set("value.serializer", name)
    }

    /// `partitioner.class`: the name of the partitioner.
    #[must_use]
    pub fn partitioner_class(self, name: impl Into<String>) -> Self {
        self.set("partitioner.class", name)
    }

    /// `sasl.mechanism=PLAIN` and a `sasl.jaas.config` with these, whatever characters they have. The password
    /// goes to the broker as it is: best inside TLS.
    #[must_use]
    pub fn sasl_plain(self, username: &str, password: &str) -> Self {
        let module = "org.apache.kafka.common.security.plain.PlainLoginModule";
        self.sasl_login("PLAIN", module, username, password)
    }

    /// `sasl.mechanism=SCRAM-SHA-256` and a `sasl.jaas.config` with these, whatever characters they have.
    #[must_use]
    pub fn sasl_scram_sha_256(self, username: &str, password: &str) -> Self {
        self.sasl_login("SCRAM-SHA-256", SCRAM_LOGIN_MODULE, username, password)
    }

    /// `sasl.mechanism=SCRAM-SHA-512`, likewise.
    #[must_use]
    pub fn sasl_scram_sha_512(self, username: &str, password: &str) -> Self {
        self.sasl_login("SCRAM-SHA-512", SCRAM_LOGIN_MODULE, username, password)
    }

    fn sasl_login(self, mechanism: &str, module: &str, username: &str, password: &str) -> Self {
        let (username, password) = (jaas_text(username), jaas_text(password));
        let login = format!("{module} required username={username} password={password};");
        self.set("sasl.mechanism", mechanism)
            .set("sasl.jaas.config", login)
    }

    /// What is set.
    #[cfg(test)]
    pub(super) fn given(&self) -> &BTreeMap<String, String> {
        &self.given
    }

    /// Checks everything and builds the configuration.
    ///
    /// # Errors
    /// If a value is not valid, values do not go together, or a value asks for what this version
    /// of the library cannot do.
    pub fn build(self) -> Result<ProducerConfig, ConfigError> {
        let config = ProducerConfig::check(self.given, NOT_BUILT)?;
        let log = LogContext::of_producer(config.client_id(), config.transactional_id());
        for warning in &self.warnings {
            log::warn!(log, "{warning}");
        }
        Ok(config)
    }
}

/// Shows what is set; passwords, and the values of keys unknown to this library, are hidden.
impl fmt::Debug for ProducerConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.given.iter().map(|(key, value)| {
            let open = definition::key(key).is_some_and(|row| !row.is_password());
            (
                key,
                if open {
                    value.as_str()
                } else {
                    Password::HIDDEN
                },
            )
        });
        f.debug_map().entries(shown).finish()
    }
}

const SCRAM_LOGIN_MODULE: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";

/// A value in quotation marks, as `sasl.jaas.config` has it.
fn jaas_text(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            _ => text.push(c),
        }
    }
    text.push('"');
    text
}

fn joined<S: Into<String>>(items: impl IntoIterator<Item = S>) -> String {
    items
        .into_iter()
        .map(Into::into)
        .collect::<Vec<_>>()
        .join(",")
}

fn millis(duration: Duration) -> String {
    duration.as_nanos().div_ceil(1_000_000).to_string()
}

fn buffer_size(bytes: Option<usize>) -> String {
    bytes.map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string())
}
