//! The typed builder of [`ProducerConfig`].

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::definition;
use super::given::GivenKeys;
use super::jaas_text::jaas_text;
use super::kinds::{
    Acks, ClientDnsLookup, MetadataRecoveryStrategy, RecordingLevel, SecurityProtocol,
};
use super::strictness::Strictness;
use super::{
    ConfigProvider, Password, ProducerConfig, environment, open_file, properties, shown_key, value,
};
use crate::compress::CompressionType;
use crate::error::ConfigError;

/// Builder of a [`ProducerConfig`], with a setter for each key.
///
/// Nothing is validated before [`build`](Self::build). The last value of a key wins. Durations are rounded up to whole
/// milliseconds, Kafka's unit.
///
/// ```
/// use std::time::Duration;
/// use kafka_producer::{Acks, CompressionType, ProducerConfig, SecurityProtocol};
///
/// let config = ProducerConfig::builder()
///     .bootstrap_servers(["kafka-1:9094"])
///     .security_protocol(SecurityProtocol::SaslPlaintext)
///     .sasl_plain("billing", "s3cret")
///     .acks(Acks::All)
///     .compression_type(CompressionType::None)
///     .delivery_timeout(Duration::from_secs(60))
///     .set("retry.backoff.ms", "200") // by its name
///     .build()?;
/// assert_eq!(config.delivery_timeout(), Duration::from_secs(60));
/// # Ok::<(), kafka_producer::ConfigError>(())
/// ```
///
/// # Kafka
/// Corresponds to the map that the constructor of `KafkaProducer` takes, with types.
#[derive(Clone, Default)]
pub struct ProducerConfigBuilder {
    given: GivenKeys,
    strictness: Strictness,
}

/// Declares the setters that differ only in key and type.
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
    /// `acks`: the acknowledgement that a record needs to count as delivered.
    acks(acks: Acks) => "acks" = acks.as_str();
    /// `batch.size`: the size in bytes at which a batch is full.
    batch_size(bytes: usize) => "batch.size" = bytes.to_string();
    /// `buffer.memory`: the bytes of memory for records that are not yet acknowledged.
    buffer_memory(bytes: usize) => "buffer.memory" = bytes.to_string();
    /// `client.dns.lookup`: how a host name with several addresses is used.
    client_dns_lookup(lookup: ClientDnsLookup) => "client.dns.lookup" = lookup.as_str();
    /// `compression.type`: the codec of batches.
    compression_type(codec: CompressionType) => "compression.type" = codec.name();
    /// `compression.gzip.level`: the compression level of gzip, from 1 to 9, or -1 for its default.
    compression_gzip_level(level: i32) => "compression.gzip.level" = level.to_string();
    /// `compression.lz4.level`: the compression level of LZ4; only 9 is supported.
    compression_lz4_level(level: i32) => "compression.lz4.level" = level.to_string();
    /// `compression.zstd.level`: the compression level of Zstandard, from -131072 to 22.
    compression_zstd_level(level: i32) => "compression.zstd.level" = level.to_string();
    /// `connections.max.idle.ms`: the idle timeout of a connection; `None` for no timeout.
    connections_max_idle(idle: Option<Duration>) => "connections.max.idle.ms" =
        idle.map_or_else(|| "-1".to_owned(), millis);
    /// `delivery.timeout.ms`: upper bound of the time until a record is delivered or has failed.
    delivery_timeout(timeout: Duration) => "delivery.timeout.ms" = millis(timeout);
    /// `enable.idempotence`: brokers discard duplicates and keep the order of batches.
    enable_idempotence(enable: bool) => "enable.idempotence" = enable.to_string();
    /// `linger.ms`: how long a batch that is not full waits for more records.
    linger(linger: Duration) => "linger.ms" = millis(linger);
    /// `max.block.ms`: how long `send` may block for metadata and memory.
    max_block(limit: Duration) => "max.block.ms" = millis(limit);
    /// `max.in.flight.requests.per.connection`: the limit of requests without a response on one connection.
    max_in_flight_requests_per_connection(requests: usize) =>
        "max.in.flight.requests.per.connection" = requests.to_string();
    /// `max.request.size`: the largest record, in bytes.
    max_request_size(bytes: usize) => "max.request.size" = bytes.to_string();
    /// `metadata.max.age.ms`: the age at which metadata is refreshed.
    metadata_max_age(age: Duration) => "metadata.max.age.ms" = millis(age);
    /// `metadata.max.idle.ms`: after how long without records a topic's metadata is evicted.
    metadata_max_idle(idle: Duration) => "metadata.max.idle.ms" = millis(idle);
    /// `metadata.recovery.strategy`: what to do when the known brokers cannot be reached.
    metadata_recovery_strategy(strategy: MetadataRecoveryStrategy) =>
        "metadata.recovery.strategy" = strategy.as_str();
    /// `metadata.recovery.rebootstrap.trigger.ms`: after how long without a successful metadata request
    /// `bootstrap.servers` are tried again.
    metadata_recovery_rebootstrap_trigger(after: Duration) =>
        "metadata.recovery.rebootstrap.trigger.ms" = millis(after);
    /// `metrics.num.samples`: the number of samples of a rate or average.
    metrics_num_samples(samples: usize) => "metrics.num.samples" = samples.to_string();
    /// `metrics.recording.level`: the level of detail up to which metrics are recorded.
    metrics_recording_level(level: RecordingLevel) => "metrics.recording.level" = level.as_str();
    /// `metrics.sample.window.ms`: the duration of one sample.
    metrics_sample_window(window: Duration) => "metrics.sample.window.ms" = millis(window);
    /// `receive.buffer.bytes`: the socket's receive buffer; `None` leaves it to the operating system.
    receive_buffer_bytes(bytes: Option<usize>) => "receive.buffer.bytes" = buffer_size(bytes);
    /// `reconnect.backoff.ms`: the first back-off before a reconnect.
    reconnect_backoff(pause: Duration) => "reconnect.backoff.ms" = millis(pause);
    /// `reconnect.backoff.max.ms`: the longest back-off before a reconnect.
    reconnect_backoff_max(pause: Duration) => "reconnect.backoff.max.ms" = millis(pause);
    /// `request.timeout.ms`: the timeout of a request in flight.
    request_timeout(timeout: Duration) => "request.timeout.ms" = millis(timeout);
    /// `retries`: how many times a batch is retried.
    retries(retries: u32) => "retries" = retries.to_string();
    /// `retry.backoff.ms`: the back-off before a retry.
    retry_backoff(pause: Duration) => "retry.backoff.ms" = millis(pause);
    /// `retry.backoff.max.ms`: makes the back-off before a retry exponential, up to this maximum.
    retry_backoff_max(pause: Duration) => "retry.backoff.max.ms" = millis(pause);
    /// `security.protocol`: the protocol of connections to brokers.
    security_protocol(protocol: SecurityProtocol) => "security.protocol" = protocol.as_str();
    /// `send.buffer.bytes`: the socket's send buffer; `None` leaves it to the operating system.
    send_buffer_bytes(bytes: Option<usize>) => "send.buffer.bytes" = buffer_size(bytes);
    /// `socket.connection.setup.timeout.ms`: the timeout of the first attempt to connect.
    socket_connection_setup_timeout(timeout: Duration) =>
        "socket.connection.setup.timeout.ms" = millis(timeout);
    /// `socket.connection.setup.timeout.max.ms`: the maximum timeout of an attempt to connect.
    socket_connection_setup_timeout_max(timeout: Duration) =>
        "socket.connection.setup.timeout.max.ms" = millis(timeout);
    /// `ssl.reload.interval.ms`: the interval at which the files of TLS are read again; `None` if only
    /// [`reload_tls`](crate::KafkaProducer::reload_tls) reads them.
    ssl_reload_interval(interval: Option<Duration>) => "ssl.reload.interval.ms" =
        millis(interval.unwrap_or_default());
    /// `transaction.timeout.ms`: after how long the coordinator aborts an open transaction.
    transaction_timeout(timeout: Duration) => "transaction.timeout.ms" = millis(timeout);
}

impl ProducerConfigBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key by its name. It may be a key of this library or of a plug-in.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.given.set(key.into(), value.into());
        self
    }

    /// Names a config provider: variables `${name:path:key}` and `${name:key}` in values are replaced by its values,
    /// while the configuration is built. `config.providers` need not name it. If `config.providers.NAME.class` names a
    /// class for the same name, this provider is used instead. The name must not contain `:` or `}`.
    ///
    /// A value is put in as it is. If a variable is the user or the password of [`sasl_plain`](Self::sasl_plain) and
    /// the like, the provider must escape `"` and `\` in the value by a backslash.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    ///
    /// use kafka_producer::{BoxError, ProducerConfig};
    ///
    /// let vault = |path: &str, keys: &[&str]| -> Result<_, BoxError> {
    ///     let secrets = keys.iter().map(|key| ((*key).to_owned(), format!("{key} of {path}")));
    ///     Ok(secrets.collect::<BTreeMap<_, _>>())
    /// };
    /// let config = ProducerConfig::builder()
    ///     .config_provider("vault", vault)
    ///     .set("my.serializer.token", "${vault:billing:token}")
    ///     .build()?;
    /// assert_eq!(config.originals()["my.serializer.token"], "token of billing");
    /// # Ok::<(), kafka_producer::ConfigError>(())
    /// ```
    #[must_use]
    pub fn config_provider(
        mut self,
        name: impl Into<String>,
        provider: impl ConfigProvider + 'static,
    ) -> Self {
        self.given.providers.insert(name.into(), Arc::new(provider));
        self
    }

    /// Sets every key of a Java `.properties` file in UTF-8 or ISO-8859-1. Keys set later override the file, and the
    /// file overrides keys set before. A key that the file sets twice has its last value, with a warning.
    ///
    /// ```no_run
    /// use kafka_producer::ProducerConfig;
    ///
    /// // The file is for all instances, the id for this one.
    /// let config = ProducerConfig::builder()
    ///     .properties_file("/etc/billing/producer.properties")?
    ///     .client_id("billing-3")
    ///     .build()?;
    /// # drop(config);
    /// # Ok::<(), kafka_producer::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// If the file cannot be read or has a malformed escape.
    ///
    /// # Blocking
    /// Reads the file. A pipe is read until its writer closes it.
    pub fn properties_file(mut self, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let read = properties::read(path.as_ref())?;
        let exposed = open_file::exposed(path.as_ref(), &read.entries);
        self.given.warnings.extend(exposed);
        self.given.add_properties(read);
        Ok(self)
    }

    /// Sets the keys of all environment variables whose names begin with the prefix, for example `KAFKA_LINGER_MS` with
    /// the prefix `KAFKA_`. In the rest of the name `_` stands for a dot, `__` for an underscore and `___` for a dash;
    /// case does not matter. Keys set later override the environment, and the environment overrides keys set before.
    ///
    /// All variables with the prefix are taken: some systems set others, for example Kubernetes for a service that is
    /// called `kafka`. Unknown keys are warned of, and refused in a [`strict`](Self::strict) configuration. If that
    /// happens choose another prefix, for example `APP_KAFKA_`.
    ///
    /// # Errors
    /// If a variable's value is not valid Unicode, two variables are the same key, or the prefix is empty or lacks its
    /// underscore.
    pub fn env(mut self, prefix: &str) -> Result<Self, ConfigError> {
        let read = environment::read(prefix, std::env::vars_os())?;
        self.given.add_environment(prefix, read);
        Ok(self)
    }

    /// Makes every unknown key an error, which names the key that was probably meant. So is a key of a config provider
    /// that `config.providers` does not name. Without this an unknown key is
    /// only warned of when the producer is built, since it may be that of a plug-in. A known key without effect, such as
    /// a trust store without `security.protocol=SSL`, is only warned of in either case: see
    /// [`unused_keys`](super::ProducerConfig::unused_keys).
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strictness.is_strict = true;
        self
    }

    /// Prefixes of the keys that plug-ins read (serializers, partitioners, interceptors, reporters), which a
    /// [`strict`](Self::strict) configuration may have: for example `schema.registry.`. An
    /// unsupported key of Kafka's producer with such a prefix is not warned of; one that is rejected is still rejected.
    #[must_use]
    pub fn plugin_keys<S: Into<String>>(mut self, prefixes: impl IntoIterator<Item = S>) -> Self {
        let prefixes = prefixes.into_iter().map(Into::into);
        self.strictness.plugin_keys.extend(prefixes);
        self
    }

    /// `bootstrap.servers`: the brokers to connect to first, each as `host:port`, in one text with commas between them
    /// or as a list.
    ///
    /// ```
    /// use kafka_producer::ProducerConfig;
    ///
    /// let of_text = ProducerConfig::builder().bootstrap_servers("kafka-1:9092,kafka-2:9092").build()?;
    /// let of_list = ProducerConfig::builder().bootstrap_servers(["kafka-1:9092", "kafka-2:9092"]).build()?;
    /// assert_eq!(of_text.bootstrap_servers(), of_list.bootstrap_servers());
    /// # Ok::<(), kafka_producer::ConfigError>(())
    /// ```
    #[must_use]
    pub fn bootstrap_servers(self, servers: impl Into<BootstrapServers>) -> Self {
        self.set("bootstrap.servers", servers.into().0)
    }

    /// `client.id`: the name of this producer for brokers.
    #[must_use]
    pub fn client_id(self, id: impl Into<String>) -> Self {
        self.set("client.id", id)
    }

    /// `transactional.id`: enables transactions. The id must be the same after a restart and different from that of
    /// every other running producer.
    #[must_use]
    pub fn transactional_id(self, id: impl Into<String>) -> Self {
        self.set("transactional.id", id)
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

    /// `sasl.mechanism=PLAIN` and a `sasl.jaas.config` with this user and password, quoted and escaped; the value of a
    /// variable in one of them is not, see [`config_provider`](Self::config_provider). The password is sent to the
    /// broker in clear text: use this mechanism only over TLS.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kafka_producer::ProducerConfig;
    ///
    /// # let password = "secret";
    /// # #[cfg(feature = "tls-no-provider")]
    /// let config = ProducerConfig::builder()
    ///     .bootstrap_servers("broker:9093")
    ///     .set("security.protocol", "SASL_SSL")
    ///     .sasl_plain("billing", password)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sasl_plain(self, username: &str, password: &str) -> Self {
        let module = "org.apache.kafka.common.security.plain.PlainLoginModule";
        self.sasl_login("PLAIN", module, username, password)
    }

    /// `sasl.mechanism=SCRAM-SHA-256` and a `sasl.jaas.config` with this user and password, quoted and escaped; the
    /// value of a variable in one of them is not, see [`config_provider`](Self::config_provider).
    #[must_use]
    pub fn sasl_scram_sha_256(self, username: &str, password: &str) -> Self {
        self.sasl_login("SCRAM-SHA-256", SCRAM_LOGIN_MODULE, username, password)
    }

    /// `sasl.mechanism=SCRAM-SHA-512` and a `sasl.jaas.config` with this user and password, quoted and escaped; the
    /// value of a variable in one of them is not, see [`config_provider`](Self::config_provider).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kafka_producer::ProducerConfig;
    ///
    /// # let password = "secret";
    /// # #[cfg(all(feature = "tls-no-provider", feature = "sasl-scram"))]
    /// let config = ProducerConfig::builder()
    ///     .bootstrap_servers("broker:9093")
    ///     .set("security.protocol", "SASL_SSL")
    ///     .sasl_scram_sha_512("billing", password)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sasl_scram_sha_512(self, username: &str, password: &str) -> Self {
        self.sasl_login("SCRAM-SHA-512", SCRAM_LOGIN_MODULE, username, password)
    }

    /// `sasl.mechanism=OAUTHBEARER` with tokens of an identity provider (OIDC), which are requested from this token
    /// endpoint by the client credentials grant. Needs the feature `oidc`.
    ///
    /// Further settings are keys, for example `sasl.oauthbearer.scope`. Options of the login module (`ssl.*` for the
    /// trust in the endpoint, `extension_NAME`) go into `sasl.jaas.config`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kafka_producer::ProducerConfig;
    ///
    /// # let secret = "secret";
    /// # #[cfg(feature = "tls-no-provider")]
    /// let config = ProducerConfig::builder()
    ///     .bootstrap_servers("broker:9093")
    ///     .set("security.protocol", "SASL_SSL")
    ///     .sasl_oidc("https://login.example.com/oauth2/token", "billing", secret)
    ///     .set("sasl.oauthbearer.scope", "kafka")
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sasl_oidc(self, token_endpoint: &str, client_id: &str, client_secret: &str) -> Self {
        const CREDENTIALS: &str = "sasl.oauthbearer.client.credentials";
        self.set("sasl.mechanism", "OAUTHBEARER")
            .set("sasl.login.callback.handler.class", OIDC_LOGIN_HANDLER)
            .set("sasl.oauthbearer.token.endpoint.url", token_endpoint)
            .set(format!("{CREDENTIALS}.client.id"), client_id)
            .set(format!("{CREDENTIALS}.client.secret"), client_secret)
    }

    /// `sasl.mechanism=OAUTHBEARER` for Amazon MSK with IAM: tokens are signed with the AWS credentials that the
    /// options describe. Use it with `security.protocol=SASL_SSL`, and the port for IAM of the brokers, usually 9098.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kafka_producer::{MskIamOptions, ProducerConfig};
    ///
    /// let config = ProducerConfig::builder()
    ///     .bootstrap_servers("b-1.orders.a1b2c3.c2.kafka.eu-central-1.amazonaws.com:9098")
    ///     .set("security.protocol", "SASL_SSL")
    ///     .sasl_msk_iam(&MskIamOptions::new().region("eu-central-1"))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Kafka
    /// `sasl.login.callback.handler.class` and `sasl.jaas.config` are set as Amazon documents it for Java.
    #[cfg(feature = "msk-iam")]
    #[must_use]
    pub fn sasl_msk_iam(self, options: &super::MskIamOptions) -> Self {
        self.set("sasl.mechanism", "OAUTHBEARER")
            .set(
                "sasl.login.callback.handler.class",
                super::msk_iam::LOGIN_HANDLER,
            )
            .set("sasl.jaas.config", options.login())
    }

    fn sasl_login(self, mechanism: &str, module: &str, username: &str, password: &str) -> Self {
        let (username, password) = (jaas_text(username), jaas_text(password));
        let login = format!("{module} required username={username} password={password};");
        self.set("sasl.mechanism", mechanism)
            .set("sasl.jaas.config", login)
    }

    /// The keys and values set so far.
    #[cfg(test)]
    pub(super) fn given(&self) -> &std::collections::BTreeMap<String, String> {
        &self.given.entries
    }

    /// Replaces the variables of config providers, validates all keys and builds the configuration.
    ///
    /// # Errors
    /// If a value is invalid, values conflict, a value needs a feature that this version of the library does not
    /// have, or a config provider fails.
    ///
    /// # Blocking
    /// As long as its config providers do; those of Kafka read files and environment variables.
    pub fn build(self) -> Result<ProducerConfig, ConfigError> {
        ProducerConfig::check(self.given, &self.strictness)
    }
}

/// The argument of [`bootstrap_servers`](ProducerConfigBuilder::bootstrap_servers), made from a text in which commas
/// separate the brokers, or from a list of them. An iterator is collected into it.
#[derive(Clone, PartialEq, Eq)]
pub struct BootstrapServers(String);

/// Prints the text, unless it looks like a secret: what comes before an `@` may be a password.
impl fmt::Debug for BootstrapServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BootstrapServers")
            .field(&if self.0.contains('@') {
                Password::HIDDEN
            } else {
                value::shown(&self.0)
            })
            .finish()
    }
}

impl From<String> for BootstrapServers {
    fn from(servers: String) -> Self {
        Self(servers)
    }
}

impl From<&String> for BootstrapServers {
    fn from(servers: &String) -> Self {
        Self(servers.clone())
    }
}

impl From<&str> for BootstrapServers {
    fn from(servers: &str) -> Self {
        Self(servers.to_owned())
    }
}

impl<S: AsRef<str>> From<&[S]> for BootstrapServers {
    fn from(servers: &[S]) -> Self {
        servers.iter().collect()
    }
}

impl<S: AsRef<str>> From<Vec<S>> for BootstrapServers {
    fn from(servers: Vec<S>) -> Self {
        servers.iter().collect()
    }
}

impl<S: AsRef<str>> From<&Vec<S>> for BootstrapServers {
    fn from(servers: &Vec<S>) -> Self {
        servers.iter().collect()
    }
}

impl<S: AsRef<str>, const N: usize> From<[S; N]> for BootstrapServers {
    fn from(servers: [S; N]) -> Self {
        servers.iter().collect()
    }
}

impl<S: AsRef<str>, const N: usize> From<&[S; N]> for BootstrapServers {
    fn from(servers: &[S; N]) -> Self {
        servers.iter().collect()
    }
}

impl<S: AsRef<str>> FromIterator<S> for BootstrapServers {
    fn from_iter<I: IntoIterator<Item = S>>(servers: I) -> Self {
        let servers = servers.into_iter().map(|server| server.as_ref().to_owned());
        Self(joined(servers))
    }
}

/// Prints the keys and values set; passwords, and the values of unknown keys, are hidden.
impl fmt::Debug for ProducerConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.given.entries.iter().map(|(key, given)| {
            let open = definition::key(key).is_some_and(|row| !row.is_password());
            (
                shown_key(key),
                if open {
                    value::shown(given)
                } else {
                    Password::HIDDEN
                },
            )
        });
        f.debug_map().entries(shown).finish()
    }
}

const SCRAM_LOGIN_MODULE: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";

const OIDC_LOGIN_HANDLER: &str =
    "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler";

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
