//! The process that the producer runs in: thread names, thread-locals, signals.

use std::cell::RefCell;
use std::process::{Command, Stdio};
use std::time::Duration;

use kafka_producer::testing::TestCluster;
use kafka_producer::{ConfigError, Error, KafkaProducer, ProduceError, RecordMetadata};

use crate::support::{LONG, Text, cluster, config, config_for, producer, record, values};

/// Environment variable of a child process of this test: the addresses of the brokers.
const CHILD: &str = "KAFKA_PRODUCER_TEST_CHILD";

/// Runs a test of this program in a child process, with a cluster of the parent. If that process crashes, the other
/// tests are not affected.
fn in_child(test: &str, cluster: &TestCluster) {
    let program = std::env::current_exe().unwrap();
    let status = Command::new(program)
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, cluster.bootstrap_servers())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{test} in a child process: {status}");
}

fn servers_of_parent() -> Option<String> {
    std::env::var(CHILD).ok()
}

thread_local! {
    static KEPT: RefCell<Option<Text>> = const { RefCell::new(None) };
}

#[test]
fn a_producer_in_a_thread_local_is_closed_when_its_thread_ends() {
    let Some(servers) = servers_of_parent() else {
        let cluster = cluster(1);
        in_child(
            "host::a_producer_in_a_thread_local_is_closed_when_its_thread_ends",
            &cluster,
        );
        assert_eq!(values(&cluster, 0), ["true", "false"]);
        return;
    };
    // Thread-locals are destroyed in the reverse order of their first use. Both orders are tested: the library's
    // thread-locals are destroyed after the user's, and before it.
    for ours_last in [true, false] {
        let servers = servers.clone();
        let thread = std::thread::spawn(move || {
            let touch = || KEPT.with_borrow_mut(|kept| assert!(kept.is_none()));
            if !ours_last {
                touch();
            }
            let producer = producer(config_for(&servers).linger(Duration::from_secs(60)));
            let value = ours_last.to_string();
            let _sent = producer.send_with_callback(record(&value), |_| {}).unwrap();
            KEPT.set(Some(producer));
        });
        thread.join().unwrap();
    }
}

#[test]
fn a_client_id_may_contain_characters_invalid_in_thread_names() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).client_id("a\0b"));
    let (sender, names) = std::sync::mpsc::channel();
    let callback = move |_: Result<&RecordMetadata, &ProduceError>| {
        let thread = std::thread::current();
        sender.send(thread.name().map(str::to_owned)).unwrap();
    };
    let _sent = producer.send_with_callback(record("v"), callback).unwrap();
    let name = names.recv_timeout(LONG).unwrap();
    assert_eq!(
        name.as_deref(),
        Some("kafka-producer-network-thread | a\u{fffd}b")
    );
    producer.close().unwrap();
}

#[test]
fn a_client_id_too_long_for_a_request_header_is_rejected() {
    let cluster = cluster(1);
    let longest = "i".repeat(i16::MAX as usize);
    let config_of = |id: &str| config(&cluster).client_id(id).build();
    let producer = KafkaProducer::<str, str>::new(config_of(&longest).unwrap()).unwrap();
    let sent = producer.send(record("v")).unwrap();
    sent.get_timeout(LONG).unwrap();
    let error: ConfigError = config_of(&format!("{longest}i")).unwrap_err();
    let text = Error::Config(error).to_string();
    assert!(text.contains("client.id"), "{text}");
    assert!(text.len() < 1000, "the value itself is not repeated");
}
