//! Fencing: another producer with the same transactional id takes over, or the coordinator aborts a transaction that
//! has timed out.

use std::error::Error;
use std::time::Duration;

use kafka_producer::{
    ErrorCode, OffsetAndMetadata, ProducerRecord, TopicPartition, TransactionError,
};

use super::{committed, refused, send_all, transactional, values};
use crate::harness::{Cluster, ClusterOptions, Isolation};
use crate::matrix::NEWEST;
use crate::producer::{Producer, build};
use crate::runner::{TestResult, tests};

tests![
    in_kafka_3_0_0_a_fenced_producer_fails_and_writes_nothing_more,
    in_the_newest_kafka_a_fenced_producer_fails_and_writes_nothing_more,
    a_timed_out_transaction_has_the_errors_of_kafkas_own_producer,
];

const TOPIC: &str = "fencing";
const GROUP: &str = "group";

fn in_kafka_3_0_0_a_fenced_producer_fails_and_writes_nothing_more() -> TestResult {
    is_fenced("3.0.0")
}

fn in_the_newest_kafka_a_fenced_producer_fails_and_writes_nothing_more() -> TestResult {
    is_fenced(NEWEST)
}

/// The first call of the fenced producer.
type FirstCall = fn(&Producer) -> Result<(), Box<dyn Error>>;

const FIRST_CALLS: [(&str, FirstCall); 5] = [
    ("send", |producer| {
        send_all(producer, TOPIC, &["of the loser"])
    }),
    ("send and commit", |producer| {
        drop(producer.send(ProducerRecord::new(TOPIC, &b"of the loser"[..]))?);
        Ok(producer.commit_transaction()?)
    }),
    ("send_offsets_to_transaction", |producer| {
        let offset = (TopicPartition::new(TOPIC, 0), OffsetAndMetadata::new(7));
        Ok(producer.send_offsets_to_transaction([offset], GROUP)?)
    }),
    ("commit_transaction", |producer| {
        Ok(producer.commit_transaction()?)
    }),
    ("abort_transaction", |producer| {
        Ok(producer.abort_transaction()?)
    }),
];

fn is_fenced(version: &str) -> TestResult {
    let cluster = Cluster::start(ClusterOptions::default().version(version))?;
    cluster.create_topic(TOPIC, 1, &[])?;
    let mut kept = Vec::new();
    for (name, first_call) in FIRST_CALLS {
        let config = || transactional(&cluster.bootstrap_servers(), name);
        let loser = build(config())?;
        loser.init_transactions()?;
        loser.begin_transaction()?;
        send_all(&loser, TOPIC, &["of the loser"])?;

        let winner = build(config())?;
        winner.init_transactions()?;
        winner.begin_transaction()?;
        send_all(&winner, TOPIC, &[name])?;

        let error = first_call(&loser).expect_err("another has its id");
        println!("    {name}: {error}");
        assert_is_over(&loser, name);
        loser.close()?;

        winner.commit_transaction()?;
        winner.close()?;
        kept.push(name);
    }
    assert_eq!(
        committed(&cluster, TOPIC)?,
        kept,
        "what the losers wrote is not seen"
    );
    let all = values(&cluster, TOPIC, Isolation::ReadUncommitted)?;
    // The records written before the fencing, and none after.
    let of_losers = all.iter().filter(|value| *value == "of the loser").count();
    assert_eq!(of_losers, FIRST_CALLS.len(), "{all:?}");
    assert_eq!(cluster.committed_offsets(GROUP, TOPIC)?, []);
    Ok(())
}

/// Checks that every call fails with a fatal error. If the first call was a send, the transaction is only abortable at
/// first, because the record was rejected for its epoch; the abort then fails as fenced (KIP-588), as with Kafka's own
/// producer.
fn assert_is_over(producer: &Producer, name: &str) {
    if name.starts_with("send ") || name == "send" {
        let error = refused("its commit", producer.commit_transaction());
        assert!(error.is_abortable(), "{error}");
        let error = refused("its abort", producer.abort_transaction());
        assert!(error.is_fenced(), "{error}");
    }
    let offset = (TopicPartition::new(TOPIC, 0), OffsetAndMetadata::new(7));
    for (call, result) in [
        ("commit", producer.commit_transaction()),
        ("begin", producer.begin_transaction()),
        (
            "offsets",
            producer.send_offsets_to_transaction([offset], GROUP),
        ),
        ("abort", producer.abort_transaction()),
        ("init", producer.init_transactions()),
    ] {
        let is_fatal = result.as_ref().is_err_and(TransactionError::is_fatal);
        assert!(is_fatal, "{name}, then {call}: {result:?}");
    }
    let sent = producer.send(ProducerRecord::new(TOPIC, &b"of the loser"[..]));
    let failed = match sent {
        Ok(future) => future.get().err().map(|error| error.to_string()),
        Err(error) => Some(error.to_string()),
    };
    assert!(failed.is_some(), "{name}: a record was written");
}

/// Calls after the coordinator has aborted the transaction, named as in `java/…/Transactions.java`.
const AFTER_THE_TIME: [&[&str]; 4] = [
    &["send", "commit", "abort", "begin", "send"],
    &["commit", "abort", "begin", "send"],
    &["abort", "begin", "send", "commit"],
    &["begin", "send", "abort", "begin"],
];

/// Each sequence of calls is made with Kafka's producer of 3.0.0 and with ours, in the same situation.
fn a_timed_out_transaction_has_the_errors_of_kafkas_own_producer() -> TestResult {
    for version in ["3.0.0", NEWEST] {
        let options = ClusterOptions::default().version(version).config(
            "transaction.abort.timed.out.transaction.cleanup.interval.ms",
            "300",
        );
        let cluster = Cluster::start(options)?;
        cluster.create_topic(TOPIC, 1, &[])?;
        for (number, calls) in AFTER_THE_TIME.iter().enumerate() {
            let all = [&["init", "begin", "send", "CompleteAbort"], *calls].concat();
            let id = format!("kafkas-{number}");
            let configs = [
                ("transactional.id", &*id),
                ("transaction.timeout.ms", "1000"),
            ];
            let kafkas = cluster.script_with_java(&configs, TOPIC, &all)?;
            let ours = script(&cluster, &format!("ours-{number}"), &all)?;
            for (call, (kafkas, ours)) in all.iter().zip(kafkas.iter().zip(&ours)).skip(4) {
                println!("    {version}, {number}, {call}: Kafka's {kafkas}; ours {ours}");
            }
            let agrees = |(kafkas, ours): (&String, &String)| {
                let is_fenced = |text: &str| text.to_lowercase().contains("fenced");
                (kafkas == "ok") == (ours == "ok") && (!is_fenced(kafkas) || is_fenced(ours))
            };
            assert!(
                kafkas.iter().zip(&ours).all(agrees),
                "{kafkas:?} and {ours:?}"
            );
        }
        assert_eq!(committed(&cluster, TOPIC)?, [""; 0]);
        // New producers with the same ids work.
        for number in 0..AFTER_THE_TIME.len() {
            let config = transactional(&cluster.bootstrap_servers(), &format!("ours-{number}"));
            let producer = build(config)?;
            producer.init_transactions()?;
            producer.begin_transaction()?;
            send_all(&producer, TOPIC, &["kept"])?;
            producer.commit_transaction()?;
            producer.close()?;
        }
        assert_eq!(committed(&cluster, TOPIC)?, ["kept"; AFTER_THE_TIME.len()]);
    }
    Ok(())
}

/// The results of our producer for the same calls.
fn script(cluster: &Cluster, id: &str, calls: &[&str]) -> Result<Vec<String>, Box<dyn Error>> {
    let config = transactional(&cluster.bootstrap_servers(), id);
    let producer = build(config.set("transaction.timeout.ms", "1000"))?;
    let mut results = Vec::new();
    for call in calls {
        let result = match *call {
            "init" => producer.init_transactions(),
            "begin" => producer.begin_transaction(),
            "commit" => producer.commit_transaction(),
            "abort" => producer.abort_transaction(),
            "send" => {
                results.push(match send_all(&producer, TOPIC, &["late"]) {
                    Ok(()) => "ok".to_owned(),
                    Err(error) => error.to_string(),
                });
                continue;
            }
            state => {
                cluster.await_transaction(id, &[state], Duration::ZERO)?;
                Ok(())
            }
        };
        results.push(match result {
            Ok(()) => "ok".to_owned(),
            Err(error) => format!(
                "{:?}, {:?}",
                error.kind(),
                error.code().map(ErrorCode::name)
            ),
        });
    }
    // A fenced producer closes without an error, because it has nothing to send.
    producer.close()?;
    Ok(results)
}
