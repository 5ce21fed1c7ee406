//! `kafka-producer-perf-test`: its options, lines and exit codes.

mod arguments;
mod html;
mod sending;
mod transactions;

use kafka_producer::testing::TestCluster;

use crate::support::{self, Ended};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kafka-producer-perf-test");

fn perf_test(arguments: &[&str]) -> Ended {
    support::run(PROGRAM, arguments)
}

/// Runs the tool with topic `t` of a cluster; `further` are additional arguments.
fn send(cluster: &TestCluster, records: &str, further: &[&str]) -> Ended {
    let servers = format!("bootstrap.servers={}", cluster.bootstrap_servers());
    let mut arguments = vec!["--topic", "t", "--num-records", records];
    arguments.extend(["--producer-props", &servers]);
    arguments.extend(further);
    perf_test(&arguments)
}

fn cluster() -> TestCluster {
    TestCluster::builder().topic("t", 3).start().unwrap()
}

fn values(cluster: &TestCluster) -> Vec<Vec<u8>> {
    (0..3)
        .flat_map(|partition| cluster.records("t", partition))
        .map(|record| record.value.unwrap())
        .collect()
}
