//! All brokers are down for longer than `delivery.timeout.ms`.

use std::time::Duration;

use super::{PARTITIONS, PER_TICK, cluster};
use crate::producer::config;
use crate::runner::{TestResult, tests};
use crate::workload::{Workload, Workloads, pass};

tests![records_of_an_outage_fail_in_time_and_later_ones_arrive];

const DELIVERY_TIMEOUT: Duration = Duration::from_secs(15);

/// Each record fails within `delivery.timeout.ms`, and its error shows whether it may have been written; the producer
/// recovers when the brokers are back.
fn records_of_an_outage_fail_in_time_and_later_ones_arrive() -> TestResult {
    let cluster = cluster()?;
    cluster.create_topic("outage", PARTITIONS as i32, &[])?;
    let config = config(&cluster.bootstrap_servers())
        .delivery_timeout(DELIVERY_TIMEOUT)
        .request_timeout(Duration::from_secs(5));
    let workload = Workload::start("default", "outage", config, PER_TICK * 2)?;
    let mut workloads = Workloads::new(&cluster, vec![workload], PARTITIONS);
    workloads.disturb("all brokers killed", || {
        (0..cluster.broker_count()).try_for_each(|index| cluster.broker(index).kill())
    })?;
    pass(DELIVERY_TIMEOUT + Duration::from_secs(5));
    workloads.disturb("all brokers started", || cluster.start_all())?;
    workloads.until_recovered(PARTITIONS);
    cluster.await_in_sync()?;
    for report in workloads.finish()? {
        let tally = report.ledger().tally();
        assert!(
            tally.not_written > 0,
            "no record failed before it was sent: {tally:?}"
        );
        assert!(
            tally.maybe_written > 0,
            "no record failed in flight: {tally:?}"
        );
        report.findings.assert_exactly_once();
        cluster.delete_topic(report.ledger().topic())?;
    }
    Ok(())
}
