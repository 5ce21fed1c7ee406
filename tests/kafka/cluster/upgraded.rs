//! A rolling upgrade to a much later version, as Kafka's upgrade notes describe it: first the code, then the
//! inter-broker protocol and with it the message format.

use std::time::Duration;

use kafka_producer::Acks;

use crate::harness::{Cluster, ClusterOptions, Result, Upgrade};
use crate::producer::config;
use crate::runner::{TestResult, tests};
use crate::workload::{Report, Workload, Workloads};

tests![an_upgrade_from_0_10_to_3_0_costs_no_record_and_the_log_changes_its_format];

const FROM: &str = "0.10.2.2";
const TO: &str = "3.0.0";
const TOPIC: &str = "upgraded";
const PARTITIONS: usize = 6;
const PER_TICK: usize = 5;
/// The inter-broker protocol and message format until all brokers are upgraded.
const AS_BEFORE: [(&str, &str); 2] = [
    ("inter.broker.protocol.version", "0.10.2"),
    ("log.message.format.version", "0.10.2"),
];
const ALWAYS: [(&str, &str); 3] = [
    ("min.insync.replicas", "2"),
    // The default from 0.11 on.
    ("unclean.leader.election.enable", "false"),
    ("auto.leader.rebalance.enable", "false"),
];

/// One producer sends during the whole upgrade. Old brokers do not support idempotence, so order is kept by one request
/// in flight, and a record whose acknowledgement was lost may be duplicated.
fn an_upgrade_from_0_10_to_3_0_costs_no_record_and_the_log_changes_its_format() -> TestResult {
    let new_code = Upgrade::to(TO, &[&ALWAYS[..], &AS_BEFORE].concat())?;
    let new_protocol = Upgrade::to(TO, &ALWAYS)?;
    let cluster = start()?;
    cluster.create_topic(TOPIC, PARTITIONS as i32, &[])?;
    let config = config(&cluster.bootstrap_servers())
        .acks(Acks::All)
        .enable_idempotence(false)
        .max_in_flight_requests_per_connection(1)
        .request_timeout(Duration::from_secs(10));
    let workload = Workload::start("acks=all", TOPIC, config, PER_TICK)?;
    let mut workloads = Workloads::new(&cluster, vec![workload], PARTITIONS);
    for (label, upgrade) in [("new code", &new_code), ("new protocol", &new_protocol)] {
        for index in 0..cluster.broker_count() {
            let broker = cluster.broker(index);
            workloads.disturb(format!("broker {index}: {label}"), || {
                broker.upgrade(upgrade)
            })?;
            workloads.until_recovered(PARTITIONS);
            cluster.await_in_sync()?;
        }
    }
    workloads.until_acknowledged(PARTITIONS);
    for report in workloads.finish()? {
        report.assert_was_felt();
        report.assert_none_failed();
        report.assert_keeps_what_acks_all_promises();
        check_formats(&cluster, &report)?;
    }
    Ok(())
}

fn start() -> Result<Cluster> {
    let options = ClusterOptions::default()
        .version(FROM)
        .brokers(3)
        .heap_mb(256)
        .session_timeout(Duration::from_secs(3));
    let configs = ALWAYS.iter().chain(&AS_BEFORE);
    Cluster::start(configs.fold(options, |options, (key, value)| options.config(key, value)))
}

/// The log of every replica begins in the old format and ends in the new one.
fn check_formats(cluster: &Cluster, report: &Report) -> TestResult {
    let dump = cluster.dump_log_segments(report.ledger().topic())?;
    assert!(dump.is_valid(), "{:?}", dump.complaints);
    for broker in 0..cluster.broker_count() {
        let mut counts = [0; 3];
        for batch in dump.of_broker(broker) {
            counts[batch.magic as usize] += 1;
        }
        for partition in 0..PARTITIONS as i32 {
            let mut batches = dump
                .of_broker(broker)
                .filter(|batch| batch.partition == partition);
            let first = batches.next().map(|batch| batch.magic);
            let last = batches.last().map(|batch| batch.magic);
            assert_eq!(
                (first, last),
                (Some(1), Some(2)),
                "broker {broker}, partition {partition}"
            );
        }
        println!(
            "      broker {broker}: {} messages of format 1, {} batches of format 2",
            counts[1], counts[2]
        );
    }
    Ok(())
}
