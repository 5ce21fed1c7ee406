//! `kafka-verifiable-producer` compared with Kafka's tool: the same options, the same broker, the same output.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Cluster, run_tool};
use crate::runner::{TestResult, tests};
use crate::shared;

tests![both_verifiable_producers_print_the_same];

const KAFKAS: &str = "org.apache.kafka.tools.VerifiableProducer";
const OURS: &str = env!("CARGO_BIN_EXE_kafka-verifiable-producer");

/// The fields of a line, in which values that differ between runs are null. Kafka does not specify the order of the
/// fields, except of the first two.
type Line = serde_json::Map<String, Value>;

fn ours(arguments: &[&str]) -> Result<(Option<i32>, String), Box<dyn std::error::Error>> {
    let output = Command::new(OURS).args(arguments).output()?;
    Ok((output.status.code(), String::from_utf8(output.stdout)?))
}

fn lines(text: &str) -> Result<Vec<Line>, Box<dyn std::error::Error>> {
    let mut all = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let mut event: Line = serde_json::from_str(line)?;
        let (timestamp, name) = (&event["timestamp"], &event["name"]);
        assert!(line.starts_with(&format!("{{\"timestamp\":{timestamp},\"name\":{name}")));
        for free in ["timestamp", "avg_throughput", "message", "exception"] {
            if let Some(value) = event.get_mut(free) {
                *value = Value::Null;
            }
        }
        all.push(event);
    }
    Ok(all)
}

fn compare(cluster: &Cluster, arguments: &[&str]) -> TestResult {
    let servers = cluster.bootstrap_servers();
    let all = [&["--broker-list", &*servers], arguments].concat();
    let (code, text) = ours(&all)?;
    let (kafkas_code, kafkas_text) = run_tool(cluster.folder(), KAFKAS, &all)?;
    println!("    {}", arguments.join(" "));
    for (name, text) in [("ours  ", &text), ("kafkas", &kafkas_text)] {
        for line in text.lines().take(4) {
            println!("    {name} | {line}");
        }
    }
    assert_eq!(code, kafkas_code);
    assert_eq!(lines(&text)?, lines(&kafkas_text)?);
    Ok(())
}

fn both_verifiable_producers_print_the_same() -> TestResult {
    let cluster = shared::cluster()?;
    for topic in ["verifiable-1", "verifiable-2"] {
        cluster.create_topic(topic, 1, &[])?;
    }
    // Both tools write to the same topic, so their offsets differ; with acks=0 they print no offsets.
    let fails = cluster.folder().join("verifiable.properties");
    std::fs::write(&fails, "max.block.ms=500\n")?;
    let fails = fails.to_str().ok_or("the folder's name is UTF-8")?;
    for further in [
        "--topic verifiable-1 --max-messages 3 --acks 0",
        "--topic verifiable-2 --max-messages 4 --acks 0 --repeating-keys 3 --value-prefix 7 --throughput 50",
        "--topic verifiable-2 --max-messages 0",
    ] {
        let arguments: Vec<&str> = further.split(' ').collect();
        compare(&cluster, &arguments)?;
    }
    let missing = [
        "--topic",
        "nowhere",
        "--max-messages",
        "1",
        "--producer.config",
        fails,
    ];
    compare(&cluster, &missing)?;
    compare(&cluster, &["--topic", "verifiable-1", "--acks", "7"])?;
    let mut values = Vec::new();
    cluster.read_back("verifiable-2", |record| {
        values.push(String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned());
    })?;
    assert_eq!(
        values,
        ["7.0", "7.1", "7.2", "7.3", "7.0", "7.1", "7.2", "7.3"]
    );
    Ok(())
}
