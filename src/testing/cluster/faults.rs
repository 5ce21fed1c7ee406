//! What goes wrong in the cluster: rules, nodes that hang, news that does not arrive.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::TestCluster;
use crate::testing::error::TestClusterError;
use crate::testing::script::{MetadataSnapshot, Rule, Scope};
use crate::testing::sim::RuleId;
use crate::testing::tcp_broker::Shared;
use crate::types::NodeId;

impl TestCluster {
    /// Makes something go wrong, from the next request on: [`Rule`] says for which, how often, and what.
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
    /// For a rule that can mean nothing: a broker that there is none of, a topic in a request that names
    /// none, and the like. A topic need not exist.
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

    /// Takes all rules away. Nodes that are stopped or hang stay as they are.
    pub fn clear_script(&self) {
        self.shared.change(|cluster| cluster.script().clear());
    }

    /// The metadata as it is now, for brokers that will not hear of what changes later.
    ///
    /// ```
    /// # fn main() -> Result<(), kafka_producer::testing::TestClusterError> {
    /// use kafka_producer::testing::{Api, Rule, TestCluster};
    ///
    /// let cluster = TestCluster::builder().nodes(2).topic("orders", 1).start()?;
    /// let before = cluster.metadata_snapshot();
    /// let frozen = cluster.script(Rule::on(Api::Metadata).node(1).answer_as_of(&before))?;
    /// cluster.move_leader("orders", 0, 1)?; // node 1 still tells everybody that node 0 leads
    /// frozen.remove();
    /// # Ok(())
    /// # }
    /// ```
    pub fn metadata_snapshot(&self) -> MetadataSnapshot {
        let picture = self.shared.cluster.lock().metadata_picture();
        MetadataSnapshot(Arc::new(picture))
    }

    /// Makes a broker hang: it accepts connections and bytes, and does nothing about them, like a
    /// process that was suspended. It goes on to lead what it leads. Says whether it was working.
    pub fn hang_node(&self, node: NodeId) -> bool {
        self.shared.change(|cluster| cluster.hang(node))
    }

    /// Lets a broker that hangs go on. It answers what has come meanwhile, and carries it out, late as
    /// it is. Says whether it did hang.
    pub fn resume_node(&self, node: NodeId) -> bool {
        let resumed = self.shared.change(|cluster| cluster.resume(node));
        // Whoever connects from now on finds it working; the others have to be told.
        if let Some(connections) = self.connections(node).filter(|_| resumed) {
            connections.resume_all();
        }
        resumed
    }
}

/// A rule in the script of a cluster. Dropping it leaves the rule in place.
///
/// # Threads
/// May be used from any number of threads at once.
#[derive(Clone)]
pub struct RuleHandle {
    shared: Arc<Shared>,
    id: RuleId,
    scope: Scope,
    times: Option<u64>,
    fired: Arc<AtomicU64>,
}

impl RuleHandle {
    /// For how many requests it has fired, whether it is still in place or not.
    pub fn fired(&self) -> u64 {
        self.fired.load(Ordering::Acquire)
    }

    /// Waits until it has fired for `requests` requests in all. What it then made of the last of them
    /// is done, as far as logs are concerned; the answer may still be on its way.
    ///
    /// # Errors
    /// [`NotFired`](TestClusterError::NotFired) if it has not by then, and at once
    /// [`WillNotFire`](TestClusterError::WillNotFire) if it never will: it was made for fewer requests, or
    /// was taken away.
    ///
    /// # Blocking
    /// For `timeout` at the longest.
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

    /// Takes the rule away; requests that it has decided about stay decided. False if it is not there
    /// any more.
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
