//! `FindCoordinator`, and which node coordinates a transactional id or a group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{SimCluster, SimNode};
use crate::error::ErrorCode;
use crate::protocol::{
    Coordinator, CoordinatorType, FindCoordinatorRequest, FindCoordinatorResponse, Response,
};
use crate::testing::sim::coordinators::CoordinatorKind;
use crate::testing::sim::script::Decision;
use crate::testing::sim::topics::{NotDone, PartitionRole};
use crate::types::NodeId;

const NO_NODE: NodeId = -1;

impl SimCluster {
    /// # Kafka
    /// `KafkaApis#handleFindCoordinatorRequest`.
    pub(super) fn find_coordinator(
        &mut self,
        request: &FindCoordinatorRequest,
        decision: &Decision,
    ) -> Response {
        let kind = match request.coordinator_type {
            CoordinatorType::GROUP => Ok(CoordinatorKind::Group),
            CoordinatorType::TRANSACTION => Ok(CoordinatorKind::Transaction),
            CoordinatorType(_) => Err(ErrorCode::InvalidRequest),
        };
        let coordinators = request.keys.iter().map(|key| {
            let found = decision.around(|| {
                let node = self.coordinator(kind?, key);
                node.ok_or(ErrorCode::CoordinatorNotAvailable)
            });
            self.coordinator_entry(key, found)
        });
        Response::FindCoordinator(FindCoordinatorResponse {
            throttle_time_ms: 0,
            coordinators: coordinators.collect(),
        })
    }

    fn coordinator_entry(&self, key: &Arc<str>, found: Result<NodeId, ErrorCode>) -> Coordinator {
        let node = found.ok().and_then(|id| Some((id, self.nodes.get(&id)?)));
        Coordinator {
            key: Some(Arc::clone(key)),
            node_id: node.map_or(NO_NODE, |(id, _)| id),
            host: node.map_or_else(|| "".into(), |(_, node)| Arc::clone(&node.host)),
            port: node.map_or(NO_NODE, |(_, node)| i32::from(node.port)),
            error: found.err().unwrap_or(ErrorCode::NoError),
            error_message: None,
        }
    }

    /// The coordinator's node, if it is up.
    pub(crate) fn coordinator(&mut self, kind: CoordinatorKind, key: &Arc<str>) -> Option<NodeId> {
        let role = new_role(&self.nodes, &self.alive, self.options.replication_factor);
        let leader = self.transactions.coordinators.leader(kind, key, role);
        leader.filter(|leader| self.alive.contains(leader))
    }

    /// Checks that a node is the coordinator of a key.
    pub(super) fn check_coordinator(
        &mut self,
        kind: CoordinatorKind,
        key: &Arc<str>,
        node: NodeId,
    ) -> Result<(), ErrorCode> {
        let time = self.transactions.time.get();
        let role = new_role(&self.nodes, &self.alive, self.options.replication_factor);
        let coordinators = &mut self.transactions.coordinators;
        coordinators.check(kind, key, node, time, role)
    }

    /// The coordinator, if it is up, does not hang and has loaded its state.
    pub(super) fn coordinator_at_work(
        &mut self,
        kind: CoordinatorKind,
        key: &Arc<str>,
    ) -> Option<NodeId> {
        let node = self.coordinator(kind, key)?;
        self.check_coordinator(kind, key, node).ok()?;
        Some(node).filter(|node| self.works(*node))
    }

    /// Makes another node the coordinator, with all state.
    pub(crate) fn move_coordinator(
        &mut self,
        kind: CoordinatorKind,
        key: &Arc<str>,
        to: NodeId,
    ) -> Result<(), NotDone> {
        if !self.nodes.contains_key(&to) {
            return Err(NotDone::NoSuchNode(to));
        }
        let time = self.transactions.time.get();
        let role = new_role(&self.nodes, &self.alive, self.options.replication_factor);
        let coordinators = &mut self.transactions.coordinators;
        coordinators.move_to(kind, key, to, time, role);
        Ok(())
    }
}

/// Returns a function from the hash of a key to the replicas of its coordinator, the preferred leader first.
fn new_role<'c>(
    nodes: &'c BTreeMap<NodeId, SimNode>,
    alive: &'c BTreeSet<NodeId>,
    replication: usize,
) -> impl FnOnce(usize) -> PartitionRole + 'c {
    move |hash| {
        let start = hash % nodes.len().max(1);
        let around = nodes.keys().cycle().skip(start);
        let count = replication.clamp(1, nodes.len().max(1));
        PartitionRole::new(around.take(count).copied().collect(), alive, 0)
    }
}
