//! Authorization: each missing permission, and timeouts that are too long.

use std::time::Duration;

use kafka_producer::{
    ErrorCode, OffsetAndMetadata, ProducerConfigBuilder, ProducerRecord, SecurityProtocol,
    TopicPartition, TransactionError, TransactionErrorKind,
};

use super::{committed, refused, send_all, transactional};
use crate::harness::{Cluster, ClusterOptions};
use crate::matrix::NEWEST;
use crate::producer::{Producer, build};
use crate::runner::{TestResult, tests};

tests![
    in_kafka_3_0_0_each_missing_permission_has_its_error,
    in_the_newest_kafka_each_missing_permission_has_its_error,
    kafka_2_4_1_requires_no_cluster_permission_for_transactions,
];

const LISTENER: &str = "SASL_PLAINTEXT";
const PASSWORD: &str = "s3cret";
/// The users, named after their permissions. Each user has them on the transactional id of the same name.
const USERS: [&str; 3] = ["nothing", "describe", "all"];

fn in_kafka_3_0_0_each_missing_permission_has_its_error() -> TestResult {
    rights("3.0.0", "kafka.security.authorizer.AclAuthorizer")
}

fn in_the_newest_kafka_each_missing_permission_has_its_error() -> TestResult {
    rights(
        NEWEST,
        "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    )
}

/// Brokers before 2.8 require `IdempotentWrite` for idempotence without transactions; a permission on the transactional
/// id includes it.
fn kafka_2_4_1_requires_no_cluster_permission_for_transactions() -> TestResult {
    rights("2.4.1", "kafka.security.authorizer.AclAuthorizer")
}

fn options(version: &str, authorizer: &str) -> ClusterOptions {
    let users = USERS
        .map(|user| format!(" user_{user}=\"{PASSWORD}\""))
        .concat();
    let login = format!("org.apache.kafka.common.security.plain.PlainLoginModule required{users};");
    ClusterOptions::default()
        .version(version)
        .listener(LISTENER)
        .config("sasl.enabled.mechanisms", "PLAIN")
        .config(
            "listener.name.sasl_plaintext.plain.sasl.jaas.config",
            &login,
        )
        .config("authorizer.class.name", authorizer)
        .config("super.users", "User:ANONYMOUS")
}

fn allow(cluster: &Cluster, user: &str, operation: &str, resource: [&str; 2]) -> TestResult {
    let principal = format!("User:{user}");
    let mut arguments = vec!["--add", "--allow-principal", &principal];
    arguments.extend(["--operation", operation, resource[0], resource[1]]);
    Ok(cluster.run_admin_tool("kafka.admin.AclCommand", &arguments)?)
}

fn config(cluster: &Cluster, user: &str) -> ProducerConfigBuilder {
    let servers = cluster.bootstrap_servers_of(LISTENER);
    transactional(&servers.expect("the listener is configured"), user)
        .security_protocol(SecurityProtocol::SaslPlaintext)
        .sasl_plain(user, PASSWORD)
        .max_block(Duration::from_secs(20))
}

fn rights(version: &str, authorizer: &str) -> TestResult {
    let cluster = Cluster::start(options(version, authorizer))?;
    for topic in ["mine", "seen", "hidden"] {
        cluster.create_topic(topic, 1, &[])?;
    }
    allow(
        &cluster,
        "describe",
        "Describe",
        ["--transactional-id", "describe"],
    )?;
    allow(&cluster, "all", "Write", ["--transactional-id", "all"])?;
    allow(&cluster, "all", "Write", ["--topic", "mine"])?;
    allow(&cluster, "all", "Read", ["--topic", "mine"])?;
    allow(&cluster, "all", "Describe", ["--topic", "seen"])?;
    allow(&cluster, "all", "Read", ["--group", "mine"])?;
    transactional_id(&cluster)?;
    time_out(&cluster)?;
    let producer = build(config(&cluster, "all"))?;
    producer.init_transactions()?;
    topics(&producer)?;
    offsets(&cluster, &producer)?;
    assert_eq!(committed(&cluster, "mine")?, ["kept"; 5]);
    producer.close()?;
    Ok(())
}

/// Without Describe on the transactional id the producer finds no coordinator, and without Write it gets no producer
/// id. Both errors are fatal.
fn transactional_id(cluster: &Cluster) -> TestResult {
    for user in ["nothing", "describe"] {
        let producer = build(config(cluster, user))?;
        let error = refused(user, producer.init_transactions());
        let code = ErrorCode::TransactionalIdAuthorizationFailed;
        assert_eq!(
            (error.kind(), error.code()),
            (TransactionErrorKind::Fatal, Some(code))
        );
        let text = error.to_string();
        assert!(text.contains(user) && text.contains("rant"), "{text}");
        let again = [producer.init_transactions(), producer.begin_transaction()];
        for result in again {
            assert!(
                result.as_ref().is_err_and(TransactionError::is_fatal),
                "{result:?}"
            );
        }
        producer.close()?;
    }
    Ok(())
}

/// The default `transaction.max.timeout.ms` of brokers is 15 minutes.
fn time_out(cluster: &Cluster) -> TestResult {
    let producer = build(config(cluster, "all").set("transaction.timeout.ms", "900001"))?;
    let error = refused(
        "a transaction timeout that is too long",
        producer.init_transactions(),
    );
    let code = ErrorCode::InvalidTransactionTimeout;
    assert_eq!(
        (error.kind(), error.code()),
        (TransactionErrorKind::Fatal, Some(code))
    );
    let text = error.to_string();
    assert!(
        text.contains("900001") && text.contains("transaction.max.timeout.ms"),
        "{text}"
    );
    producer.close()?;
    Ok(())
}

/// Checks that the next transaction succeeds.
fn check_next_transaction(producer: &Producer) -> TestResult {
    producer.begin_transaction()?;
    send_all(producer, "mine", &["kept"])?;
    producer.commit_transaction()?;
    Ok(())
}

/// A record for a topic without permission makes the transaction abortable, but does not make the producer fail.
/// Transactions need no permission on the cluster.
fn topics(producer: &Producer) -> TestResult {
    check_next_transaction(producer)?;
    for topic in ["seen", "hidden"] {
        producer.begin_transaction()?;
        send_all(producer, "mine", &["dropped"])?;
        let sent = producer.send(ProducerRecord::new(topic, &b"dropped"[..]));
        let error = match sent {
            Ok(future) => future.get().expect_err("it may not be written").to_string(),
            Err(error) => error.to_string(),
        };
        println!("    {topic}: {error}");
        let error = refused(topic, producer.commit_transaction());
        assert!(
            error.is_abortable() && error.to_string().contains(topic),
            "{error}"
        );
        let text = error.to_string();
        assert!(text.contains("Write"), "{text}");
        producer.abort_transaction()?;
        check_next_transaction(producer)?;
    }
    Ok(())
}

fn offsets(cluster: &Cluster, producer: &Producer) -> TestResult {
    // Topic, group, error code, and the name that the error contains.
    let cases = [
        (
            "mine",
            "theirs",
            ErrorCode::GroupAuthorizationFailed,
            "theirs",
        ),
        ("seen", "mine", ErrorCode::TopicAuthorizationFailed, "seen"),
    ];
    for (topic, group, code, culprit) in cases {
        producer.begin_transaction()?;
        send_all(producer, "mine", &["dropped"])?;
        let offset = (TopicPartition::new(topic, 0), OffsetAndMetadata::new(7));
        let result = producer.send_offsets_to_transaction([offset], group);
        let error = refused(&format!("offsets of {topic} for {group}"), result);
        assert_eq!(
            (error.kind(), error.code()),
            (TransactionErrorKind::Abortable, Some(code))
        );
        let text = error.to_string();
        assert!(text.contains(culprit) && text.contains("rant"), "{text}");
        let error = refused("its commit", producer.commit_transaction());
        assert!(error.is_abortable(), "{error}");
        producer.abort_transaction()?;
        check_next_transaction(producer)?;
    }
    assert_eq!(cluster.committed_offsets("mine", "seen")?, []);
    let offset = (TopicPartition::new("mine", 0), OffsetAndMetadata::new(7));
    producer.begin_transaction()?;
    producer.send_offsets_to_transaction([offset], "mine")?;
    producer.commit_transaction()?;
    assert_eq!(
        cluster.committed_offsets("mine", "mine")?,
        [(0, 7, String::new())]
    );
    Ok(())
}
