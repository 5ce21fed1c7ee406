//! Values of the keys as plain fields, and the getters of [`ProducerConfig`] for them.

use std::time::Duration;

use super::draft::Draft;
use super::kinds::{
    Acks, ClientDnsLookup, MetadataRecoveryStrategy, RecordingLevel, SecurityProtocol,
};
use super::{Password, ProducerConfig};
use crate::compress::CompressionType;

/// Declares the fields of [`Settings`] and, for each, a getter of [`ProducerConfig`].
macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        /// Values that the library reads often. They are converted from the draft only once.
        #[derive(Clone, Copy, Debug)]
        pub(super) struct Settings {
            $($name: $kind,)*
        }

        impl ProducerConfig {
            $($(#[$doc])* #[inline] pub fn $name(&self) -> $kind {
                self.settings.$name
            })*
        }
    };
}

settings! {
    /// `acks`: the acknowledgement that a record needs to count as delivered.
    acks: Acks,
    /// `batch.size`: the size in bytes at which a batch is full.
    batch_size: usize,
    /// `buffer.memory`: the bytes of memory for records that are not yet acknowledged.
    buffer_memory: usize,
    /// `client.dns.lookup`: how a host name with several addresses is used.
    client_dns_lookup: ClientDnsLookup,
    /// `compression.type`: the codec of batches.
    compression_type: CompressionType,
    /// The level of the chosen codec, from `compression.gzip.level`, `compression.lz4.level` or
    /// `compression.zstd.level`; `None` if the codec has no levels.
    compression_level: Option<i32>,
    /// `connections.max.idle.ms`: the idle timeout of a connection; `None` for no timeout.
    connections_max_idle: Option<Duration>,
    /// `delivery.timeout.ms`: upper bound of the time until a record is delivered or has failed.
    delivery_timeout: Duration,
    /// `enable.idempotence`, the effective value: false if other keys disabled it.
    enable_idempotence: bool,
    /// `linger.ms`: how long a batch that is not full waits for more records.
    linger: Duration,
    /// `max.block.ms`: how long `send` may block for metadata and memory.
    max_block: Duration,
    /// `max.in.flight.requests.per.connection`: the limit of requests without a response on one connection; 1 or more.
    max_in_flight_requests_per_connection: usize,
    /// `max.request.size`: the largest record, in bytes.
    max_request_size: usize,
    /// `metadata.max.age.ms`: the age at which metadata is refreshed.
    metadata_max_age: Duration,
    /// `metadata.max.idle.ms`: after how long without records a topic's metadata is evicted.
    metadata_max_idle: Duration,
    /// `metadata.recovery.strategy`: what to do when the known brokers cannot be reached.
    metadata_recovery_strategy: MetadataRecoveryStrategy,
    /// `metadata.recovery.rebootstrap.trigger.ms`: after how long without a successful metadata request
    /// `bootstrap.servers` are tried again.
    metadata_recovery_rebootstrap_trigger: Duration,
    /// `metrics.num.samples`: the number of samples of a rate or average; 1 or more.
    metrics_num_samples: usize,
    /// `metrics.recording.level`: the level of detail up to which metrics are recorded.
    metrics_recording_level: RecordingLevel,
    /// `metrics.sample.window.ms`: the duration of one sample.
    metrics_sample_window: Duration,
    /// `receive.buffer.bytes`: the socket's receive buffer; `None` leaves it to the operating system.
    receive_buffer_bytes: Option<usize>,
    /// `reconnect.backoff.ms`: the first back-off before a reconnect.
    reconnect_backoff: Duration,
    /// `reconnect.backoff.max.ms`: the longest back-off before a reconnect.
    reconnect_backoff_max: Duration,
    /// `request.timeout.ms`: the timeout of a request in flight.
    request_timeout: Duration,
    /// `retries`: how many times a batch is retried.
    retries: u32,
    /// `retry.backoff.ms`: the back-off before a retry.
    retry_backoff: Duration,
    /// `retry.backoff.max.ms`: the longest back-off before a retry; `None` if the back-off is constant.
    retry_backoff_max: Option<Duration>,
    /// `sasl.login.refresh.window.factor`: the fraction of its lifetime after which a token is refreshed.
    sasl_login_refresh_window_factor: f64,
    /// `sasl.login.refresh.window.jitter`: random jitter of the time of a token's refresh, as a fraction of the token's
    /// lifetime.
    sasl_login_refresh_window_jitter: f64,
    /// `sasl.login.refresh.min.period.seconds`: the minimum time before a token is refreshed.
    sasl_login_refresh_min_period: Duration,
    /// `sasl.login.refresh.buffer.seconds`: the time before a token expires at which it should be refreshed at the
    /// latest.
    sasl_login_refresh_buffer: Duration,
    /// `security.protocol`: the protocol of connections to brokers.
    security_protocol: SecurityProtocol,
    /// `send.buffer.bytes`: the socket's send buffer; `None` leaves it to the operating system.
    send_buffer_bytes: Option<usize>,
    /// `socket.connection.setup.timeout.ms`: the timeout of the first attempt to connect.
    socket_connection_setup_timeout: Duration,
    /// `socket.connection.setup.timeout.max.ms`: the maximum timeout of an attempt to connect.
    socket_connection_setup_timeout_max: Duration,
    /// `ssl.reload.interval.ms`: the interval at which the files of TLS are read again; `None` if only
    /// [`reload_tls`](crate::KafkaProducer::reload_tls) reads them.
    ssl_reload_interval: Option<Duration>,
    /// `transaction.timeout.ms`: after how long the coordinator aborts an open transaction.
    transaction_timeout: Duration,
}

impl Settings {
    /// Converts the values of a checked draft.
    pub(super) fn of(draft: &Draft, security_protocol: SecurityProtocol) -> Self {
        let bytes = |key| size(draft.integer(key));
        let time = |key| millis(draft.integer(key));
        let seconds = |key| Duration::from_secs(unless_negative(draft.integer(key)).unwrap_or(0));
        let text = |key| draft.text(key).unwrap_or_default();
        let compression_type = compression_type(draft);
        Self {
            acks: Acks::parse(text("acks")).expect("the table lists the levels there are"),
            batch_size: bytes("batch.size"),
            buffer_memory: bytes("buffer.memory"),
            client_dns_lookup: ClientDnsLookup::parse(text("client.dns.lookup"))
                .expect("the table lists the lookups there are"),
            compression_type,
            compression_level: compression_level_key(compression_type)
                .map(|key| draft.integer(key) as i32),
            connections_max_idle: unless_negative(draft.integer("connections.max.idle.ms"))
                .map(Duration::from_millis),
            delivery_timeout: time("delivery.timeout.ms"),
            enable_idempotence: draft.boolean("enable.idempotence"),
            linger: time("linger.ms"),
            max_block: time("max.block.ms"),
            max_in_flight_requests_per_connection: bytes("max.in.flight.requests.per.connection"),
            max_request_size: bytes("max.request.size"),
            metadata_max_age: time("metadata.max.age.ms"),
            metadata_max_idle: time("metadata.max.idle.ms"),
            metadata_recovery_strategy: MetadataRecoveryStrategy::parse(text(
                "metadata.recovery.strategy",
            ))
            .expect("the table lists the strategies there are"),
            metadata_recovery_rebootstrap_trigger: time("metadata.recovery.rebootstrap.trigger.ms"),
            metrics_num_samples: bytes("metrics.num.samples"),
            metrics_recording_level: RecordingLevel::parse(text("metrics.recording.level"))
                .expect("the table lists the levels there are"),
            metrics_sample_window: time("metrics.sample.window.ms"),
            receive_buffer_bytes: buffer_size(draft.integer("receive.buffer.bytes")),
            reconnect_backoff: time("reconnect.backoff.ms"),
            reconnect_backoff_max: time("reconnect.backoff.max.ms"),
            request_timeout: time("request.timeout.ms"),
            retries: u32::try_from(draft.integer("retries"))
                .expect("the table's range is within 32 bits"),
            retry_backoff: time("retry.backoff.ms"),
            retry_backoff_max: draft.optional_integer("retry.backoff.max.ms").map(millis),
            sasl_login_refresh_window_factor: draft.double("sasl.login.refresh.window.factor"),
            sasl_login_refresh_window_jitter: draft.double("sasl.login.refresh.window.jitter"),
            sasl_login_refresh_min_period: seconds("sasl.login.refresh.min.period.seconds"),
            sasl_login_refresh_buffer: seconds("sasl.login.refresh.buffer.seconds"),
            security_protocol,
            send_buffer_bytes: buffer_size(draft.integer("send.buffer.bytes")),
            socket_connection_setup_timeout: time("socket.connection.setup.timeout.ms"),
            socket_connection_setup_timeout_max: time("socket.connection.setup.timeout.max.ms"),
            ssl_reload_interval: Some(time("ssl.reload.interval.ms"))
                .filter(|interval| !interval.is_zero()),
            transaction_timeout: time("transaction.timeout.ms"),
        }
    }
}

/// The chosen codec.
pub(super) fn compression_type(draft: &Draft) -> CompressionType {
    let name = draft.text("compression.type").unwrap_or_default();
    name.parse().expect("the table lists the codecs there are")
}

/// The key of a codec's level; `None` if the codec has no levels.
pub(super) fn compression_level_key(codec: CompressionType) -> Option<&'static str> {
    match codec {
        CompressionType::None | CompressionType::Snappy => None,
        CompressionType::Gzip => Some("compression.gzip.level"),
        CompressionType::Lz4 => Some("compression.lz4.level"),
        CompressionType::Zstd => Some("compression.zstd.level"),
    }
}

fn unless_negative(number: i64) -> Option<u64> {
    u64::try_from(number).ok()
}

/// A duration, which the table guarantees is not negative.
fn millis(number: i64) -> Duration {
    Duration::from_millis(unless_negative(number).unwrap_or(0))
}

/// A count or size, which the table guarantees is not negative. Saturates at the address space on 32-bit targets.
fn size(number: i64) -> usize {
    usize::try_from(number.max(0)).unwrap_or(usize::MAX)
}

/// A socket buffer size; `None` for -1, which leaves it to the operating system.
fn buffer_size(number: i64) -> Option<usize> {
    unless_negative(number).map(|_| size(number))
}

/// Getters of values that are not `Copy`.
impl ProducerConfig {
    /// `bootstrap.servers`: the entries as given, empty ones included.
    pub fn bootstrap_servers(&self) -> &[String] {
        self.draft.list("bootstrap.servers")
    }

    /// `client.id`; generated if it was not given.
    pub fn client_id(&self) -> &str {
        self.draft.text("client.id").unwrap_or_default()
    }

    /// `interceptor.classes`: names of interceptors, in the order they are called.
    pub fn interceptor_classes(&self) -> &[String] {
        self.draft.list("interceptor.classes")
    }

    /// `key.serializer`: the name of the keys' serializer, if one was given.
    pub fn key_serializer_class(&self) -> Option<&str> {
        self.draft.text("key.serializer")
    }

    /// `value.serializer`: the name of the values' serializer, if one was given.
    pub fn value_serializer_class(&self) -> Option<&str> {
        self.draft.text("value.serializer")
    }

    /// `partitioner.class`: the name of the partitioner, if one was given.
    pub fn partitioner_class(&self) -> Option<&str> {
        const KEY: &str = "partitioner.class";
        self.draft.text(KEY).filter(|_| self.draft.is_given(KEY))
    }

    /// `metric.reporters`: names of metrics reporters, in the order they are notified.
    pub fn metric_reporters(&self) -> &[String] {
        self.draft.list("metric.reporters")
    }

    /// `sasl.mechanism`: the SASL mechanism.
    pub fn sasl_mechanism(&self) -> &str {
        self.draft.text("sasl.mechanism").unwrap_or_default()
    }

    /// `sasl.jaas.config`: the login module and its options, if given.
    pub fn sasl_jaas_config(&self) -> Option<&Password> {
        self.draft.password("sasl.jaas.config")
    }

    /// `sasl.kerberos.service.name`, if one was given: the service in the brokers' Kerberos principals.
    pub fn sasl_kerberos_service_name(&self) -> Option<&str> {
        self.draft.text("sasl.kerberos.service.name")
    }

    /// `sasl.client.callback.handler.class`, if one was given.
    pub fn sasl_client_callback_handler_class(&self) -> Option<&str> {
        self.draft.text("sasl.client.callback.handler.class")
    }

    /// `sasl.login.callback.handler.class`, if one was given.
    pub fn sasl_login_callback_handler_class(&self) -> Option<&str> {
        self.draft.text("sasl.login.callback.handler.class")
    }

    /// `sasl.login.class`, if one was given.
    pub fn sasl_login_class(&self) -> Option<&str> {
        self.draft.text("sasl.login.class")
    }

    /// `transactional.id`; `None` if transactions are disabled.
    pub fn transactional_id(&self) -> Option<&str> {
        self.draft.text("transactional.id")
    }
}

/// Generic getters of the kinds that only the keys of OIDC need.
#[cfg(feature = "oidc")]
impl ProducerConfig {
    /// The value of a boolean key.
    pub(crate) fn boolean(&self, key: &str) -> bool {
        self.draft.boolean(key)
    }

    /// The value of a key in milliseconds; `None` if it is not set.
    pub(crate) fn time(&self, key: &str) -> Option<Duration> {
        self.draft.optional_integer(key).map(millis)
    }
}

/// Generic getters, for code that reads many keys of a group.
#[cfg(feature = "tls-no-provider")]
impl ProducerConfig {
    /// The value of a text or class key; `None` if it is not set.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.draft.text(key)
    }

    /// The value of a list key; empty if it is not set.
    pub(crate) fn list(&self, key: &str) -> &[String] {
        self.draft.list(key)
    }

    /// The value of a password key; `None` if it is not set.
    pub(crate) fn password(&self, key: &str) -> Option<&Password> {
        self.draft.password(key)
    }
}
