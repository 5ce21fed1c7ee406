//! Model of a broker: computes the response to each request.

mod api_versions;
#[cfg(any(test, feature = "_internals"))]
mod faults;
mod find_coordinator;
mod init_producer_id;
mod markers;
mod metadata;
mod produce;
mod topology;
mod transactions;
mod txn_offset_commit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::journal::Journal;
use super::log::{Depth, TopicSettings};
use super::plan::{Answer, Plan};
use super::sasl::{SaslListener, SaslSession};
use super::script::{Decision, Script, Seen};
use super::topics::{NotDone, SimPartition, SimTopic, SimTopics};
use super::transactions::SimTransactions;
use crate::clock::Timestamp;
use crate::error::ErrorCode;
use crate::protocol::{
    ApiKey, AuthBytes, Reader, Request, RequestHeader, Response, SaslAuthenticateResponse,
    SaslHandshakeResponse,
};
use crate::testing::release::KafkaRelease;
use crate::types::{NodeId, PartitionId};

/// Options of a cluster.
#[derive(Debug, Clone)]
pub(crate) struct SimOptions {
    pub(crate) cluster_id: Arc<str>,
    /// The release that all nodes imitate.
    pub(crate) release: KafkaRelease,
    /// Whether a metadata request creates missing topics (`auto.create.topics.enable`).
    pub(crate) auto_create_topics: bool,
    /// Partition count of auto-created topics (`num.partitions`).
    pub(crate) default_partitions: usize,
    /// Number of replicas of each partition, up to the number of nodes.
    pub(crate) replication_factor: usize,
    /// Settings of auto-created topics.
    pub(crate) settings: TopicSettings,
    pub(crate) depth: Depth,
}

/// The address at which a node listens.
#[derive(Debug, Clone)]
pub(crate) struct SimNode {
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
}

impl SimNode {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }
}

/// A cluster: its nodes, its topics, and all state of its brokers.
///
/// All nodes share one state, as if it were replicated without delay.
#[derive(Debug)]
pub(crate) struct SimCluster {
    options: SimOptions,
    nodes: BTreeMap<NodeId, SimNode>,
    alive: BTreeSet<NodeId>,
    /// Nodes that are up and hang.
    hung: BTreeSet<NodeId>,
    topics: SimTopics,
    transactions: SimTransactions,
    /// The node for the first partition of the next topic.
    next_leader: usize,
    requests: BTreeMap<ApiKey, u64>,
    script: Script,
    /// First leader epoch of new partitions.
    first_epoch: i32,
    /// By how much the leader epochs in metadata are lower than the real ones.
    reported_epochs_lowered_by: i32,
    /// Record of broker actions, if enabled.
    journal: Option<Journal>,
    /// SASL settings, if the cluster requires it.
    sasl: Option<SaslListener>,
}

impl SimCluster {
    /// A cluster of these nodes, all up, without topics.
    pub(crate) fn new(options: SimOptions, nodes: BTreeMap<NodeId, SimNode>) -> Self {
        let alive = nodes.keys().copied().collect();
        Self {
            options,
            nodes,
            alive,
            hung: BTreeSet::new(),
            topics: SimTopics::default(),
            transactions: SimTransactions::default(),
            next_leader: 0,
            requests: BTreeMap::new(),
            script: Script::default(),
            first_epoch: 0,
            reported_epochs_lowered_by: 0,
            journal: None,
            sasl: None,
        }
    }

    /// Handles the frame (without its length) of a connection with this SASL session.
    pub(crate) fn handle_on(
        &mut self,
        session: &mut SaslSession,
        node: NodeId,
        frame: &Bytes,
        now: Timestamp,
    ) -> Plan {
        let works = self.works(node);
        let listener = self.sasl.as_ref().filter(|_| works);
        match listener.and_then(|listener| session.take(listener, frame, now)) {
            Some(answer) => {
                // Authentication can end the connection, for example when a session has expired.
                if let (Some(journal), Answer::Close) = (&mut self.journal, &answer) {
                    journal.request(frame, &answer);
                }
                Plan::at_once(answer)
            }
            None => self.handle(node, frame, now),
        }
    }

    /// The SASL settings; from now on clients must authenticate.
    pub(crate) fn sasl(&mut self) -> &mut SaslListener {
        self.sasl.get_or_insert_default()
    }

    /// Handles the request in `frame`, without its length.
    ///
    /// A malformed request closes the connection, as does an unsupported version; only `ApiVersions` is answered in any
    /// version.
    ///
    /// # Kafka
    /// `kafka.server.KafkaApis#handle`.
    pub(crate) fn handle(&mut self, node: NodeId, frame: &Bytes, now: Timestamp) -> Plan {
        self.pass_time(now);
        let plan = self.plan(node, frame, now);
        if let Some(journal) = &mut self.journal {
            journal.request(frame, &plan.answer);
        }
        plan
    }

    fn plan(&mut self, node: NodeId, frame: &Bytes, now: Timestamp) -> Plan {
        if !self.alive.contains(&node) {
            return Plan::at_once(Answer::Close);
        }
        if self.hung.contains(&node) {
            return Plan::at_once(Answer::Hang);
        }
        let mut reader = Reader::new(frame);
        let Ok(header) = RequestHeader::decode(&mut reader) else {
            return Plan::at_once(Answer::Close);
        };
        let (api, version) = (header.api_key, header.api_version);
        *self.requests.entry(api).or_default() += 1;
        if let Some(answer) = self.refuse_version(node, &header) {
            return Plan::at_once(answer);
        }
        let Ok(request) = Request::decode_body(api, version, &mut reader) else {
            return Plan::at_once(Answer::Close);
        };
        let decision = self.decide(node, &request);
        let delay = decision.hold_back(api, version);
        let pause = decision.pause(api, version);
        let answer = decision.instead_of_applying().unwrap_or_else(|| {
            decision.apply_cut(self.answer(node, &header, request, &decision, now))
        });
        Plan {
            delay,
            answer,
            pause,
        }
    }

    /// The answer to a version that this node does not support; `None` if it supports the version.
    fn refuse_version(&mut self, node: NodeId, header: &RequestHeader) -> Option<Answer> {
        let (api, version) = (header.api_key, header.api_version);
        let release = self.options.release;
        let Some(all) = release.spoken(api) else {
            return Some(Answer::Close);
        };
        let left = self.script.versions(node, api, &all, Some(version));
        let is_spoken =
            all.contains(&version) && left.as_ref().is_some_and(|left| left.contains(&version));
        if is_spoken {
            return None;
        }
        Some(match left {
            Some(left) if api == ApiKey::ApiVersions => {
                let known = Some(left).filter(|_| release.names_its_own_versions());
                reply(header, 0, &api_versions::unsupported(known))
            }
            _ => Answer::Close,
        })
    }

    fn decide(&mut self, node: NodeId, request: &Request) -> Decision {
        if self.script.is_empty() {
            return Decision::default();
        }
        let seen = Seen::new(node, request, self.topics.names());
        self.script.decide(&seen)
    }

    /// Executes a request, and returns the answer.
    fn answer(
        &mut self,
        node: NodeId,
        header: &RequestHeader,
        request: Request,
        decision: &Decision,
        now: Timestamp,
    ) -> Answer {
        let version = header.api_version;
        let mut response = match request {
            Request::ApiVersions(request) => match decision.refused(None, None) {
                Some(refused) => api_versions::refused(refused.refusal.code),
                None => self.api_versions(node, &request, version),
            },
            Request::Metadata(request) => self.metadata(&request, decision),
            Request::InitProducerId(request) => {
                self.init_producer_id(node, &request, version, decision, now)
            }
            Request::FindCoordinator(request) => self.find_coordinator(&request, decision),
            Request::AddPartitionsToTxn(request) => {
                self.add_partitions_to_txn(node, &request, version, decision)
            }
            Request::AddOffsetsToTxn(request) => {
                self.add_offsets_to_txn(node, &request, version, decision)
            }
            Request::TxnOffsetCommit(request) => {
                self.txn_offset_commit(node, &request, version, decision)
            }
            Request::EndTxn(request) => self.end_txn(node, &request, version, decision, now),
            Request::Produce(request) => {
                let acks = request.acks;
                let (response, failed) = self.produce(node, request, version, decision, now);
                match (acks, failed) {
                    (0, false) => return Answer::Silence,
                    // With acks=0 there is no response, so a broker reports an error by closing the connection.
                    (0, true) => return Answer::Close,
                    _ => response,
                }
            }
            // With SASL required these requests are handled before.
            Request::SaslHandshake(_) => Response::SaslHandshake(SaslHandshakeResponse {
                error: ErrorCode::IllegalSaslState,
                mechanisms: Vec::new(),
            }),
            Request::SaslAuthenticate(_) => Response::SaslAuthenticate(SaslAuthenticateResponse {
                error: ErrorCode::IllegalSaslState,
                error_message: None,
                auth_bytes: AuthBytes(Bytes::new()),
                session_lifetime_ms: 0,
            }),
        };
        if let Some(time) = decision.throttle {
            response.set_throttle_time_ms(i32::try_from(time.as_millis()).unwrap_or(i32::MAX));
        }
        if let Some(journal) = &mut self.journal {
            journal.answered(&response);
        }
        reply(header, version, &response)
    }

    /// The state of transactions.
    pub(crate) fn transactions(&self) -> &SimTransactions {
        &self.transactions
    }

    /// The state of transactions.
    pub(crate) fn transactions_mut(&mut self) -> &mut SimTransactions {
        &mut self.transactions
    }

    /// The script of rules for requests.
    pub(crate) fn script(&mut self) -> &mut Script {
        &mut self.script
    }

    /// Whether the node exists, up or down.
    pub(crate) fn has_node(&self, node: NodeId) -> bool {
        self.nodes.contains_key(&node)
    }

    /// Makes a node hang: it keeps its connections and processes nothing. Returns false if the node is down, or hangs
    /// already.
    pub(crate) fn hang(&mut self, node: NodeId) -> bool {
        self.alive.contains(&node) && self.hung.insert(node)
    }

    /// Whether a node is up and hangs.
    #[cfg(any(test, feature = "_internals"))]
    pub(crate) fn hangs(&self, node: NodeId) -> bool {
        self.hung.contains(&node)
    }

    /// Resumes a hung node, which first processes the requests received meanwhile. Returns false if the node did not
    /// hang.
    pub(crate) fn resume(&mut self, node: NodeId) -> bool {
        self.hung.remove(&node)
    }

    pub(crate) fn topic(&self, name: &str) -> Result<&SimTopic, NotDone> {
        self.topics
            .get(name)
            .ok_or_else(|| NotDone::NoSuchTopic(name.to_owned()))
    }

    fn topic_mut(&mut self, name: &str) -> Result<&mut SimTopic, NotDone> {
        self.topics
            .get_mut(name)
            .ok_or_else(|| NotDone::NoSuchTopic(name.to_owned()))
    }

    pub(crate) fn partition(
        &self,
        name: &str,
        partition: PartitionId,
    ) -> Result<&SimPartition, NotDone> {
        let missing = || NotDone::NoSuchPartition(name.to_owned(), partition);
        self.topic(name)?.partition(partition).ok_or_else(missing)
    }

    fn partition_mut(
        &mut self,
        name: &str,
        partition: PartitionId,
    ) -> Result<&mut SimPartition, NotDone> {
        let missing = || NotDone::NoSuchPartition(name.to_owned(), partition);
        self.topic_mut(name)?
            .partition_mut(partition)
            .ok_or_else(missing)
    }

    /// Number of requests by API, whether answered or not.
    pub(crate) fn requests(&self) -> &BTreeMap<ApiKey, u64> {
        &self.requests
    }
}

fn reply(header: &RequestHeader, version: i16, response: &Response) -> Answer {
    Answer::Reply(response.encode(version, header.correlation_id))
}

#[cfg(test)]
mod tests;
