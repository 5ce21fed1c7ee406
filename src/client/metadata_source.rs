//! What the network client asks of whoever keeps the metadata.

use std::fmt;
use std::sync::Arc;

use super::metadata::{FatalMetadataError, MetadataNews};
use crate::clock::{Deadline, Instant};
use crate::protocol::{MetadataRequest, MetadataResponse};
use crate::types::{Cluster, NodeId};

/// What a metadata request was for: goes back with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlannedUpdate {
    /// It asked for new topics only; what is known of others stands.
    pub(crate) is_partial: bool,
    /// How many requests for new topics there had been when it was made.
    pub(crate) request_version: u32,
}

/// A metadata request and what it is for.
#[derive(Debug)]
pub(crate) struct MetadataRequestPlan {
    pub(crate) request: MetadataRequest,
    pub(crate) planned: PlannedUpdate,
}

/// Why an update of the metadata failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MetadataFailure {
    /// The connection ended before the answer, or before the question.
    Disconnected(Arc<str>),
    /// The answer named no broker.
    NoBrokers,
    /// The answer named brokers, of which none has a number and a port that can be; the first of them.
    UnusableBrokers(Arc<str>),
    /// It could not be asked for: the only broker there is a connection to wants the client to pause.
    Throttled(NodeId),
    /// The broker refused the client's credentials: waiters are told.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "made by the authenticators of SASL and TLS, which are not built yet"
        )
    )]
    Authentication(Arc<str>),
    /// The broker knows no version of the request that can carry it: waiters are told.
    UnsupportedVersion(Arc<str>),
}

impl MetadataFailure {
    /// What it says, if that keeps all metadata away.
    pub(crate) fn as_fatal(&self) -> Option<FatalMetadataError> {
        match self {
            Self::Authentication(why) => Some(FatalMetadataError::Authentication(Arc::clone(why))),
            Self::UnsupportedVersion(why) => {
                Some(FatalMetadataError::UnsupportedVersion(Arc::clone(why)))
            }
            Self::Disconnected(_)
            | Self::NoBrokers
            | Self::UnusableBrokers(_)
            | Self::Throttled(_) => None,
        }
    }
}

impl fmt::Display for MetadataFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected(why) => write!(f, "disconnected: {why}"),
            Self::Throttled(node) => write!(
                f,
                "it could not be sent, because broker {node} is throttling this client"
            ),
            Self::UnusableBrokers(first) => write!(
                f,
                "the broker's answer named no broker with a number from 0 on and a port that there is, but {first}: \
                 look at its advertised.listeners"
            ),
            Self::NoBrokers => write!(f, "the broker's answer named no broker"),
            Self::Authentication(why) => write!(f, "authentication failed: {why}"),
            Self::UnsupportedVersion(why) => write!(f, "{why}"),
        }
    }
}

/// The keeper of the metadata, as the network client sees it.
///
/// # Threads
/// The network client calls it from the sender thread; implementations are shared with others.
pub(crate) trait MetadataSource: Send + Sync + fmt::Debug {
    /// When the next update should be asked for; an instant that is not after `now` means at once.
    fn time_to_next_update(&self, now: Instant) -> Deadline;

    /// Asks for a full update. Returns the version to wait past.
    fn request_update(&self) -> u32;

    /// The request that is due.
    fn new_request(&self, now: Instant) -> MetadataRequestPlan;

    /// The answer to a request, which names at least one broker. Returns what is to be said of it.
    fn handle_response(
        &self,
        planned: PlannedUpdate,
        version: i16,
        response: MetadataResponse,
        now: Instant,
    ) -> MetadataNews;

    /// An update failed: the next one waits for the backoff.
    fn handle_failure(&self, now: Instant, why: MetadataFailure);

    /// An update that is due has to wait for this. It is asked for as soon as that is over.
    fn handle_obstacle(&self, what: MetadataFailure);

    /// What is known of the cluster.
    fn cluster(&self) -> Arc<Cluster>;
}
