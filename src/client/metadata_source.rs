//! What the network client asks of whoever keeps the metadata.

use std::fmt;
use std::sync::Arc;

use super::metadata::{MetadataFailure, MetadataNews, PlannedUpdate};
use crate::clock::{Deadline, Instant};
use crate::protocol::{MetadataRequest, MetadataResponse};
use crate::types::Cluster;

/// A metadata request and what it is for.
#[derive(Debug)]
pub(crate) struct MetadataRequestPlan {
    pub(crate) request: MetadataRequest,
    pub(crate) planned: PlannedUpdate,
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
