//! Per-node metrics, recorded by connections and by the sender.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::group::Sensors;
use super::registry::MetricsRegistry;
use super::tables::NodeSensor;
use crate::sync::{Mutex, Rank};
use crate::types::NodeId;

/// Registry of per-node metric groups: one group for each node that the producer has ever connected to.
///
/// # Threads
/// Any thread may look up a group; only the sender thread adds groups.
/// # Kafka
/// The sensors `node-<id>.*` of `SelectorMetrics#maybeRegisterConnectionMetrics`. Differs: groups exist until the
/// producer is dropped.
#[derive(Debug)]
pub(crate) struct NodeMetrics {
    registry: Arc<MetricsRegistry>,
    nodes: Mutex<BTreeMap<NodeId, Sensors<NodeSensor>>>,
}

impl NodeMetrics {
    pub(crate) fn new(registry: Arc<MetricsRegistry>) -> Arc<Self> {
        Arc::new(Self {
            registry,
            nodes: Mutex::new(Rank::LEAF, BTreeMap::new()),
        })
    }

    /// The sensors of a node; `None` if it was never connected to.
    pub(crate) fn of(&self, node: NodeId) -> Option<Sensors<NodeSensor>> {
        self.nodes.lock().get(&node).cloned()
    }

    /// The sensors of a node; registers them when the node is first connected to.
    pub(crate) fn register(&self, node: NodeId) -> Sensors<NodeSensor> {
        if let Some(known) = self.of(node) {
            return known;
        }
        // No race between the look-up and the insertion: only the sender thread registers nodes.
        let sensors = self.registry.quietly().add(&[&format!("node-{node}")]);
        self.nodes.lock().insert(node, sensors.clone());
        sensors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::clock::mock::MockClock;
    use crate::metrics::{MetricValue, Metrics};

    /// Java: SelectorMetrics#maybeRegisterConnectionMetrics
    #[test]
    fn a_node_has_one_group_however_often_it_is_connected_to() {
        let clock = Arc::new(MockClock::new());
        let registry = MetricsRegistry::for_tests(Arc::clone(&clock) as Arc<dyn Clock>);
        let nodes = NodeMetrics::new(Arc::clone(&registry));
        assert!(nodes.of(-1).is_none() && registry.len() == 0);
        let bootstrap = nodes.register(-1);
        nodes.register(7);
        nodes.register(-1);
        assert_eq!(registry.len(), 24);
        bootstrap.record(NodeSensor::Latency, 3.0, clock.now());
        let latency = nodes.of(-1).expect("it is registered");
        latency.record(NodeSensor::Latency, 5.0, clock.now());
        let tags = [("node-id", "node--1")];
        let metrics = Metrics::new(registry);
        let max = metrics.get("producer-node-metrics", "request-latency-max", &tags);
        assert_eq!(max.unwrap().value(), MetricValue::Number(5.0));
    }
}
