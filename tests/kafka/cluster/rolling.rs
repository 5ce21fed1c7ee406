//! Every broker is restarted in turn, as for an upgrade.

use super::{PARTITIONS, both, check_both, cluster};
use crate::runner::{TestResult, tests};

tests![a_rolling_restart_costs_no_acknowledged_record];

/// With acks=1 a leader that hands over acknowledges records that its successor does not have.
fn a_rolling_restart_costs_no_acknowledged_record() -> TestResult {
    let cluster = cluster()?;
    let mut workloads = both(&cluster, "rolling")?;
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
