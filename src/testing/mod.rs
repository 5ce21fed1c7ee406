//! An embedded Kafka cluster, to test programs that produce to Kafka without one.
//!
//! [`TestCluster`] starts any number of brokers in this process, on loopback ports. They speak the
//! protocol of Apache Kafka 3.0 as far as producers use it, refuse what a broker refuses, and let the
//! test read back what was written.
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
//! What goes wrong, and when, is told by rules: [`Rule`] and [`TestCluster::script`]. Brokers that go
//! down, hang or lose a partition are methods of the cluster: [`TestCluster::stop_node`],
//! [`TestCluster::hang_node`], [`TestCluster::move_leader`].

mod cluster;
mod error;
mod release;
mod script;
pub(crate) mod sim;
mod stored;
mod tcp_broker;
#[cfg(feature = "tls-no-provider")]
mod tls;
mod wire;

pub use cluster::{LogSummary, RuleHandle, TestCluster, TestClusterBuilder, TopicOptions};
pub use error::TestClusterError;
pub use release::KafkaRelease;
pub use script::{AndThen, Api, MetadataSnapshot, Refusal, Rule};
pub use stored::{ProducerStamp, StoredBatch, StoredRecord, StoredRecordView};
#[cfg(feature = "tls-no-provider")]
pub use tls::TestTls;
