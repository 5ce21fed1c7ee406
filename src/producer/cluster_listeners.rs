//! Cluster resource listeners: plug-ins that are notified of the cluster id.

use std::sync::Arc;

use super::instance::Instance;
use super::user_code::{Fence, UserCode};
use crate::error::PluginKind;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::types::ClusterResourceListener;
use crate::util::log::warn;

/// The cluster resource listeners of a producer's plug-ins.
///
/// # Kafka
/// `ClusterResourceListeners`.
pub(crate) struct ClusterListeners {
    listeners: Vec<Arc<dyn ClusterResourceListener>>,
    instance: Instance,
    is_closed: AtomicBool,
}

impl ClusterListeners {
    pub(crate) fn new(
        listeners: Vec<Arc<dyn ClusterResourceListener>>,
        instance: Instance,
    ) -> Self {
        Self {
            listeners,
            instance,
            is_closed: AtomicBool::new(false),
        }
    }

    /// Notifies all listeners. A panic of one does not keep the others from being notified. Returns true if all
    /// listeners were called, which may have taken long; false if there are none, or they were closed meanwhile.
    pub(crate) fn on_update(&self, cluster_id: Option<&str>) -> bool {
        let fence = Fence::of(&self.instance);
        for listener in &self.listeners {
            // Checked for each: `close` may be called on another thread meanwhile.
            if self.is_closed.load(Ordering::Acquire) {
                return false;
            }
            let call = || listener.on_update(cluster_id);
            // Runs on the sender thread, like Java's `ClusterResourceListeners#onUpdate`.
            if let Err(failure) = fence.call(
                UserCode::Plugin(PluginKind::ClusterListener, "on_update"),
                call,
            ) {
                warn!(fence.log(), "{failure}");
            }
        }
        !self.listeners.is_empty()
    }

    /// From now on no listener is called: the plug-ins that they belong to are about to be closed.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }
}
