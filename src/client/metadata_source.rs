//! The `MetadataSource` trait: the shared metadata as the network client sees it. Implemented by the producer's
//! metadata, which application threads wait on.

use std::fmt;
use std::sync::Arc;

use super::metadata::{AwaitedBroker, MetadataFailure, MetadataNews, PlannedUpdate};
use crate::clock::{Deadline, Instant};
use crate::protocol::{MetadataRequest, MetadataResponse};
use crate::types::Cluster;

/// A metadata request, and what to pass back with its response.
#[derive(Debug)]
pub(crate) struct MetadataRequestPlan {
    pub(crate) request: MetadataRequest,
    pub(crate) planned: PlannedUpdate,
}

/// The cluster's metadata, shared between the network client that updates it and the threads that wait for it.
///
/// # Threads
/// Called by the network client on the sender thread; implementations are shared with other threads.
pub(crate) trait MetadataSource: Send + Sync + fmt::Debug {
    /// When the next update is due; an instant that is not after `now` means at once.
    fn time_to_next_update(&self, now: Instant) -> Deadline;

    /// Requests a full update. Returns the current update version: a newer one is the update.
    fn request_update(&self) -> u32;

    /// Makes the metadata request that is due.
    fn new_request(&self, now: Instant) -> MetadataRequestPlan;

    /// Takes in a response, which names at least one broker. Returns the lines to log about it, since a logger may not
    /// be called under the lock.
    fn handle_response(
        &self,
        planned: PlannedUpdate,
        version: i16,
        response: MetadataResponse,
        now: Instant,
    ) -> MetadataNews;

    /// Takes in that an update failed: the next one waits for the back-off.
    fn handle_failure(&self, now: Instant, why: MetadataFailure);

    /// Takes in why a due update is delayed, without a back-off: it is requested as soon as the reason is gone.
    fn handle_obstacle(&self, what: MetadataFailure);

    /// Takes in which brokers an update waits for (connecting to them, or for their response), for the error of a
    /// caller that times out. Called when that changes.
    fn handle_awaited(&self, brokers: Vec<AwaitedBroker>);

    /// The current snapshot of the cluster.
    fn cluster(&self) -> Arc<Cluster>;
}
