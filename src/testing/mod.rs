//! Tests of programs that use a producer, without Kafka: a mock producer, and an embedded cluster.
//!
//! [`MockProducer`] is for unit tests: a producer without sockets and threads, whose records a test completes or fails
//! one by one. [`RecordMetadataBuilder`], [`ProduceErrorBuilder`] and [`TransactionErrorBuilder`] build the values that
//! otherwise only a producer creates.
//!
//! [`TestCluster`] is for integration tests: it starts any number of brokers in this process, on loopback ports. They
//! support the part of Kafka 3.0's protocol that producers use, validate as brokers do, and let the test read what was
//! written.
//!
//! ```
//! # fn main() -> Result<(), kafka_producer::testing::TestClusterError> {
//! use kafka_producer::testing::TestCluster;
//!
//! let cluster = TestCluster::builder().nodes(3).topic("orders", 12).start()?;
//! let servers = cluster.bootstrap_servers(); // for `bootstrap.servers`
//! # assert_eq!(servers.split(',').count(), 3);
//! // … produce to it …
//! assert!(cluster.records("orders", 0).is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! Failures are injected by rules: [`Rule`] and [`TestCluster::script`]. Methods of the cluster stop a broker
//! ([`TestCluster::stop_node`]), make it hang ([`TestCluster::hang_node`]), or move the leadership of a partition
//! ([`TestCluster::move_leader`]).

mod cluster;
mod error;
mod mock_producer;
mod outcomes;
mod release;
mod script;
pub(crate) mod sim;
mod stored;
mod tcp_broker;
#[cfg(feature = "tls-no-provider")]
mod tls;
mod transaction;
mod wire;

pub use cluster::{LogSummary, RuleHandle, TestCluster, TestClusterBuilder, TopicOptions};
pub use error::TestClusterError;
pub use mock_producer::{GroupOffsets, MockProducer, MockProducerBuilder, MockRecord};
pub use outcomes::{ProduceErrorBuilder, RecordMetadataBuilder, TransactionErrorBuilder};
pub use release::KafkaRelease;
pub use script::{AndThen, Api, MetadataSnapshot, Refusal, Rule};
pub use stored::{ProducerStamp, StoredBatch, StoredRecord, StoredRecordView};
#[cfg(feature = "tls-no-provider")]
pub use tls::TestTls;
pub use transaction::{
    AbortedTransaction, CommittedOffset, TransactionDescription, TransactionState,
};
