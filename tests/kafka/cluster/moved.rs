//! Leaders are moved repeatedly.

use std::time::{Duration, Instant};

use super::{PARTITIONS, both, check_both, cluster};
use crate::harness::{Cluster, Result};
use crate::runner::{TestResult, tests};

tests![leaders_that_move_to_and_fro_cost_no_acknowledged_record];

const TIME: Duration = Duration::from_secs(60);

fn leaders_that_move_to_and_fro_cost_no_acknowledged_record() -> TestResult {
    let cluster = cluster()?;
    let mut workloads = both(&cluster, "moved", |config| config)?;
    let mut moves = 0;
    workloads.disturb("all leaders moved for 60 s", || {
        let end = Instant::now() + TIME;
        while Instant::now() < end {
            for topic in ["moved", "moved-acks-1"] {
                rotate(&cluster, topic)?;
                moves += PARTITIONS;
            }
        }
        Ok(())
    })?;
    println!("    leaders were moved {moves} times");
    workloads.until_recovered(PARTITIONS);
    check_both(&cluster, &workloads.finish()?)?;
    Ok(())
}

/// Moves each partition to the next broker.
fn rotate(cluster: &Cluster, topic: &str) -> Result<()> {
    let brokers = cluster.broker_count();
    let leaders: Vec<(i32, usize)> = cluster
        .describe_topic(topic)?
        .iter()
        .map(|state| {
            (
                state.partition,
                (state.leader.unwrap_or_default() + 1) % brokers,
            )
        })
        .collect();
    cluster.move_leaders(topic, &leaders)
}
