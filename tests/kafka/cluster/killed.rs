//! Leaders are killed repeatedly.

use super::{PARTITIONS, both, check_both, cluster};
use crate::runner::{TestResult, tests};

tests![two_producers_keep_their_guarantees_while_leaders_are_killed_five_times];

/// The default producer neither loses nor duplicates a record. A producer with acks=1 may lose records that the killed
/// leader had acknowledged, but no others.
fn two_producers_keep_their_guarantees_while_leaders_are_killed_five_times() -> TestResult {
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
