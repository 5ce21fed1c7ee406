//! Fault injection in the embedded cluster: scripted rules, hanging nodes, stale metadata.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::TestCluster;
use crate::testing::error::TestClusterError;
use crate::testing::script::{MetadataSnapshot, Rule, Scope};
use crate::testing::sim::RuleId;
use crate::testing::tcp_broker::BrokerShared;
use crate::types::NodeId;

impl TestCluster {
    /// Adds a fault rule, effective from the next request on: [`Rule`] describes its requests, how often it fires, and
    /// its effect.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use kafka_producer::testing::{Api, Rule, TestCluster};
    /// use kafka_producer::{ErrorCode, KafkaProducer, ProducerConfig, ProducerRecord};
    ///
    /// let cluster = TestCluster::builder().topic("orders", 1).start()?;
    /// let full = Rule::on(Api::Produce).times(2).fail(ErrorCode::NotEnoughReplicas);
    /// let full = cluster.script(full)?;
    ///
    /// let servers = cluster.bootstrap_servers();
    /// let config = ProducerConfig::builder().bootstrap_servers([servers]).build()?;
    /// let producer = KafkaProducer::<str, str>::new(config)?;
    /// let future = producer.send(ProducerRecord::new("orders", "two of them"))?;
    ///
    /// full.wait_fired(2, Duration::from_secs(10))?;
    /// assert_eq!(future.get()?.offset(), 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the rule can never match, for example because its broker is unknown, or because it has a topic and requests
    /// of its API have none. A topic of a rule need not exist.
    pub fn script(&self, rule: Rule) -> Result<RuleHandle, TestClusterError> {
        rule.check()?;
        let scope = rule.scope.clone();
        let times = rule.times;
        let (id, fired) = self.shared.change(|cluster| match rule.scope.node {
            Some(node) if !cluster.has_node(node) => Err(TestClusterError::NoSuchNode(node)),
            _ => Ok(cluster.script().add(rule)),
        })?;
        Ok(RuleHandle {
            shared: Arc::clone(&self.shared),
            id,
            scope,
            times,
            fired,
        })
    }

    /// Removes all rules. Stopped and hanging nodes stay stopped or hanging.
    pub fn clear_script(&self) {
        self.shared.change(|cluster| cluster.script().clear());
    }

    /// A snapshot of the current metadata, for brokers that are to return stale metadata.
    ///
    /// ```
    /// # fn main() -> Result<(), kafka_producer::testing::TestClusterError> {
    /// use kafka_producer::testing::{Api, Rule, TestCluster};
    ///
    /// let cluster = TestCluster::builder().nodes(2).topic("orders", 1).start()?;
    /// let before = cluster.metadata_snapshot();
    /// let frozen = cluster.script(Rule::on(Api::Metadata).node(1).answer_as_of(&before))?;
    /// cluster.move_leader("orders", 0, 1)?; // node 1 still returns node 0 as the leader
    /// frozen.remove();
    /// # Ok(())
    /// # }
    /// ```
    pub fn metadata_snapshot(&self) -> MetadataSnapshot {
        let picture = self.shared.cluster().metadata_picture();
        MetadataSnapshot(Arc::new(picture))
    }

    /// Makes a broker hang, like a suspended process: it accepts connections and bytes, but does not respond. It stays
    /// the leader of its partitions. Returns whether it was running.
    ///
    /// ```
    /// # fn main() -> Result<(), kafka_producer::testing::TestClusterError> {
    /// let cluster = kafka_producer::testing::TestCluster::builder().topic("orders", 1).start()?;
    /// assert!(cluster.hang_node(0));
    /// // … requests to it get no response …
    /// assert!(cluster.resume_node(0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn hang_node(&self, node: NodeId) -> bool {
        self.shared.change(|cluster| cluster.hang(node))
    }

    /// Resumes a broker that hangs. It processes the requests that it has received meanwhile. Returns whether it was
    /// hanging.
    pub fn resume_node(&self, node: NodeId) -> bool {
        let resumed = self.shared.change(|cluster| cluster.resume(node));
        // New connections see the new state. The threads of open connections wait for a signal.
        if let Some(connections) = self.connections(node).filter(|_| resumed) {
            connections.resume_all();
        }
        resumed
    }
}

/// A handle of a rule. Dropping it does not remove the rule.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use kafka_producer::ErrorCode;
/// use kafka_producer::testing::{Api, Rule, TestCluster};
///
/// let cluster = TestCluster::builder().topic("orders", 1).start()?;
/// let rule = Rule::on(Api::Produce).times(2).fail(ErrorCode::NotLeaderOrFollower);
/// let handle = cluster.script(rule)?;
/// // … the service under test sends; its first two requests fail and are retried …
/// assert_eq!(handle.fired(), 0); // here: nothing was sent
/// # Ok(())
/// # }
/// ```
///
/// # Threads
/// May be used from any number of threads at once.
#[derive(Clone)]
pub struct RuleHandle {
    shared: Arc<BrokerShared>,
    id: RuleId,
    scope: Scope,
    times: Option<u64>,
    fired: Arc<AtomicU64>,
}

impl RuleHandle {
    /// The number of requests that the rule has fired for, also after it was removed.
    pub fn fired(&self) -> u64 {
        self.fired.load(Ordering::Acquire)
    }

    /// Waits until the rule has fired for `requests` requests in total. By then the last of these requests has taken
    /// effect on the logs, but its response may not have been sent yet.
    ///
    /// # Errors
    /// [`NotFired`](TestClusterError::NotFired) on timeout; [`WillNotFire`](TestClusterError::WillNotFire) immediately
    /// if the rule is limited to fewer requests, or was removed.
    ///
    /// # Blocking
    /// Up to `timeout`.
    pub fn wait_fired(&self, requests: u64, timeout: Duration) -> Result<(), TestClusterError> {
        if let Some(times) = self.times.filter(|times| *times < requests) {
            return Err(self.will_not(&format!("is made to fire {times} times, not {requests}")));
        }
        let is_in_place = self.shared.wait_for(timeout, |cluster| {
            if self.fired() >= requests {
                return Some(true);
            }
            (!cluster.script().contains(self.id)).then_some(false)
        });
        match is_in_place {
            Some(true) => Ok(()),
            Some(false) => Err(self.will_not("was taken away")),
            None => Err(TestClusterError::NotFired {
                rule: self.name(),
                wanted: requests,
                fired: self.fired(),
            }),
        }
    }

    fn name(&self) -> Arc<str> {
        format!("the rule about {}", self.scope).into()
    }

    fn will_not(&self, why: &str) -> TestClusterError {
        TestClusterError::WillNotFire(format!("{} {why}", self.name()).into())
    }

    /// Removes the rule. Requests that it has fired for are not affected. Returns false if the rule had been removed
    /// before.
    pub fn remove(&self) -> bool {
        self.shared
            .change(|cluster| cluster.script().remove(self.id))
    }
}

impl fmt::Debug for RuleHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RuleHandle({}, fired {} times)",
            self.scope,
            self.fired()
        )
    }
}
