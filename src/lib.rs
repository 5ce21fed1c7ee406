//! A Kafka producer for programs that have no async runtime.
//!
//! Application threads share one [`KafkaProducer`] by reference and call [`send`](KafkaProducer::send), which queues a
//! record; one background thread, the sender, does all network I/O. The producer behaves like that of Apache Kafka 3.0.
//! It uses no `unsafe` and no async runtime.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let cluster = kafka_producer::testing::TestCluster::builder().topic("orders", 3).start()?;
//! # let servers = cluster.bootstrap_servers();
//! use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};
//!
//! let config = ProducerConfig::builder().bootstrap_servers(servers).build()?;
//! let producer = KafkaProducer::<str, [u8]>::new(config)?;
//! let future = producer.send(ProducerRecord::keyed("orders", "customer-7", &b"two of them"[..]))?;
//! match future.get() {
//!     Ok(metadata) => println!("written to {metadata}"),
//!     Err(error) if error.may_be_written() => println!("may be written, so check before sending again: {error}"),
//!     Err(error) => println!("not written: {error}"),
//! }
//! producer.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | sending, flushing, closing | [`KafkaProducer`] |
//! | configuration, by Kafka's keys | [`ProducerConfig`] |
//! | records and how they are serialized | [`ProducerRecord`], [`Serializer`] |
//! | the result of a record | [`FutureRecordMetadata`], [`RecordMetadata`], [`ProduceError`] |
//! | choosing partitions | [`Partitioner`] |
//! | intercepting records and acknowledgements | [`ProducerInterceptor`] |
//! | transactions, exactly once | [`KafkaProducer::transaction`], [`Transaction`], [`TransactionError`] |
//! | errors and how to handle them | [`Error`] and the errors that it wraps |
//! | metrics and state | [`KafkaProducer::metrics`], [`KafkaProducer::state`], [`MetricsReporter`], [`ProducerSnapshot`] |
//!
//! The [guide] has a page for each of: sending and waiting, failures, shutting down, back-pressure, async programs,
//! testing, tuning, schema registries, and moving from another client.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `cli` | the command line tools; nothing in the public API |
//! | `gzip`, `snappy`, `lz4`, `zstd` | the codec of that name for `compression.type`; on by default |
//! | `zstd-pure` | zstd without a C compiler; no effect if `zstd` is on |
//! | `tls` | TLS with the cryptography of *ring*; on by default |
//! | `tls-aws-lc-rs`, `tls-graviola` | TLS with another cryptography provider, which then takes precedence; the second needs no C compiler |
//! | `tls-no-provider` | TLS without a built-in cryptography provider: each producer is given one |
//! | `msk-iam` | Amazon MSK with IAM: `ProducerConfigBuilder::sasl_msk_iam` |
//! | `pkcs12` | for TLS: key stores and trust stores in Java's formats, PKCS#12 and JKS; encrypted private keys |
//! | `sasl-scram` | SCRAM-SHA-256 and SCRAM-SHA-512 for `sasl.mechanism`; on by default |
//! | `oidc` | tokens of an identity provider (OIDC) for `sasl.mechanism=OAUTHBEARER` |
//! | `gssapi` | GSSAPI (Kerberos) for `sasl.mechanism`, by the system's Kerberos library, whose headers the build needs |
//! | `serde` | `JsonSerializer`; serde's traits for `RecordMetadata`, `ProducerSnapshot` and `TopicPartition` |
//! | `testing` | the module `testing`: a mock producer and an embedded broker for tests of your own service |
//! | `uuid` | `UuidSerializer` |
//!
//! Features are additive, except that they choose the default cryptography provider of TLS. The four codecs, `tls` and
//! SCRAM are on by default; `zstd`, `tls` and `tls-aws-lc-rs` need a C compiler.
//!
//! # Threads
//!
//! Callbacks and interceptors run on the sender thread. They must be quick, because nothing is sent while one of them
//! runs. Blocking calls are rejected inside them. The same holds for a logger (of the `log` crate) while it handles a
//! line of the sender thread. If a logger takes as long as the timeouts of connections and requests, connections are
//! closed although their brokers have responded.
//!
//! A logger may send its lines to Kafka, best with [`try_send`](KafkaProducer::try_send); the lines that such a send
//! would log on the same thread are dropped. It must not send the debug and trace lines of this library. The sender
//! thread logs such lines about each request, also about the requests that carry the lines, so that each sent line
//! would cause others without end. The target of the library's lines is `kafka_producer`, or begins with
//! `kafka_producer::`:
//!
//! ```
//! use log::{Level, Metadata};
//!
//! /// Whether a logger that sends its lines to Kafka sends this one.
//! fn is_sent(line: &Metadata<'_>) -> bool {
//!     let is_librarys = line.target().split("::").next() == Some("kafka_producer");
//!     line.level() <= if is_librarys { Level::Info } else { Level::Trace }
//! }
//! # let line = |target, level| Metadata::builder().target(target).level(level).build();
//! # assert!(!is_sent(&line("kafka_producer::client::network_client", Level::Debug)));
//! # assert!(is_sent(&line("kafka_producer::client::network_client", Level::Warn)));
//! # assert!(is_sent(&line("kafka_producer_of_ours", Level::Debug)));
//! ```
#![forbid(unsafe_code)]

#[cfg(any(doc, doctest))]
#[doc = include_str!("guide/links.md")]
#[doc = include_str!("../docs/guide/README.md")]
pub mod guide;

mod client;
mod clock;
mod compress;
mod config;
mod error;
mod metrics;
mod network;
mod planted;
mod producer;
mod protocol;
mod record;
mod security;
mod sync;
mod types;
mod util;

#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod probe;

#[cfg(all(feature = "testing", feature = "_internals"))]
#[doc(hidden)]
pub mod internals;

// The public API:

pub use compress::{CompressionType, UnknownCompressionType};
#[cfg(feature = "msk-iam")]
pub use config::MskIamOptions;
pub use config::{
    Acks, BootstrapServers, ClientDnsLookup, ConfigKey, ConfigProvider, ConfigSource, ConfigType,
    Group, Importance, MetadataRecoveryStrategy, Password, PluginConfig, ProducerConfig,
    ProducerConfigBuilder, RecordingLevel, SecurityProtocol,
};
pub use error::{
    BoxError, BrokerError, CloseError, ConfigError, ConfigProblem, ConstructError, ConstructStep,
    Delivery, Error, ErrorCode, FlushError, MetadataError, Misuse, PluginKind, ProduceError,
    ProduceErrorKind, ProducerFailure, ReconfigureError, RecordError, RecordPart, ReloadTlsError,
    SendError, TransactionCall, TransactionError, TransactionErrorKind, TrySendReason, WaitCause,
};
pub use metrics::{Metric, MetricKind, MetricName, MetricValue, Metrics, MetricsContext};
#[cfg(feature = "serde")]
pub use producer::JsonSerializer;
#[cfg(feature = "uuid")]
pub use producer::UuidSerializer;
pub use producer::{
    ByteArraySerializer, ByteBufferSerializer, BytesSerializer, CallbackFuture, DefaultPartitioner,
    DoubleSerializer, Field, FloatSerializer, FnSerializer, FutureRecordMetadata, InlineBytes,
    IntegerSerializer, KafkaProducer, LifecycleState, ListSerializer, LongSerializer,
    MetricsReporter, NullableSerializer, PartitionInput, Partitioner, ProducerBuilder,
    ProducerInterceptor, ProducerRecord, ProducerSnapshot, RecordData, RecordMetadata,
    RoundRobinPartitioner, Serialized, Serializer, ShortSerializer, StockSerialize,
    StringSerializer, Transaction, TransactionRunError, TrySendError, UniformStickyPartitioner,
    VoidSerializer, serialize_with,
};
pub use record::{Header, Headers, HeadersFrozen};
/// The TLS library that this crate is built with, for implementing a cryptography provider: see
/// [`ProducerBuilder::tls_crypto_provider`].
#[cfg(feature = "tls-no-provider")]
pub use rustls;
pub use security::TlsReload;
pub use security::sasl::{OAuthBearerToken, TokenProvider};
pub use types::{
    Cluster, ClusterResourceListener, ConsumerGroupMetadata, Node, NodeId, OffsetAndMetadata,
    PartitionId, PartitionInfo, TopicPartition,
};
