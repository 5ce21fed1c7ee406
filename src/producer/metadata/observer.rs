//! The observer of cluster updates, called before the waiting threads are woken.

use std::sync::Arc;

use crate::client::metadata::ChangedTopics;
use crate::types::Cluster;

/// Observer of cluster snapshots, which also reports the topics in use. Implemented by the accumulator.
///
/// # Threads
/// Called on the sender thread with the metadata lock held: may take locks of higher rank, must not
/// wait and must not call back.
pub(crate) trait ClusterObserver: Send + Sync {
    /// Whether records were sent to the topic since the last call.
    fn take_used(&self, topic: &str) -> bool;

    /// A new cluster snapshot was published. Topics that are not in `changed` are as in the snapshot before.
    fn on_cluster(&self, cluster: &Arc<Cluster>, changed: &ChangedTopics);
}
