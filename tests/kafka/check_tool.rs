//! `kafka-check` with a real broker.

use std::process::Command;

use serde_json::Value;

use crate::harness::Cluster;
use crate::runner::{TestResult, tests};
use crate::shared;

tests![a_real_broker_passes_every_step_of_the_check];

const PROGRAM: &str = env!("CARGO_BIN_EXE_kafka-check");

fn check(cluster: &Cluster, topics: &[&str]) -> Result<Value, Box<dyn std::error::Error>> {
    let servers = cluster.bootstrap_servers();
    let mut command = Command::new(PROGRAM);
    command.args(["--bootstrap-server", &servers, "--send", "--json"]);
    for topic in topics {
        command.args(["--topic", topic]);
    }
    Ok(serde_json::from_slice(&command.output()?.stdout)?)
}

fn a_real_broker_passes_every_step_of_the_check() -> TestResult {
    let cluster = shared::cluster()?;
    cluster.create_topic("checked", 3, &[])?;
    let document = check(&cluster, &["checked"])?;
    assert_eq!(document["ok"], true, "{document}");
    assert_eq!(document["brokers"][0]["kafka"], "3.0", "{document}");
    assert_eq!(document["topics"][0]["partition_count"], 3);
    let mut found = 0;
    cluster.read_back("checked", |_| found += 1)?;
    assert_eq!(found, 1);
    let document = check(&cluster, &["never-created"])?;
    assert_eq!(document["ok"], false);
    assert_eq!(document["topics"][0]["error"], "UNKNOWN_TOPIC_OR_PARTITION");
    Ok(())
}
