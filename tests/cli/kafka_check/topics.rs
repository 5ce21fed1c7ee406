//! The steps of topics and test records.

use kafka_producer::ErrorCode;
use kafka_producer::testing::{Api, KafkaRelease, Rule, TestCluster};

use super::{SOON, assert_says, line_of, run_on};

#[test]
fn a_missing_topic_is_a_failure_and_is_not_created() {
    let cluster = TestCluster::builder()
        .topic("orders", 1)
        .auto_create_topics(3)
        .start()
        .unwrap();
    for further in [&[][..], &["--send"]] {
        let ended = run_on(&cluster, &[&["--topic", "ordres"], further].concat());
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_says(&ended, &["topic ordres does not exist", "kafka-topics.sh"]);
        assert_eq!(cluster.leader("ordres", 0), None);
    }
}

/// Metadata requests before version 4 create the topics that they name, so none is named.
#[test]
fn old_brokers_are_not_made_to_create_a_topic_either() {
    for release in [KafkaRelease::V0_10_0, KafkaRelease::V0_10_2] {
        let cluster = TestCluster::builder()
            .release(release)
            .topic("orders", 2)
            .auto_create_topics(3)
            .start()
            .unwrap();
        let ended = run_on(&cluster, &["--topic", "orders", "--topic", "ordres"]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_says(
            &ended,
            &["2 partitions", "topic ordres does not exist", "Kafka 0.10."],
        );
        assert_eq!(cluster.leader("ordres", 0), None);
    }
}

#[test]
fn a_topic_without_permission_is_a_failure() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let refused = Rule::on(Api::Metadata)
        .topic("t")
        .always()
        .fail(ErrorCode::TopicAuthorizationFailed);
    cluster.script(refused).unwrap();
    let ended = run_on(&cluster, &["--topic", "t"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_says(
        &ended,
        &[
            "not authorized for topic t",
            "Describe and Write are needed",
        ],
    );
}

#[test]
fn partitions_without_a_leader_fail_and_lagging_replicas_are_a_warning() {
    let cluster = TestCluster::builder()
        .nodes(2)
        .topic("single", 4)
        .start()
        .unwrap();
    cluster.stop_node(1);
    let first = format!("127.0.0.1:{}", cluster.port(0).unwrap());
    let ended = super::run(&["--bootstrap-server", &first, "--topic", "single"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_says(
        &ended,
        &[
            "no leader: partitions",
            "unclean.leader.election.enable (topic)",
        ],
    );

    let cluster = TestCluster::builder()
        .nodes(2)
        .replication_factor(2)
        .topic("double", 2)
        .start()
        .unwrap();
    cluster.stop_node(1);
    let first = format!("127.0.0.1:{}", cluster.port(0).unwrap());
    let ended = super::run(&["--bootstrap-server", &first, "--topic", "double"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(line_of(&ended, "double").contains("warning"));
    assert_says(
        &ended,
        &[
            "replicas are not in sync: partitions 0-1",
            "min.insync.replicas (topic)",
        ],
    );
}

#[test]
fn a_record_that_is_refused_is_a_failure_with_its_reason() {
    for (code, words) in [
        (ErrorCode::TopicAuthorizationFailed, "no ACL Write"),
        (ErrorCode::NotEnoughReplicas, "min.insync.replicas (topic)"),
    ] {
        let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
        cluster
            .script(Rule::on(Api::Produce).always().fail(code))
            .unwrap();
        let ended = run_on(
            &cluster,
            &["--topic", "t", "--send", "--timeout-ms", "2000"],
        );
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.took < SOON, "{ended:?}");
        assert_says(&ended, &[words, "1 step failed."]);
        assert_eq!(cluster.record_count("t"), 0);
    }
}

#[test]
fn a_record_that_this_client_refuses_is_not_blamed_on_the_leader() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let small = ["--producer-property", "max.request.size=10"];
    let ended = run_on(
        &cluster,
        &[&["--topic", "t", "--send"][..], &small].concat(),
    );
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_says(&ended, &["t failed", "max.request.size (client)"]);
    assert!(
        !super::flowing(&ended).contains("leader of the"),
        "{ended:?}"
    );
}

#[test]
fn a_record_without_an_answer_fails_by_the_time_limit() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    cluster
        .script(Rule::on(Api::Produce).always().never_answer())
        .unwrap();
    let ended = run_on(
        &cluster,
        &["--topic", "t", "--send", "--timeout-ms", "2000"],
    );
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.took < SOON, "{ended:?}");
    assert_says(&ended, &["t failed", "may have been written"]);
}
