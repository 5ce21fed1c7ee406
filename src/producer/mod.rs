//! The producer, in four layers, each above the one before:
//!
//! | layer | modules |
//! |---|---|
//! | values | `record`, `record_metadata`, `serializer`, `interceptor`, `partitioner`, `metrics_reporter`, `metrics_reporters`, `app_info`, `future`, `callback_scope`, `instance`, `user_code`, `cluster_listeners`, `produce_request_result`, `thunks`, `waiting` |
//! | batches | `buffer_pool`, `batch`, `accumulator`, `counters`, `wake` |
//! | machinery | `metadata`, `sensors`, `transaction`, `sender` |
//! | facade | `lifecycle`, `call_errors`, `core`, `topic_lookup`, `quick_send`, `send_refusal`, `send_errors`, `send_attempt`, `try_send`, `send_and_wait`, `lifecycle_state`, `partitions_for`, `close`, `kafka_producer`, `operation_call`, `transactions`, `transaction_guard`, `builder` |

pub(crate) mod accumulator;
pub(crate) mod app_info;
pub(crate) mod batch;
pub(crate) mod buffer_pool;
pub(crate) mod builder;
#[cfg(feature = "testing")]
pub(crate) mod call_errors;
pub(crate) mod callback_scope;
pub(crate) mod close;
pub(crate) mod cluster_listeners;
pub(crate) mod core;
pub(crate) mod counters;
pub(crate) mod future;
pub(crate) mod instance;
pub(crate) mod interceptor;
pub(crate) mod kafka_producer;
pub(crate) mod lifecycle;
mod lifecycle_state;
pub(crate) mod metadata;
pub(crate) mod metrics_reporter;
pub(crate) mod metrics_reporters;
#[cfg(all(test, loom))]
mod models;
mod operation_call;
pub(crate) mod partitioner;
pub(crate) mod partitions_for;
pub(crate) mod produce_request_result;
pub(crate) mod quick_send;
pub(crate) mod record;
pub(crate) mod record_metadata;
mod send_and_wait;
pub(crate) mod send_attempt;
mod send_errors;
pub(crate) mod send_refusal;
pub(crate) mod sender;
pub(crate) mod sensors;
pub(crate) mod serializer;
pub(crate) mod thunks;
pub(crate) mod topic_lookup;
pub(crate) mod transaction;
pub(crate) mod transaction_guard;
pub(crate) mod transactions;
pub(crate) mod try_send;
pub(crate) mod user_code;
pub(crate) mod waiting;
pub(crate) mod wake;

pub use builder::ProducerBuilder;
pub use counters::ProducerSnapshot;
pub use future::{CallbackFuture, FutureRecordMetadata};
pub use interceptor::ProducerInterceptor;
pub use kafka_producer::KafkaProducer;
pub use lifecycle_state::LifecycleState;
pub use metrics_reporter::MetricsReporter;
pub use partitioner::{
    DefaultPartitioner, PartitionInput, Partitioner, RoundRobinPartitioner,
    UniformStickyPartitioner,
};
pub use record::{Field, ProducerRecord, RecordData};
pub use record_metadata::RecordMetadata;
#[cfg(feature = "serde")]
pub use serializer::JsonSerializer;
#[cfg(feature = "uuid")]
pub use serializer::UuidSerializer;
pub use serializer::{
    ByteArraySerializer, ByteBufferSerializer, BytesSerializer, DoubleSerializer, FloatSerializer,
    FnSerializer, InlineBytes, IntegerSerializer, ListSerializer, LongSerializer,
    NullableSerializer, Serialized, Serializer, ShortSerializer, StockSerialize, StringSerializer,
    VoidSerializer, serialize_with,
};
pub use transaction_guard::{Transaction, TransactionRunError};
pub use try_send::TrySendError;
