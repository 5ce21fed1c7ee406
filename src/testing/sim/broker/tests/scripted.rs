//! Effects of scripted rules on responses, over bytes.

use std::time::Duration;

use super::*;
use crate::protocol::InitProducerIdResponse;
use crate::testing::script::{AndThen, Api, MetadataSnapshot, Refusal, Rule};

fn scripted<const N: usize>(rules: [Rule; N]) -> SimCluster {
    let mut cluster = cluster(2);
    cluster
        .create_topic("t", 2, TopicSettings::DEFAULT)
        .unwrap();
    for rule in rules {
        cluster.script().add(rule);
    }
    cluster
}

fn plan(cluster: &mut SimCluster, node: NodeId, request: &Request, version: i16) -> Plan {
    let frame = request
        .encode(version, 42, Some("test"))
        .unwrap()
        .to_payload();
    cluster.handle(node, &frame, NOW)
}

fn to_leader(acks: i16) -> Request {
    Request::Produce(produce_request(acks, vec![("t", 0, Some(some_batch()))]))
}

fn written(cluster: &SimCluster) -> u64 {
    cluster.partition("t", 0).unwrap().log.size().records
}

fn init() -> Request {
    Request::InitProducerId(InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 1000,
        producer_id: -1,
        producer_epoch: -1,
    })
}

fn init_answer(cluster: &mut SimCluster) -> InitProducerIdResponse {
    match ask(cluster, 0, &init(), 4) {
        Response::InitProducerId(response) => response,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_scripted_error_applies_before_or_after_the_write() {
    for (after, records) in [(false, 0), (true, 2)] {
        for version in 3..=9 {
            let mut rule = Rule::on(Api::Produce)
                .fail(ErrorCode::RequestTimedOut)
                .times(1);
            if after {
                rule = rule.after_applying();
            }
            let mut cluster = scripted([rule]);
            let mut answer =
                || produce(&mut cluster, 0, vec![("t", 0, Some(some_batch()))], version);
            assert_eq!(answer()[0].error, ErrorCode::RequestTimedOut);
            let again = answer();
            assert_eq!(again[0].error, ErrorCode::NoError);
            assert_eq!(again[0].base_offset, records);
        }
    }
}

#[test]
fn an_error_has_the_fields_of_its_version() {
    let refusal = Refusal::new(ErrorCode::InvalidRecord)
        .message("all of it")
        .record(1, "this one")
        .log_start_offset(7);
    let mut cluster = scripted([Rule::on(Api::Produce).fail(refusal)]);
    let mut answer =
        |version| produce(&mut cluster, 0, vec![("t", 0, Some(some_batch()))], version).remove(0);
    let new = answer(8);
    assert_eq!((new.base_offset, new.log_start_offset), (-1, 7));
    assert_eq!(new.error_message.as_deref(), Some("all of it"));
    assert_eq!(new.record_errors[0].batch_index, 1);
    assert_eq!(new.record_errors[0].message.as_deref(), Some("this one"));
    let old = answer(7);
    assert_eq!(old.error, ErrorCode::InvalidRecord);
    assert!(old.error_message.is_none() && old.record_errors.is_empty());
}

#[test]
fn an_error_for_one_partition_does_not_affect_the_others() {
    let mut cluster = scripted([Rule::on(Api::Produce)
        .partition("t", 0)
        .fail(ErrorCode::KafkaStorageError)]);
    cluster.move_leader("t", 1, 0).unwrap();
    let batches = vec![("t", 0, Some(some_batch())), ("t", 1, Some(some_batch()))];
    let answer = produce(&mut cluster, 0, batches, 9);
    assert_eq!(
        [answer[0].error, answer[1].error],
        [ErrorCode::KafkaStorageError, ErrorCode::NoError]
    );
}

#[test]
fn with_acks_0_an_error_closes_the_connection() {
    let mut cluster = scripted([Rule::on(Api::Produce)
        .fail(ErrorCode::RequestTimedOut)
        .times(1)]);
    let plan = plan(&mut cluster, 0, &to_leader(0), 9);
    assert!(matches!(plan.answer, Answer::Close), "{plan:?}");
}

#[test]
fn a_connection_is_closed_or_stalls_before_or_after_the_request_is_applied() {
    let on = || Rule::on(Api::Produce).times(1);
    let mut cluster = scripted([
        on().close(),
        on().never_answer(),
        on().close().after_applying(),
        on().never_answer().after_applying(),
    ]);
    let mut next = |expected: u64| {
        let answer = plan(&mut cluster, 0, &to_leader(-1), 9).answer;
        assert_eq!(written(&cluster), expected);
        answer
    };
    assert!(matches!(next(0), Answer::Close));
    assert!(matches!(next(0), Answer::Stall));
    assert!(matches!(next(2), Answer::Close));
    assert!(matches!(next(4), Answer::Stall));
    assert!(matches!(next(6), Answer::Reply(_)));
}

#[test]
fn a_cut_response_has_the_scripted_length_and_its_request_is_applied() {
    let mut cluster = scripted([
        Rule::on(Api::Produce)
            .times(1)
            .cut_answer(9, AndThen::Silence),
        Rule::on(Api::Produce)
            .times(1)
            .cut_answer(0, AndThen::Close),
    ]);
    let answer = plan(&mut cluster, 0, &to_leader(-1), 9).answer;
    assert!(
        matches!(
            &answer,
            Answer::Part { frame, bytes: 9, then: AndThen::Silence } if frame.len() > 9
        ),
        "{answer:?}"
    );
    assert_eq!(written(&cluster), 2);
    let answer = plan(&mut cluster, 0, &to_leader(-1), 9).answer;
    assert!(matches!(answer, Answer::Close), "{answer:?}");
    assert_eq!(written(&cluster), 4);
}

#[test]
fn a_delayed_response_does_not_delay_its_request() {
    let delay = Duration::from_secs(3);
    let mut cluster = scripted([Rule::on(Api::Produce).delay(delay)]);
    let delayed = plan(&mut cluster, 0, &to_leader(-1), 9);
    assert_eq!(delayed.delay, delay);
    assert_eq!(written(&cluster), 2);
    assert_eq!(plan(&mut cluster, 0, &init(), 4).delay, Duration::ZERO);
}

#[test]
fn every_response_can_carry_a_throttle_time() {
    let mut cluster = scripted([Rule::on_any().throttle(Duration::from_millis(70))]);
    let versions = Request::ApiVersions(ApiVersionsRequest::ours());
    let topics = MetadataRequest {
        topics: None,
        allow_auto_topic_creation: true,
    };
    for (request, version) in [
        (to_leader(-1), 9),
        (Request::Metadata(topics), 11),
        (versions, 3),
        (init(), 4),
    ] {
        let plan = plan(&mut cluster, 0, &request, version);
        assert_eq!(plan.delay, Duration::ZERO);
        assert_eq!(plan.pause, Duration::from_millis(70));
        let Answer::Reply(reply) = plan.answer else {
            panic!()
        };
        let response = decode(request.api_key(), version, &reply);
        assert_eq!(response.throttle_time_ms(), 70);
    }
    let old = plan(&mut cluster, 0, &to_leader(-1), 5);
    assert_eq!(old.delay, Duration::from_millis(70));
    assert_eq!(old.pause, Duration::ZERO);
}

#[test]
fn a_scripted_error_applies_before_or_after_allocating_a_producer_id() {
    let on = || Rule::on(Api::InitProducerId).fail(ErrorCode::CoordinatorLoadInProgress);
    let ids = |rule: Rule| {
        let mut cluster = scripted([rule.skip(1).times(1)]);
        let first = init_answer(&mut cluster).producer_id;
        let refused = init_answer(&mut cluster);
        assert_eq!(refused.error, ErrorCode::CoordinatorLoadInProgress);
        assert_eq!(refused.producer_id, -1);
        init_answer(&mut cluster).producer_id - first
    };
    assert_eq!(ids(on()), 1);
    assert_eq!(ids(on().after_applying()), 2);
}

#[test]
fn metadata_gives_errors_to_topics_and_to_partitions() {
    let mut cluster = scripted([
        Rule::on(Api::Metadata)
            .partition("t", 1)
            .fail(ErrorCode::LeaderNotAvailable),
        Rule::on(Api::Metadata)
            .partition("t", 0)
            .fail(ErrorCode::ReplicaNotAvailable),
        Rule::on(Api::Metadata)
            .topic("u")
            .fail(ErrorCode::TopicAuthorizationFailed),
    ]);
    cluster
        .create_topic("u", 1, TopicSettings::DEFAULT)
        .unwrap();
    for names in [None, Some(&["t", "u"][..])] {
        let topics = metadata(&mut cluster, names, 11).topics;
        let of = |index: usize| {
            let partition = &topics[0].partitions[index];
            (partition.error, partition.leader_id)
        };
        assert_eq!(topics[0].error, ErrorCode::NoError);
        assert_eq!(of(0), (ErrorCode::ReplicaNotAvailable, 0));
        assert_eq!(of(1), (ErrorCode::LeaderNotAvailable, -1));
        assert_eq!(topics[1].error, ErrorCode::TopicAuthorizationFailed);
        assert!(topics[1].partitions.is_empty());
    }
}

#[test]
fn a_topic_with_a_metadata_error_is_created_only_if_the_rule_applies_afterwards() {
    for (after, exists) in [(false, false), (true, true)] {
        let mut rule = Rule::on(Api::Metadata).fail(ErrorCode::LeaderNotAvailable);
        if after {
            rule = rule.after_applying();
        }
        let mut cluster = scripted([rule]);
        cluster.options.auto_create_topics = true;
        let answer = metadata(&mut cluster, Some(&["new"]), 11);
        assert_eq!(answer.topics[0].error, ErrorCode::LeaderNotAvailable);
        assert_eq!(cluster.topic("new").is_ok(), exists);
    }
}

#[test]
fn a_node_answers_as_of_a_snapshot_and_the_others_as_of_now() {
    let mut cluster = scripted([]);
    cluster
        .create_topic("gone", 1, TopicSettings::DEFAULT)
        .unwrap();
    cluster.options.auto_create_topics = true;
    let before = MetadataSnapshot(Arc::new(cluster.metadata_picture()));
    let stale = Rule::on(Api::Metadata).node(0).answer_as_of(&before);
    let (id, _) = cluster.script().add(stale);
    cluster.move_leader("t", 0, 1).unwrap();
    cluster.delete_topic("gone").unwrap();
    cluster.node_down(1);
    let old = metadata(&mut cluster, Some(&["t", "gone", "new"]), 11);
    assert_eq!(old.brokers.len(), 2);
    let of = |name: &str| {
        old.topics
            .iter()
            .find(|topic| &*topic.name == name)
            .unwrap()
    };
    assert_eq!(of("t").partitions[0].leader_id, 0);
    assert_eq!(of("gone").error, ErrorCode::NoError);
    assert_eq!(of("new").error, ErrorCode::UnknownTopicOrPartition);
    assert!(cluster.topic("new").is_err());
    assert_eq!(metadata(&mut cluster, None, 11).topics.len(), 2);
    assert!(cluster.script().remove(id));
    let now = metadata(&mut cluster, Some(&["t"]), 11);
    assert_eq!(now.brokers.len(), 1);
    assert_eq!(now.topics[0].partitions[0].leader_id, 0);
}

#[test]
fn a_rule_limits_the_versions_that_a_node_reports_and_accepts() {
    let mut cluster = scripted([
        Rule::on(Api::Produce).versions(..=3),
        Rule::on(Api::InitProducerId).node(0).unsupported(),
    ]);
    let request = Request::ApiVersions(ApiVersionsRequest::ours());
    let mut told = |node| match ask(&mut cluster, node, &request, 3) {
        Response::ApiVersions(response) => response
            .api_keys
            .iter()
            .map(|range| (range.api_key, range.min, range.max))
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let mut left = vec![
        (0, 0, 3),
        (1, 0, 12),
        (3, 0, 11),
        (10, 0, 4),
        (17, 0, 1),
        (18, 0, 3),
        (24, 0, 3),
        (25, 0, 3),
        (26, 0, 3),
        (28, 0, 3),
        (36, 0, 2),
    ];
    assert_eq!(told(0), left);
    left.insert(6, (22, 0, 4));
    assert_eq!(told(1), left);
    let mut is_closed = |node, request: &Request, version| {
        matches!(
            plan(&mut cluster, node, request, version).answer,
            Answer::Close
        )
    };
    assert!(!is_closed(0, &to_leader(-1), 3));
    assert!(is_closed(0, &to_leader(-1), 4));
    assert!(is_closed(0, &init(), 0));
    assert!(!is_closed(1, &init(), 4));
}

/// KIP-511
#[test]
fn an_older_broker_answers_api_versions_in_version_0_with_its_versions() {
    let mut cluster = scripted([Rule::on(Api::ApiVersions).versions(..=2)]);
    let request = Request::ApiVersions(ApiVersionsRequest::ours());
    let Answer::Reply(reply) = plan(&mut cluster, 0, &request, 3).answer else {
        panic!()
    };
    let Response::ApiVersions(response) = decode(ApiKey::ApiVersions, 0, &reply) else {
        panic!()
    };
    assert_eq!(response.error, ErrorCode::UnsupportedVersion);
    assert_eq!(response.api_keys.len(), 1);
    assert_eq!((response.api_keys[0].min, response.api_keys[0].max), (0, 2));
    // Brokers before 0.10 do not have this request.
    cluster.script().clear();
    cluster
        .script()
        .add(Rule::on(Api::ApiVersions).unsupported());
    let answer = plan(&mut cluster, 0, &request, 3).answer;
    assert!(matches!(answer, Answer::Close), "{answer:?}");
}

#[test]
fn a_hung_node_processes_nothing_until_it_is_resumed() {
    let mut cluster = scripted([]);
    assert!(cluster.hang(0) && !cluster.hang(0));
    let mut answer = |node| plan(&mut cluster, node, &to_leader(-1), 9).answer;
    assert!(matches!(answer(0), Answer::Hang));
    assert!(matches!(answer(1), Answer::Reply(_)));
    assert_eq!(written(&cluster), 0);
    assert_eq!(cluster.requests().get(&ApiKey::Produce), Some(&1));
    assert!(cluster.resume(0) && !cluster.resume(0));
    let answer = plan(&mut cluster, 0, &to_leader(-1), 9).answer;
    assert!(matches!(answer, Answer::Reply(_)));
    assert_eq!(written(&cluster), 2);
    // A restarted node does not hang.
    cluster.hang(0);
    cluster.node_down(0);
    assert!(!cluster.hang(0));
    cluster.node_up(0);
    let answer = plan(&mut cluster, 0, &to_leader(-1), 9).answer;
    assert!(matches!(answer, Answer::Reply(_)));
}
