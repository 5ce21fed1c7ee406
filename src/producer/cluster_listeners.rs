//! Cluster resource listeners: plug-ins that are notified of the cluster id.

use std::sync::Arc;

use super::instance::Instance;
use super::user_code::{Fence, UserCode};
use crate::error::PluginKind;
use crate::types::ClusterResourceListener;
use crate::util::log::warn;

/// The cluster resource listeners of a producer's plug-ins.
///
/// # Kafka
/// `ClusterResourceListeners`.
pub(crate) struct ClusterListeners {
    listeners: Vec<Arc<dyn ClusterResourceListener>>,
    instance: Instance,
}

impl ClusterListeners {
    pub(crate) fn new(
        listeners: Vec<Arc<dyn ClusterResourceListener>>,
        instance: Instance,
    ) -> Self {
        Self {
            listeners,
            instance,
        }
    }

    /// Notifies all listeners. A panic of one does not keep the others from being notified.
    pub(crate) fn on_update(&self, cluster_id: Option<&str>) {
        let fence = Fence::of(&self.instance);
        for listener in &self.listeners {
            let call = || listener.on_update(cluster_id);
            // Runs on the sender thread, like Java's `ClusterResourceListeners#onUpdate`.
            if let Err(failure) = fence.call(
                UserCode::Plugin(PluginKind::ClusterListener, "on_update"),
                call,
            ) {
                warn!(fence.log(), "{failure}");
            }
        }
    }
}
