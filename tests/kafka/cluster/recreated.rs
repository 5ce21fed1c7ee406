//! Topics that change while the producer sends to them.

use std::time::{Duration, Instant};

use super::{PARTITIONS, PER_TICK, cluster};
use crate::ledger::RecordResult;
use crate::producer::config;
use crate::runner::{TestResult, tests};
use crate::workload::{Workload, Workloads, pass};

tests![
    partitions_that_are_added_are_used_and_nothing_is_lost,
    records_acknowledged_to_a_recreated_topic_are_in_it_once_and_in_order,
];

fn partitions_that_are_added_are_used_and_nothing_is_lost() -> TestResult {
    let cluster = cluster()?;
    cluster.create_topic("grown", PARTITIONS as i32 / 2, &[])?;
    // A short refresh interval: the producer discovers new partitions only by the periodic metadata refresh.
    let config = config(&cluster.bootstrap_servers()).metadata_max_age(Duration::from_secs(1));
    let workload = Workload::start("default", "grown", config, PER_TICK * 2)?;
    let mut workloads = Workloads::new(&cluster, vec![workload], PARTITIONS / 2);
    workloads.disturb("partitions added", || {
        cluster.add_partitions("grown", PARTITIONS as i32)
    })?;
    workloads.until_recovered(PARTITIONS);
    for report in workloads.finish()? {
        report.assert_none_failed();
        report.findings.assert_exactly_once();
        cluster.delete_topic(report.ledger().topic())?;
    }
    Ok(())
}

/// Records that were acknowledged before the deletion are deleted with the topic, so the new topic must not contain
/// them.
fn records_acknowledged_to_a_recreated_topic_are_in_it_once_and_in_order() -> TestResult {
    let cluster = cluster()?;
    cluster.create_topic("recreated", PARTITIONS as i32, &[])?;
    let config = config(&cluster.bootstrap_servers());
    let workload = Workload::start("default", "recreated", config, PER_TICK * 2)?;
    let mut workloads = Workloads::new(&cluster, vec![workload], PARTITIONS);
    pass(Duration::from_secs(3));
    let deletion = Instant::now();
    workloads.disturb("topic deleted", || cluster.delete_topic("recreated"))?;
    pass(Duration::from_secs(2));
    workloads.disturb("topic created again", || {
        cluster.create_topic("recreated", PARTITIONS as i32, &[])
    })?;
    let creation = Instant::now();
    workloads.until_recovered(PARTITIONS);
    for report in workloads.finish()? {
        let ledger = report.ledger();
        for id in ledger.sent() {
            let Some(outcome) = ledger.outcome(id) else {
                panic!("{id:?} has no result");
            };
            let RecordResult::Acknowledged { .. } = outcome.result else {
                continue;
            };
            let copies = report.findings.copies(id);
            if outcome.at < deletion {
                assert_eq!(copies, 0, "{id:?} was acknowledged to the deleted topic");
            }
            if outcome.at > creation {
                assert_eq!(copies, 1, "{id:?} was acknowledged to the recreated topic");
            }
        }
        report.findings.assert_once_and_in_order();
        cluster.delete_topic(ledger.topic())?;
    }
    Ok(())
}
