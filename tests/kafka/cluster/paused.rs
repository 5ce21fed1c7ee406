//! A broker is paused, the other brokers take over its partitions, and it is resumed.

use std::time::Duration;

use super::{PARTITIONS, both, check_both, cluster};
use crate::runner::{TestResult, tests};
use crate::workload::pass;

tests![a_broker_that_is_paused_for_20_seconds_costs_no_acknowledged_record];

/// The resumed broker still considers itself the leader, and has requests in its sockets. With acks=1 it acknowledges
/// them, and then truncates their records from its log.
fn a_broker_that_is_paused_for_20_seconds_costs_no_acknowledged_record() -> TestResult {
    let cluster = cluster()?;
    let mut workloads = both(&cluster, "stopped", |config| config)?;
    let leader = cluster.leader_of("stopped", 0)?;
    let broker = cluster.broker(leader);
    workloads.disturb(format!("broker {leader} paused"), || broker.pause())?;
    pass(Duration::from_secs(20));
    workloads.disturb(format!("broker {leader} resumed"), || broker.resume())?;
    workloads.until_recovered(PARTITIONS);
    cluster.await_in_sync()?;
    check_both(&cluster, &workloads.finish()?)?;
    Ok(())
}
