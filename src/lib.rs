//! A Kafka producer for programs that have no async runtime.
//!
//! Application threads share one [`KafkaProducer`] by reference and call a blocking
//! [`send`](KafkaProducer::send); one thread of the producer's own does all the network work. It is the
//! producer of Apache Kafka 3.0, without `unsafe` and without a runtime.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let cluster = kafka_producer::testing::TestCluster::builder().topic("orders", 3).start()?;
//! # let servers = cluster.bootstrap_servers();
//! use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};
//!
//! let config = ProducerConfig::builder().bootstrap_servers([servers]).build()?;
//! let producer = KafkaProducer::<str, [u8]>::new(config)?;
//! let future = producer.send(ProducerRecord::keyed("orders", "customer-7", &b"two of them"[..]))?;
//! match future.get() {
//!     Ok(metadata) => println!("written to {metadata}"),
//!     Err(error) if error.may_be_written() => println!("look before sending again: {error}"),
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
//! | settings, by Kafka's keys | [`ProducerConfig`] |
//! | what is sent | [`ProducerRecord`], [`Serializer`] |
//! | what became of it | [`FutureRecordMetadata`], [`RecordMetadata`], [`ProduceError`] |
//! | where it goes | [`Partitioner`] |
//! | seeing every record | [`ProducerInterceptor`] |
//! | how the producer stands | [`ProducerSnapshot`] |
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `cli` | the command line tools; nothing in the library |
//! | `gzip`, `snappy`, `lz4`, `zstd` | the codec of that name for `compression.type`; on by default |
//! | `zstd-pure` | zstd without a C compiler, where `zstd` is off |
//! | `tls` | TLS with the cryptography of *ring*; on by default |
//! | `tls-aws-lc-rs`, `tls-graviola` | TLS with another cryptography, which then counts; the second needs no C compiler |
//! | `tls-no-provider` | TLS with cryptography that each producer is given |
//! | `pkcs12` | for TLS: stores in the format PKCS#12, encrypted private keys |
//! | `sasl-scram` | SCRAM-SHA-256 and SCRAM-SHA-512 for `sasl.mechanism`; on by default |
//! | `testing` | the module `testing`: an embedded broker for tests of your own service |
//! | `uuid` | `UuidSerializer` |
//!
//! A feature adds, it never changes what is there, but for whose cryptography TLS uses by itself. The four codecs,
//! `tls` and SCRAM are on by default; `zstd`, `tls` and `tls-aws-lc-rs` need a C compiler.
//!
//! # Threads
//!
//! Callbacks and interceptors run on the producer's thread. While one runs nothing is sent, so they must be
//! quick; calls that would wait for that thread are refused inside them. So they are in a logger (of the `log`
//! crate) for lines that the producer's thread writes; a logger may send what it is given, best with
//! [`try_send`](KafkaProducer::try_send); lines that its sending would write on the same thread are left out.
#![forbid(unsafe_code)]

mod client;
mod clock;
mod compress;
mod config;
mod error;
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

#[cfg(all(feature = "testing", feature = "_internals"))]
#[doc(hidden)]
pub mod internals;

// The public interface is:

pub use compress::{CompressionType, UnknownCompressionType};
pub use config::{
    Acks, ClientDnsLookup, ConfigKey, ConfigSource, ConfigType, Group, Importance,
    MetadataRecoveryStrategy, Password, PluginConfig, ProducerConfig, ProducerConfigBuilder,
    RecordingLevel, SecurityProtocol,
};
pub use error::{
    BoxError, BrokerError, CloseError, ConfigError, ConstructError, ConstructStep, Delivery, Error,
    ErrorCode, FlushError, MetadataError, Misuse, PluginKind, ProduceError, ProduceErrorKind,
    RecordError, RecordPart, SendError, WaitCause,
};
#[cfg(feature = "uuid")]
pub use producer::UuidSerializer;
pub use producer::{
    ByteArraySerializer, ByteBufferSerializer, BytesSerializer, DefaultPartitioner,
    DoubleSerializer, Field, FloatSerializer, FnSerializer, FutureRecordMetadata, InlineBytes,
    IntegerSerializer, KafkaProducer, ListSerializer, LongSerializer, NullableSerializer,
    PartitionInput, Partitioner, ProducerBuilder, ProducerInterceptor, ProducerRecord,
    ProducerSnapshot, RecordMetadata, RoundRobinPartitioner, Serialized, Serializer,
    ShortSerializer, StockSerialize, StringSerializer, TrySendError, TrySendReason,
    UniformStickyPartitioner, VoidSerializer, serialize_with,
};
pub use record::{Header, Headers, HeadersFrozen};
/// The TLS library that this one is built with: for a provider of its cryptography, see
/// [`ProducerBuilder::tls_crypto_provider`].
#[cfg(feature = "tls-no-provider")]
pub use rustls;
pub use security::sasl::{OAuthBearerToken, TokenProvider};
pub use types::{
    Cluster, ClusterResourceListener, Node, NodeId, PartitionId, PartitionInfo, TopicPartition,
};
