//! `kafka-console-producer` with a real broker; the exit code of a call without arguments is compared with that of
//! Kafka's tool.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::harness::run_tool;
use crate::runner::{TestResult, tests};
use crate::shared;

tests![lines_arrive_with_headers_keys_and_nulls];

const KAFKAS: &str = "kafka.tools.ConsoleProducer";
const OURS: &str = env!("CARGO_BIN_EXE_kafka-console-producer");

fn ours(arguments: &[&str], input: &[u8]) -> Result<Option<i32>, Box<dyn std::error::Error>> {
    let mut child = Command::new(OURS)
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or("it is a pipe")?;
    // A tool that has ended early does not read its input. Its exit code says more than that error.
    let _ = stdin.write_all(input);
    drop(stdin);
    Ok(child.wait()?.code())
}

fn lines_arrive_with_headers_keys_and_nulls() -> TestResult {
    let cluster = shared::cluster()?;
    let topic = "console";
    cluster.create_topic(topic, 1, &[])?;
    let servers = cluster.bootstrap_servers();
    let arguments = "--compression-codec --property parse.key=true --property parse.headers=true \
                     --property null.marker=NULL --topic console --bootstrap-server";
    let mut arguments: Vec<&str> = arguments.split(' ').collect();
    arguments.push(&servers);
    let input = b"h:1,i:NULL\tk\t\xff\r\nNULL\tk\tNULL\nNULL\tNULL\tv";
    assert_eq!(ours(&arguments, input)?, Some(0));
    let mut found = Vec::new();
    cluster.read_back(topic, |record| {
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| bytes.escape_ascii().to_string());
        let headers = record.headers.iter();
        let headers: Vec<_> = headers.map(|(key, value)| (*key, text(*value))).collect();
        let (key, value) = (text(record.key), text(record.value));
        found.push(format!("{key:?} {value:?} {headers:?}"));
    })?;
    assert_eq!(
        found,
        [
            r#"Some("k") Some("\\xff") [("h", Some("1")), ("i", None)]"#,
            r#"Some("k") None []"#,
            r#"None Some("v") []"#,
        ]
    );
    let (kafkas, _) = run_tool(cluster.folder(), KAFKAS, &[])?;
    assert_eq!(Command::new(OURS).output()?.status.code(), kafkas);
    Ok(())
}
