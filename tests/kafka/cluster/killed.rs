//! Leaders are killed repeatedly.

use super::{PARTITIONS, both, check_both, cluster};
use crate::runner::{TestResult, tests};

tests![a_leader_that_is_killed_five_times_costs_no_acknowledged_record];

/// With acks=1 a record that the killed leader had acknowledged may be lost, but no other record.
fn a_leader_that_is_killed_five_times_costs_no_acknowledged_record() -> TestResult {
    let cluster = cluster()?;
    let mut workloads = both(&cluster, "killed", |config| config)?;
    for round in 1..=5 {
        let leader = cluster.leader_of("killed", 0)?;
        let broker = cluster.broker(leader);
        workloads.disturb(format!("kill {round}, broker {leader}"), || broker.kill())?;
        workloads.until_recovered(PARTITIONS);
        broker.start()?;
        cluster.await_in_sync()?;
        workloads.until_acknowledged(PARTITIONS);
    }
    check_both(&cluster, &workloads.finish()?)?;
    Ok(())
}
