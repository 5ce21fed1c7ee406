//! The `MetadataSource` trait: the shared metadata as the network client sees it. Implemented by the producer's
//! metadata, which application threads wait on.

use std::fmt;
use std::sync::Arc;

use super::metadata::{AwaitedBroker, MetadataFailure, MetadataNews, PlannedUpdate};
use crate::clock::{Deadline, Instant};
use crate::protocol::{MetadataRequest, MetadataResponse};
use crate::types::Cluster;

/// A metadata request, and its scope, which is passed back with the response.
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

    /// Requests a full update. Returns the current update version: the update has arrived once the version is newer.
    fn request_update(&self) -> u32;

    /// Makes the metadata request that is due.
    fn new_request(&self, now: Instant) -> MetadataRequestPlan;

    /// Applies a response that lists at least one usable broker. Returns the lines to log about it, since a logger may
    /// not be called under the lock.
    fn handle_response(
        &self,
        planned: PlannedUpdate,
        version: i16,
        response: MetadataResponse,
        now: Instant,
    ) -> MetadataNews;

    /// Records a failed update. The next update waits for the back-off, except after an authentication failure.
    fn handle_failure(&self, now: Instant, why: MetadataFailure);

    /// Stores the reason why a due update is delayed. There is no back-off: the update is requested as soon as the
    /// reason is gone.
    fn handle_obstacle(&self, what: MetadataFailure);

    /// Stores the brokers that an update waits for (connecting to them, or for their response), for the error of a
    /// caller that times out. Called when they change.
    fn handle_awaited(&self, brokers: Vec<AwaitedBroker>);

    /// The current snapshot of the cluster.
    fn cluster(&self) -> Arc<Cluster>;
}
