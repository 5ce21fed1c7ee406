//! Who of the user's is told the cluster's identifier.

use std::sync::Arc;

use super::user_code::{Fence, UserCode};
use crate::types::ClusterResourceListener;
use crate::util::log::warn;

/// The listeners of a producer's plug-ins.
///
/// # Kafka
/// `ClusterResourceListeners`.
pub(crate) struct ClusterListeners {
    listeners: Vec<Arc<dyn ClusterResourceListener>>,
    fence: Fence,
}

impl ClusterListeners {
    pub(crate) fn new(listeners: Vec<Arc<dyn ClusterResourceListener>>, fence: Fence) -> Self {
        Self { listeners, fence }
    }

    /// Tells all of them, of whom one that panics is no reason not to tell the others.
    pub(crate) fn on_update(&self, cluster_id: Option<&str>) {
        for listener in &self.listeners {
            let call = || listener.on_update(cluster_id);
            if let Err(failure) = self.fence.call(UserCode::ClusterListener, call) {
                warn!("{failure}");
            }
        }
    }
}
