//! Each transactional call, with brokers of every version range that supports transactions.

use std::time::Duration;

use kafka_producer::{
    ConsumerGroupMetadata, ErrorCode, FutureRecordMetadata, OffsetAndMetadata, ProduceError,
    ProduceErrorKind, ProducerRecord, TopicPartition, TransactionErrorKind, TransactionRunError,
};

use super::{committed, refused, send_all, transactional, values};
use crate::harness::{Cluster, ClusterOptions, Isolation};
use crate::matrix::NEWEST;
use crate::producer::{Producer, build};
use crate::runner::{TestResult, tests};

tests![
    kafka_3_0_0_commits_and_aborts,
    newest_kafka_commits_and_aborts,
    kafka_0_11_0_3_commits_and_aborts,
    kafka_2_4_1_commits_and_aborts,
];

const GROUP: &str = "group";
/// `delivery.timeout.ms`.
const DELIVERY: Duration = Duration::from_secs(3);

fn kafka_3_0_0_commits_and_aborts() -> TestResult {
    commits_and_aborts("3.0.0", false)
}

/// With `transaction.version` 2 (KIP-890), the default of new clusters, and the protocol of Kafka 3.0's producer.
fn newest_kafka_commits_and_aborts() -> TestResult {
    commits_and_aborts(NEWEST, false)
}

/// The first version with transactions.
fn kafka_0_11_0_3_commits_and_aborts() -> TestResult {
    commits_and_aborts("0.11.0.3", true)
}

/// A version without epoch bumps by producers (KIP-360) and without group metadata with offsets (KIP-447).
fn kafka_2_4_1_commits_and_aborts() -> TestResult {
    commits_and_aborts("2.4.1", true)
}

fn commits_and_aborts(version: &str, is_old: bool) -> TestResult {
    let cluster = Cluster::start(ClusterOptions::default().version(version))?;
    if version == NEWEST {
        assert_eq!(cluster.feature_level("transaction.version")?, 2);
    }
    cluster.create_topic("input", 3, &[])?;
    let producer = begin(&cluster)?;
    records_and_offsets(&cluster, &producer)?;
    members(&producer, is_old)?;
    // Old brokers do not support the member check, so the producer has failed for good, as in Java.
    let producer = if is_old { begin(&cluster)? } else { producer };
    a_refused_batch(&cluster, &producer)?;
    let producer = a_lost_batch(&cluster, producer, is_old)?;
    for value in ["kept 1", "kept 2"] {
        producer.begin_transaction()?;
        send_all(&producer, "lost", &[value])?;
        producer.commit_transaction()?;
    }
    producer.close()?;
    assert_eq!(committed(&cluster, "lost")?, ["kept 1", "kept 2"]);
    Ok(())
}

/// Builds and initializes a producer. All producers of a test have the same transactional id.
fn begin(cluster: &Cluster) -> Result<Producer, Box<dyn std::error::Error>> {
    let config = transactional(&cluster.bootstrap_servers(), "basics")
        .linger(Duration::from_millis(2))
        .request_timeout(Duration::from_secs(1))
        .delivery_timeout(DELIVERY);
    let producer = build(config)?;
    producer.init_transactions()?;
    Ok(producer)
}

fn position(partition: i32, offset: i64, metadata: &str) -> (TopicPartition, OffsetAndMetadata) {
    let partition = TopicPartition::new("input", partition);
    (partition, OffsetAndMetadata::new(offset).metadata(metadata))
}

fn offsets(cluster: &Cluster) -> crate::harness::Result<Vec<(i32, i64, String)>> {
    cluster.committed_offsets(GROUP, "input")
}

/// Committed records are visible, aborted and open ones are not, and offsets belong to their transaction.
fn records_and_offsets(cluster: &Cluster, producer: &Producer) -> TestResult {
    cluster.create_topic("output", 1, &[])?;
    producer.begin_transaction()?;
    send_all(producer, "output", &["kept 1", "kept 2"])?;
    assert_eq!(committed(cluster, "output")?, [""; 0], "it is open");
    let both = [position(0, 10, "ten"), position(2, 7, "")];
    producer.send_offsets_to_transaction(both, GROUP)?;
    producer.commit_transaction()?;
    let first = vec![(0, 10, "ten".to_owned()), (2, 7, String::new())];
    assert_eq!(offsets(cluster)?, first);

    producer.begin_transaction()?;
    send_all(producer, "output", &["dropped"])?;
    producer.send_offsets_to_transaction([position(0, 20, "")], GROUP)?;
    producer.abort_transaction()?;
    assert_eq!(offsets(cluster)?, first);

    let failed = producer.run_transaction(|transaction| {
        let record = ProducerRecord::new("output", &b"dropped too"[..]);
        transaction
            .send(record)
            .map_err(|error| error.to_string())?;
        transaction
            .producer()
            .flush()
            .map_err(|error| error.to_string())?;
        Err::<(), _>("the work failed".to_owned())
    });
    let is_aborted = |error: &TransactionRunError<String>| matches!(error, TransactionRunError::Work { abort_error, .. } if abort_error.is_none());
    assert!(failed.as_ref().is_err_and(is_aborted), "{failed:?}");

    // Without a flush, because the commit flushes.
    producer.run_transaction(|transaction| {
        for value in ["kept 3", "kept 4", "kept 5"] {
            transaction.send(ProducerRecord::new("output", value.as_bytes()))?;
        }
        Ok::<_, kafka_producer::SendError>(())
    })?;
    // A transaction with offsets only, and empty ones that are committed and aborted.
    producer.begin_transaction()?;
    producer.send_offsets_to_transaction([position(1, 5, "five")], GROUP)?;
    producer.commit_transaction()?;
    for commits in [true, false] {
        producer.begin_transaction()?;
        if commits {
            producer.commit_transaction()?;
        } else {
            producer.abort_transaction()?;
        }
    }
    let kept = ["kept 1", "kept 2", "kept 3", "kept 4", "kept 5"];
    assert_eq!(committed(cluster, "output")?, kept);
    let all = values(cluster, "output", Isolation::ReadUncommitted)?;
    assert_eq!(
        all.len(),
        kept.len() + 2,
        "what was aborted is there: {all:?}"
    );
    let last = vec![
        (0, 10, "ten".to_owned()),
        (1, 5, "five".to_owned()),
        (2, 7, String::new()),
    ];
    assert_eq!(offsets(cluster)?, last);
    Ok(())
}

/// Offsets of an unknown member are rejected (KIP-447).
fn members(producer: &Producer, is_old: bool) -> TestResult {
    let stranger = ConsumerGroupMetadata::new(GROUP).member("stranger", 3);
    producer.begin_transaction()?;
    let result = producer.send_offsets_to_transaction([position(0, 99, "")], stranger);
    let error = refused("offsets of a stranger", result);
    if is_old {
        assert_eq!(error.kind(), TransactionErrorKind::Fatal);
        assert!(error.to_string().contains("before 2.5"), "{error}");
    } else {
        assert!(error.is_abortable(), "{error}");
        let refused = [ErrorCode::UnknownMemberId, ErrorCode::IllegalGeneration];
        assert!(
            error.code().is_some_and(|code| refused.contains(&code)),
            "{error}"
        );
        producer.abort_transaction()?;
    }
    Ok(())
}

/// A record that fails makes its transaction abortable, and does not affect later transactions (KAFKA-9279).
fn a_refused_batch(cluster: &Cluster, producer: &Producer) -> TestResult {
    cluster.create_topic("small", 1, &[("max.message.bytes", "1000")])?;
    for round in 0..2 {
        producer.begin_transaction()?;
        send_all(producer, "small", &["dropped"])?;
        let large = ProducerRecord::new("small", &[7; 2_000][..]).with_partition(0);
        let large = producer.send(large)?;
        let behind: Vec<_> = (0..20)
            .map(|_| producer.send(ProducerRecord::new("small", &b"behind"[..])))
            .collect::<Result<_, _>>()?;
        let error = large.get().expect_err("the topic takes no such record");
        assert_eq!(error.code(), Some(ErrorCode::MessageTooLarge), "{error}");
        let error = refused(
            "a commit after a refused record",
            producer.commit_transaction(),
        );
        assert!(error.is_abortable(), "{error}");
        producer.abort_transaction()?;
        assert!(behind.iter().all(FutureRecordMetadata::is_done));
        producer.begin_transaction()?;
        send_all(producer, "small", &[&format!("kept {round}")])?;
        producer.commit_transaction()?;
    }
    assert_eq!(committed(cluster, "small")?, ["kept 0", "kept 1"]);
    Ok(())
}

/// The broker is killed with batches in flight, and is down for longer than `delivery.timeout.ms`. Whether the batches
/// are written is unknown, which requires an epoch bump (KIP-360). If the brokers do not support the bump, the producer
/// fails for good, as in Java. Returns a working producer: the same, or a new one.
fn a_lost_batch(
    cluster: &Cluster,
    producer: Producer,
    is_old: bool,
) -> Result<Producer, Box<dyn std::error::Error>> {
    cluster.create_topic("lost", 1, &[])?;
    producer.begin_transaction()?;
    let send = || producer.send(ProducerRecord::new("lost", &[b'd'; 100][..]));
    let mut futures = vec![send()?];
    while futures.len() < 20_000 {
        if futures.len() == 10_000 {
            // Half of the earlier records are acknowledged; the others are queued or in flight at the kill.
            futures[5_000].get()?;
            cluster.broker(0).kill()?;
        }
        futures.push(send()?);
    }
    let outcomes: Vec<_> = futures.iter().map(FutureRecordMetadata::get).collect();
    let is_of_the_time = |error: &ProduceError| {
        matches!(
            error.kind(),
            ProduceErrorKind::TransactionAborted | ProduceErrorKind::ProducerFailed
        ) || error.is_timeout()
    };
    let failed: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
    for error in &failed {
        assert!(is_of_the_time(error), "{error}");
    }
    println!(
        "    {} of {} records were lost",
        failed.len(),
        outcomes.len()
    );
    assert!(!failed.is_empty());
    cluster.broker(0).start()?;
    let error = refused("a commit after lost records", producer.commit_transaction());
    assert!(
        error.is_abortable() || (is_old && error.is_fatal()),
        "{error}"
    );
    if is_old {
        let error = refused("its abort", producer.abort_transaction());
        assert_eq!(error.kind(), TransactionErrorKind::Fatal);
        assert!(error.to_string().contains("before 2.5"), "{error}");
        producer.close()?;
        return begin(cluster);
    }
    producer.abort_transaction()?;
    Ok(producer)
}
