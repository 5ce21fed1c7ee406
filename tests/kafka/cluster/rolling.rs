//! A rolling restart, as for an upgrade.

use std::time::Duration;

use super::{PARTITIONS, both, check_both, cluster};
use crate::runner::{TestResult, tests};

tests![a_rolling_restart_costs_no_acknowledged_record];

/// With acks=1 a leader that shuts down acknowledges records that its successor does not have.
fn a_rolling_restart_costs_no_acknowledged_record() -> TestResult {
    let cluster = cluster()?;
    // Brokers of 3.0.0 may leave a request with acks=all without a response until it times out: a follower that is
    // shutting down is added to the in-sync replicas once more, and when it is removed from them, the leader does not
    // check whether the request is complete (KAFKA-13091).
    let mut workloads = both(&cluster, "rolling", |config| {
        config.request_timeout(Duration::from_secs(10))
    })?;
    for index in 0..cluster.broker_count() {
        let broker = cluster.broker(index);
        workloads.disturb(format!("broker {index} stopped cleanly"), || {
            broker.stop_clean()
        })?;
        workloads.until_recovered(PARTITIONS);
        broker.start()?;
        cluster.await_in_sync()?;
    }
    workloads.until_acknowledged(PARTITIONS);
    check_both(&cluster, &workloads.finish()?)?;
    Ok(())
}
