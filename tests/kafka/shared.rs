//! The broker shared by all tests that do not disturb it, started on first use.

use std::sync::{Arc, Mutex, PoisonError};

use crate::harness::{Cluster, ClusterOptions, Result};

static CLUSTER: Mutex<Option<Arc<Cluster>>> = Mutex::new(None);

/// The shared cluster: one broker of the default version and configuration. Tests create their own topics in it, and do
/// not kill, pause or stop it.
pub(crate) fn cluster() -> Result<Arc<Cluster>> {
    let mut shared = CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cluster) = &*shared {
        return Ok(Arc::clone(cluster));
    }
    let cluster = Arc::new(Cluster::start(ClusterOptions::default())?);
    *shared = Some(Arc::clone(&cluster));
    Ok(cluster)
}

/// Stops the shared broker, if it was started.
pub(crate) fn stop() {
    CLUSTER
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
}
