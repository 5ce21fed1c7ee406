//! Leader elections that take longer than `delivery.timeout.ms`, while other partitions continue.

use std::time::Duration;

use super::{PARTITIONS, PER_TICK, cluster};
use crate::producer::config;
use crate::runner::{TestResult, tests};
use crate::workload::{Workload, Workloads, pass};

tests![batches_that_expire_while_a_leader_is_replaced_leave_neither_gap_nor_duplicate];

/// Some of the expired batches were written and some were not, so the producer must begin a new epoch. It must not
/// thereby write a record of another partition, or a record in flight, twice (TM-40, TM-47).
fn batches_that_expire_while_a_leader_is_replaced_leave_neither_gap_nor_duplicate() -> TestResult {
    let cluster = cluster()?;
    cluster.create_topic("impatient", PARTITIONS as i32, &[])?;
    let config = config(&cluster.bootstrap_servers())
        .delivery_timeout(Duration::from_secs(3))
        .request_timeout(Duration::from_secs(2));
    let workload = Workload::start("impatient", "impatient", config, PER_TICK * 2)?;
    let mut workloads = Workloads::new(&cluster, vec![workload], PARTITIONS);
    for _ in 0..2 {
        let leader = cluster.leader_of("impatient", 0)?;
        let broker = cluster.broker(leader);
        workloads.disturb(format!("kill of broker {leader}"), || broker.kill())?;
        workloads.until_recovered(PARTITIONS);
        broker.start()?;
        cluster.await_in_sync()?;
        let leader = cluster.leader_of("impatient", 0)?;
        let broker = cluster.broker(leader);
        workloads.disturb(format!("pause of broker {leader}"), || broker.pause())?;
        pass(Duration::from_secs(8));
        broker.resume()?;
        workloads.until_recovered(PARTITIONS);
        cluster.await_in_sync()?;
    }
    for report in workloads.finish()? {
        let tally = report.ledger().tally();
        assert!(
            tally.maybe_written > 0,
            "no batch expired in flight: {tally:?}"
        );
        report.findings.assert_exactly_once();
        cluster.delete_topic(report.ledger().topic())?;
    }
    Ok(())
}
