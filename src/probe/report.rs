//! The result of a probe.

use std::sync::Arc;
use std::time::Duration;

use crate::client::api_versions::NodeApiVersions;
use crate::error::ErrorCode;
use crate::network::authenticator::AuthRefusalKind;
use crate::network::selectable::CloseReason;
use crate::network::tls_facts::TlsFacts;
use crate::protocol::{ApiKey, MetadataResponse};
use crate::types::NodeId;
use crate::util::foreign_text::printable_start;

/// A stage of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ProbeStage {
    /// The TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// SASL authentication.
    Sasl,
    /// The request for the versions of the protocol that the broker supports.
    ApiVersions,
    /// The request for the metadata of the cluster.
    Metadata,
}

/// A stage that succeeded.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StagePassed {
    /// The stage.
    pub stage: ProbeStage,
    /// How long it took; zero if it passed in the same poll as the stage before it.
    pub took: Duration,
    /// TLS version and certificate of the broker, once they are known.
    pub tls: Option<TlsFacts>,
    /// The API versions of the broker, once they are known.
    pub apis: Vec<ProbedApi>,
}

/// The stage at which a probe failed, and why.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProbeFailure {
    /// The stage.
    pub stage: ProbeStage,
    /// How long the stage took until it failed.
    pub took: Duration,
    /// The kind of the failure.
    pub kind: ProbeFailureKind,
    /// The error text.
    pub reason: Arc<str>,
}

/// The kind of a failure, by which advice is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProbeFailureKind {
    /// The stage took longer than the timeout of the probe.
    TimedOut,
    /// The TCP connection could not be established.
    Unconnected,
    /// The broker closed the connection, or the network failed.
    ConnectionLost,
    /// TLS failed: one side rejects the other, during the handshake or by an alert after it.
    Tls,
    /// The broker rejects the credentials of SASL, or has not proved that it knows them; or none could be obtained.
    Credentials,
    /// The broker does not offer the SASL mechanism.
    Mechanism,
    /// Any other failure.
    Other,
}

impl ProbeFailure {
    /// True if the stage took longer than the timeout of the probe.
    pub fn timed_out(&self) -> bool {
        self.kind == ProbeFailureKind::TimedOut
    }
}

impl ProbeFailureKind {
    /// The kind of a close reason.
    pub(super) fn of(reason: &CloseReason) -> Self {
        match reason {
            CloseReason::ConnectFailed(_) => Self::Unconnected,
            CloseReason::ClosedByPeer | CloseReason::Io(_) => Self::ConnectionLost,
            CloseReason::AuthenticationFailed(refusal) => match refusal.kind {
                AuthRefusalKind::Tls => Self::Tls,
                AuthRefusalKind::Credentials => Self::Credentials,
                AuthRefusalKind::Mechanism => Self::Mechanism,
                AuthRefusalKind::Other => Self::Other,
            },
            CloseReason::AuthenticationInterrupted(_)
            | CloseReason::Idle
            | CloseReason::BadFrame(_) => Self::Other,
        }
    }
}

/// The cluster as one broker describes it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProbeReport {
    /// The cluster id; brokers since 0.10.1 have one.
    pub cluster_id: Option<String>,
    /// The controller, if there is one.
    pub controller: Option<NodeId>,
    /// The brokers, sorted by id.
    pub brokers: Vec<ProbedBroker>,
    /// The topics that were asked for, in that order.
    pub topics: Vec<ProbedTopic>,
}

/// The versions of one API that a broker supports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbedApi {
    /// Kafka's name of the API.
    pub name: &'static str,
    /// The oldest version.
    pub min: i16,
    /// The newest version.
    pub max: i16,
}

/// A broker, as the metadata describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbedBroker {
    /// The broker's id.
    pub id: NodeId,
    /// The advertised host.
    pub host: String,
    /// The advertised port; not necessarily a valid one.
    pub port: i32,
    /// The rack, if it has one.
    pub rack: Option<String>,
}

/// A topic, or its error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbedTopic {
    /// The topic's name.
    pub name: String,
    /// `NoError`, or the reason why the broker does not describe the topic.
    pub error: ErrorCode,
    /// The partitions, sorted by id.
    pub partitions: Vec<ProbedPartition>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbedPartition {
    /// The partition's id.
    pub id: i32,
    /// The leader; `None` if there is none.
    pub leader: Option<NodeId>,
    /// All replicas.
    pub replicas: Vec<NodeId>,
    /// The in-sync replicas.
    pub in_sync: Vec<NodeId>,
}

impl ProbedApi {
    pub(super) fn all_of(versions: &NodeApiVersions) -> Vec<Self> {
        let of = |api: ApiKey| {
            let (min, max) = versions.range(api)?;
            let name = api.name();
            Some(Self { name, min, max })
        };
        ApiKey::ALL.into_iter().filter_map(of).collect()
    }
}

impl ProbeReport {
    /// Converts a response. Of the topics in it, those of `asked` are kept, in this order.
    pub(super) fn of(response: &MetadataResponse, asked: &[String]) -> Self {
        let text = |text: &Arc<str>| printable_start(text).into_owned();
        let mut brokers: Vec<_> = response
            .brokers
            .iter()
            .map(|broker| ProbedBroker {
                id: broker.node_id,
                host: text(&broker.host),
                port: broker.port,
                rack: broker.rack.as_ref().map(text),
            })
            .collect();
        brokers.sort_by_key(|broker| broker.id);
        Self {
            cluster_id: response.cluster_id.as_ref().map(text),
            controller: Some(response.controller_id).filter(|id| *id >= 0),
            brokers,
            topics: asked.iter().map(|name| topic(response, name)).collect(),
        }
    }
}

/// The topic `name` of a response. A broker from before 0.11 lists all topics, and leaves out those that do not exist.
fn topic(response: &MetadataResponse, name: &str) -> ProbedTopic {
    let found = response.topics.iter().find(|topic| *topic.name == *name);
    let mut partitions: Vec<_> = found
        .map_or(&[][..], |topic| &topic.partitions)
        .iter()
        .map(|partition| ProbedPartition {
            id: partition.index,
            leader: Some(partition.leader_id).filter(|id| *id >= 0),
            replicas: partition.replicas.all().to_vec(),
            in_sync: partition.replicas.in_sync().to_vec(),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.id);
    ProbedTopic {
        name: name.to_owned(),
        error: found.map_or(ErrorCode::UnknownTopicOrPartition, |topic| topic.error),
        partitions,
    }
}
