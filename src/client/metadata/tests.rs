use super::*;
use crate::clock::log_limit::LogLimit;
use crate::protocol::MetadataBroker;
use crate::types::{PartitionInfo, ReplicaLists, TopicPartition};

const BACKOFF: Duration = Duration::from_millis(100);
const MAX_AGE: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Instant {
    Instant::from_nanos(1_000_000_000_000).saturating_add(Duration::from_millis(millis))
}

fn metadata() -> Metadata {
    Metadata::new(BACKOFF, MAX_AGE)
}

fn wait(metadata: &Metadata, now: Instant) -> u128 {
    metadata
        .time_to_next_update(now)
        .remaining(now)
        .unwrap()
        .as_millis()
}

fn partition(index: i32, leader_id: i32, leader_epoch: i32) -> MetadataPartition {
    MetadataPartition {
        error: ErrorCode::NoError,
        index,
        leader_id,
        leader_epoch,
        replicas: ReplicaLists::new(&[1, 2], &[1], &[2]),
    }
}

fn topic(name: &str, partitions: Vec<MetadataPartition>) -> MetadataTopic {
    MetadataTopic {
        error: ErrorCode::NoError,
        name: name.into(),
        topic_id: [0; 16],
        is_internal: false,
        partitions,
    }
}

fn with_id(name: &str, id: u8, epoch: i32) -> MetadataTopic {
    MetadataTopic {
        topic_id: [id; 16],
        ..topic(name, vec![partition(0, 1, epoch)])
    }
}

fn failed_topic(name: &str, error: ErrorCode) -> MetadataTopic {
    MetadataTopic {
        error,
        ..topic(name, Vec::new())
    }
}

fn response(topics: Vec<MetadataTopic>) -> MetadataResponse {
    let brokers = [1, 2].map(|node_id| MetadataBroker {
        node_id,
        host: format!("host-{node_id}").into(),
        port: 9092,
        rack: None,
    });
    MetadataResponse {
        throttle_time_ms: 0,
        brokers: brokers.into(),
        cluster_id: Some("c".into()),
        controller_id: 2,
        topics,
    }
}

/// Applies a response of version 11, whose request covers all topics requested so far.
fn update(metadata: &mut Metadata, is_partial: bool, topics: Vec<MetadataTopic>, now: Instant) {
    let planned = PlannedUpdate {
        is_partial,
        request_version: metadata.request_version(),
    };
    let _update = metadata.update(planned, 11, response(topics), now, &mut |_| true);
}

fn full(metadata: &mut Metadata, topics: Vec<MetadataTopic>) {
    update(metadata, false, topics, at(0));
}

fn partial(metadata: &mut Metadata, topics: Vec<MetadataTopic>) {
    update(metadata, true, topics, at(0));
}

fn info<'a>(metadata: &'a Metadata, topic: &str, number: i32) -> Option<&'a PartitionInfo> {
    metadata
        .cluster()
        .partition(&TopicPartition::new(topic, number))
}

fn epoch(metadata: &Metadata, topic: &str) -> Option<i32> {
    metadata.leader_epoch(&topic.into(), 0)
}

/// Java: MetadataTest#testUpdateMetadataAllowedImmediatelyAfterBootstrap, MD-23
#[test]
fn after_bootstrap_an_update_is_due_at_once() {
    let mut metadata = metadata();
    metadata.bootstrap(vec![Node::new(-1, "a", 9092)]);
    assert!(metadata.cluster().is_bootstrap());
    assert_eq!(wait(&metadata, at(0)), 0);
    assert_eq!(metadata.update_version(), 1);
    assert!(metadata.is_update_requested() && !metadata.is_partial_update_due(at(0)));
}

/// Java: MetadataTest#testTimeToNextUpdate, MD-4
#[test]
fn the_next_update_is_due_when_metadata_expires_or_if_requested_after_the_backoff() {
    for (backoff, max_age) in [(100, 1_000), (1_000, 100), (0, 0), (0, 100), (100, 0)] {
        let [backoff_time, age] = [backoff, max_age].map(Duration::from_millis);
        let mut metadata = Metadata::new(backoff_time, age);
        // The shortest back-off is 10 ms: at most 100 requests a second.
        let backoff = backoff.max(10);
        assert_eq!(wait(&metadata, at(0)), 0);
        full(&mut metadata, Vec::new());
        assert_eq!(wait(&metadata, at(0)), u128::from(backoff.max(max_age)));
        metadata.request_update();
        assert_eq!(wait(&metadata, at(0)), u128::from(backoff));
        full(&mut metadata, Vec::new());
        assert_eq!(wait(&metadata, at(0)), u128::from(backoff.max(max_age)));
        assert_eq!(wait(&metadata, at(backoff.max(max_age))), 0);
        assert_eq!(wait(&metadata, at(backoff.max(max_age) + 1)), 0);
    }
}

#[test]
fn with_an_unlimited_max_age_metadata_never_expires() {
    let mut metadata = Metadata::new(BACKOFF, Duration::MAX);
    full(&mut metadata, Vec::new());
    assert_eq!(metadata.time_to_next_update(at(0)), Deadline::Never);
}

/// Java: MetadataTest#testTimeToNextUpdateRetryBackoff, #testFailedUpdate, MD-5
#[test]
fn a_failed_update_is_followed_by_the_backoff_and_keeps_the_cluster() {
    let mut metadata = metadata();
    full(&mut metadata, vec![topic("t", vec![partition(0, 1, 5)])]);
    metadata.request_update();
    metadata.update_failed(at(500), MetadataFailure::Disconnected("gone".into()));
    assert_eq!(wait(&metadata, at(500)), 100);
    assert_eq!(wait(&metadata, at(600)), 0);
    assert_eq!(metadata.update_version(), 1);
    assert!(info(&metadata, "t", 0).is_some());
    assert_eq!(
        metadata.last_failure(),
        Some(&MetadataFailure::Disconnected("gone".into()))
    );
    full(&mut metadata, Vec::new());
    assert_eq!(metadata.last_failure(), None);
}

/// Java: MetadataTest#testRequestUpdate, #testRequestVersion, MD-1, MD-3
#[test]
fn the_response_to_an_older_request_does_not_complete_newer_partial_updates() {
    let mut metadata = metadata();
    assert_eq!(metadata.request_update(), 0);
    full(&mut metadata, Vec::new());
    assert!(!metadata.is_update_requested());
    assert_eq!(metadata.request_update_for_new_topics(), 1);
    let asked = PlannedUpdate {
        is_partial: true,
        request_version: metadata.request_version(),
    };
    metadata.request_update_for_new_topics();
    let _update = metadata.update(asked, 11, response(Vec::new()), at(0), &mut |_| true);
    assert!(metadata.is_update_requested());
    partial(&mut metadata, Vec::new());
    assert!(!metadata.is_update_requested());
    assert_eq!(metadata.update_version(), 3);
}

/// Regression: the first record of a producer waited for the back-off after the first, topicless request.
#[test]
fn a_new_topic_that_the_in_flight_request_does_not_list_is_requested_without_backoff() {
    let mut metadata = metadata();
    metadata.bootstrap(vec![Node::new(-1, "a", 9092)]);
    let under_way = PlannedUpdate {
        is_partial: false,
        request_version: metadata.request_version(),
    };
    metadata.request_update_for_new_topics();
    let _update = metadata.update(under_way, 11, response(Vec::new()), at(5), &mut |_| true);
    assert_eq!(wait(&metadata, at(5)), 0);
    update(&mut metadata, true, Vec::new(), at(7));
    assert_eq!(wait(&metadata, at(7)), 998, "no topic is left to request");
    // Topics that were requested before wait for the back-off.
    metadata.request_update_for_topics();
    assert_eq!(wait(&metadata, at(8)), 99);
    // So does a new topic after a failed attempt.
    metadata.request_update_for_new_topics();
    assert_eq!(wait(&metadata, at(8)), 0);
    metadata.update_failed(at(9), MetadataFailure::NoBrokers);
    assert_eq!(wait(&metadata, at(9)), 100);
}

/// An application may send each record to a new topic, without waiting in between.
#[test]
fn new_topics_are_rate_limited() {
    let mut metadata = Metadata::new(BACKOFF, Duration::from_secs(300));
    full(&mut metadata, Vec::new());
    let mut asked = Vec::new();
    for millis in 1..3_000 {
        metadata.request_update_for_new_topics();
        let waits = wait(&metadata, at(millis));
        assert!(waits <= 10, "{waits}");
        if waits == 0 {
            asked.push(millis);
            update(&mut metadata, true, Vec::new(), at(millis));
        }
    }
    let within = |from: u64| {
        asked
            .iter()
            .filter(move |at| (from..from + 1_000).contains(*at))
    };
    let most = (0..2_000).map(|from| within(from).count()).max().unwrap();
    assert!((100..=150).contains(&most), "{most}");
    // After the window there is no back-off again.
    for millis in 4_000..4_049 {
        metadata.request_update_for_new_topics();
        assert_eq!(wait(&metadata, at(millis)), 0);
        update(&mut metadata, true, Vec::new(), at(millis));
    }
}

/// Java: MetadataTest#testPartialMetadataUpdate, MD-6, MD-7
#[test]
fn a_partial_update_neither_completes_a_full_one_nor_resets_the_metadatas_age() {
    let mut metadata = metadata();
    full(&mut metadata, Vec::new());
    metadata.request_update_for_new_topics();
    assert_eq!(
        wait(&metadata, at(10)),
        0,
        "new topics do not wait for the backoff"
    );
    assert!(metadata.is_partial_update_due(at(10)));
    update(&mut metadata, true, Vec::new(), at(500));
    assert_eq!(wait(&metadata, at(500)), 500);
    metadata.request_update_for_new_topics();
    metadata.request_update();
    assert!(!metadata.is_partial_update_due(at(600)));
    update(&mut metadata, true, Vec::new(), at(600));
    assert!(metadata.is_update_requested());
    update(&mut metadata, false, Vec::new(), at(700));
    assert!(!metadata.is_update_requested());
    metadata.request_update_for_new_topics();
    assert!(
        !metadata.is_partial_update_due(at(1_700)),
        "the rest is too old as well"
    );
}

/// Java: MetadataTest#testIgnoreLeaderEpochInOlderMetadataResponse, MD-15, MD-17
#[test]
fn leader_epochs_of_older_response_versions_are_ignored() {
    let mut metadata = metadata();
    let planned = PlannedUpdate {
        is_partial: false,
        request_version: 0,
    };
    for (version, known) in [(8, None), (9, Some(10)), (11, Some(10)), (7, None)] {
        let answer = response(vec![topic("t", vec![partition(0, 1, 10)])]);
        let _update = metadata.update(planned, version, answer, at(0), &mut |_| true);
        assert_eq!(epoch(&metadata, "t"), known, "version {version}");
        assert_eq!(
            info(&metadata, "t", 0).unwrap().leader_epoch,
            known.unwrap_or(-1)
        );
    }
}

/// Java: MetadataTest#testStaleMetadata, #testRejectOldMetadata, #testOutOfBandEpochUpdate, MD-15
#[test]
fn a_partition_with_a_stale_leader_epoch_is_not_updated() {
    let mut metadata = metadata();
    full(&mut metadata, vec![topic("t", vec![partition(0, 1, 10)])]);
    full(&mut metadata, vec![topic("t", vec![partition(0, 2, 9)])]);
    assert_eq!(info(&metadata, "t", 0).unwrap().leader().unwrap().id(), 1);
    assert_eq!(epoch(&metadata, "t"), Some(10));
    full(&mut metadata, vec![topic("t", vec![partition(0, 2, 10)])]);
    assert_eq!(info(&metadata, "t", 0).unwrap().leader().unwrap().id(), 2);
    full(&mut metadata, vec![topic("t", vec![partition(0, 1, 12)])]);
    assert_eq!(epoch(&metadata, "t"), Some(12));
}

/// Java: MetadataTest#testNoEpoch
#[test]
fn a_partition_without_leader_epoch_is_always_updated() {
    let mut metadata = metadata();
    full(&mut metadata, vec![topic("t", vec![partition(0, 1, -1)])]);
    assert_eq!(epoch(&metadata, "t"), None);
    assert_eq!(info(&metadata, "t", 0).unwrap().leader_epoch, -1);
    assert_eq!(metadata.leader_epoch(&"other".into(), 0), None);
}

/// Java: MetadataTest#testEpochUpdateOnChangedTopicIds, MD-16; KAFKA-13488 and KAFKA-12257: a producer never updated
/// the leaders of a recreated topic.
#[test]
fn the_leader_epochs_of_a_recreated_topic_start_again() {
    let mut metadata = metadata();
    full(&mut metadata, vec![with_id("t", 1, 100)]);
    full(&mut metadata, vec![with_id("t", 1, 5)]);
    assert_eq!(epoch(&metadata, "t"), Some(100), "the same topic");
    full(&mut metadata, vec![with_id("t", 2, 5)]);
    assert_eq!(epoch(&metadata, "t"), Some(5), "another id");
    // While the topic does not exist, its id is removed and its epochs are kept.
    full(
        &mut metadata,
        vec![failed_topic("t", ErrorCode::UnknownTopicOrPartition)],
    );
    full(&mut metadata, vec![with_id("t", 3, 1)]);
    assert_eq!(epoch(&metadata, "t"), Some(1), "no id was known");
    assert!(info(&metadata, "t", 0).is_some());
    // Without topic ids a recreated topic cannot be detected.
    full(&mut metadata, vec![topic("t", vec![partition(0, 1, 0)])]);
    assert_eq!(epoch(&metadata, "t"), Some(1));
}

fn partition_count(metadata: &Metadata) -> usize {
    metadata.cluster().partition_count("t").unwrap()
}

/// In Java a new partition is dropped if its epoch is lower than that of the deleted one, and keyed records go to other
/// partitions than before.
#[test]
fn a_recreated_topic_with_fewer_partitions_has_all_of_them_when_it_grows_again() {
    let with = |id: u8, epochs: &[i32]| {
        let partitions = (0..).zip(epochs);
        let partitions = partitions.map(|(number, epoch)| partition(number, 1, *epoch));
        MetadataTopic {
            topic_id: [id; 16],
            ..topic("t", partitions.collect())
        }
    };
    for (old, new) in [(1, 2), (0, 0)] {
        let mut metadata = metadata();
        full(&mut metadata, vec![with(old, &[7, 7, 7])]);
        full(&mut metadata, vec![with(new, &[7])]);
        assert_eq!(partition_count(&metadata), 1);
        full(&mut metadata, vec![with(new, &[7, 0, 0])]);
        assert_eq!(partition_count(&metadata), 3, "ids {old}, {new}");
    }
}

/// Two brokers with stale metadata may list different numbers of partitions.
#[test]
fn a_stale_epoch_is_accepted_for_a_partition_that_is_not_cached() {
    let mut metadata = metadata();
    let of = |epochs: [i32; 2]| {
        topic(
            "t",
            vec![partition(0, 1, epochs[0]), partition(1, 1, epochs[1])],
        )
    };
    full(&mut metadata, vec![of([5, 5])]);
    full(
        &mut metadata,
        vec![failed_topic("t", ErrorCode::LeaderNotAvailable)],
    );
    full(&mut metadata, vec![of([5, 4])]);
    assert_eq!(partition_count(&metadata), 2);
}

/// Java: MetadataTest#testInvalidTopicError, MD-13, KP-42
#[test]
fn an_invalid_topic_is_reported_to_all_calls_that_wait_when_the_response_arrives() {
    let mut metadata = metadata();
    let answer = || vec![failed_topic("?", ErrorCode::InvalidTopicException)];
    full(&mut metadata, answer());
    assert_eq!(
        metadata.cluster().invalid_topics().collect::<Vec<_>>(),
        ["?"]
    );
    assert_eq!(
        metadata.last_code("?"),
        Some(ErrorCode::InvalidTopicException)
    );
    assert_eq!(metadata.topic_error("t", 0), None);
    for _ in 0..3 {
        assert_eq!(metadata.topic_error("?", 0), Some(TopicError::Invalid));
        assert_eq!(metadata.topic_error("?", 1), None, "it may be mended");
    }
    full(&mut metadata, answer());
    full(&mut metadata, Vec::new());
    assert_eq!(
        metadata.topic_error("?", 1),
        Some(TopicError::Invalid),
        "they may not have looked yet"
    );
    assert_eq!(metadata.topic_error("?", 2), None);
    let known = metadata.cluster().invalid_topics();
    assert_eq!(known.collect::<Vec<_>>(), ["?"], "it was not asked for");
    full(&mut metadata, vec![topic("?", vec![partition(0, 1, 0)])]);
    assert_eq!(metadata.last_code("?"), None);
    assert_eq!(metadata.topic_error("?", 0), None, "it was mended");
    assert_eq!(metadata.cluster().invalid_topics().count(), 0);
}

/// Java: MetadataTest#testTopicAuthorizationError, #testMetadataTopicErrors
#[test]
fn each_topic_has_its_own_error() {
    let mut metadata = metadata();
    full(
        &mut metadata,
        vec![
            failed_topic("secret", ErrorCode::TopicAuthorizationFailed),
            failed_topic("?", ErrorCode::InvalidTopicException),
            failed_topic("later", ErrorCode::LeaderNotAvailable),
        ],
    );
    assert_eq!(
        metadata.topic_error("secret", 0),
        Some(TopicError::Unauthorized)
    );
    assert_eq!(metadata.topic_error("?", 0), Some(TopicError::Invalid));
    assert_eq!(metadata.topic_error("later", 0), None);
    assert_eq!(
        metadata.cluster().unauthorized_topics().collect::<Vec<_>>(),
        ["secret"]
    );
    assert_eq!(
        metadata.last_code("later"),
        Some(ErrorCode::LeaderNotAvailable)
    );
}

/// MD-12, MD-14. Differs: a topic's error requests no update; a call that waits for the topic does.
#[test]
fn invalid_metadata_errors_of_partitions_request_a_full_update_and_their_epochs_are_stored() {
    let mut metadata = metadata();
    for code in [
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::LeaderNotAvailable,
        ErrorCode::TopicAuthorizationFailed,
    ] {
        full(&mut metadata, vec![failed_topic("t", code)]);
        assert!(!metadata.is_update_requested(), "{code:?}");
    }
    let error = ErrorCode::LeaderNotAvailable;
    let leaderless = MetadataPartition {
        error,
        ..partition(0, -1, 7)
    };
    full(&mut metadata, vec![topic("t", vec![leaderless])]);
    assert!(metadata.is_update_requested());
    assert_eq!(epoch(&metadata, "t"), Some(7));
    assert_eq!(info(&metadata, "t", 0).unwrap().leader(), None);
}

/// Java: MetadataTest#testLeaderMetadataInconsistentWithBrokerMetadata,
/// MetadataCacheTest#testMissingLeaderEndpoint, MD-24, MD-25
#[test]
fn a_leader_that_is_not_among_the_brokers_is_none_and_partitions_are_in_order() {
    let mut metadata = metadata();
    full(
        &mut metadata,
        vec![topic("t", vec![partition(1, 9, 5), partition(0, 2, 5)])],
    );
    let partitions = metadata.cluster().partitions("t");
    assert_eq!(
        partitions
            .iter()
            .map(PartitionInfo::partition)
            .collect::<Vec<_>>(),
        [0, 1]
    );
    assert_eq!(partitions[1].leader(), None);
    assert_eq!(partitions[0].leader().unwrap().id(), 2);
    assert_eq!(partitions[0].replicas(), [1, 2]);
    assert_eq!(partitions[0].in_sync_replicas(), [1]);
    assert_eq!(partitions[0].offline_replicas(), [2]);
}

/// Java: MetadataTest#testClusterCopy
#[test]
fn the_cluster_snapshot_contains_all_fields_of_the_response() {
    let mut metadata = metadata();
    let internal = MetadataTopic {
        is_internal: true,
        ..topic("i", vec![partition(0, 1, 0)])
    };
    full(
        &mut metadata,
        vec![
            topic("t", vec![partition(0, 1, 0), partition(1, 2, 0)]),
            internal,
        ],
    );
    let cluster = metadata.cluster();
    assert_eq!(cluster.cluster_id(), Some("c"));
    assert_eq!(cluster.controller().unwrap().id(), 2);
    assert_eq!(cluster.nodes().len(), 2);
    assert_eq!(cluster.partition_count("t"), Some(2));
    let is_internal = |topic| cluster.topics.get(topic).unwrap().is_internal;
    assert!(is_internal("i") && !is_internal("t"));
}

/// Java: MetadataTest#testMetadataMerge, MD-8. Differs: evicted topics are removed by a full update only.
#[test]
fn a_partial_update_keeps_all_other_topics_and_a_full_one_removes_topics() {
    let mut metadata = metadata();
    let old = ["kept", "dropped", "renewed"].map(|name| topic(name, vec![partition(0, 1, 3)]));
    let mut answer: Vec<_> = old.into();
    answer.push(failed_topic("?", ErrorCode::InvalidTopicException));
    full(&mut metadata, answer);
    let mut planned = PlannedUpdate {
        is_partial: true,
        request_version: 0,
    };
    let renewed = || topic("renewed", vec![partition(0, 2, 4), partition(1, 1, 0)]);
    let answer = response(vec![renewed(), topic("foreign", vec![partition(0, 1, 0)])]);
    let mut retain = |name: &str| !matches!(name, "dropped" | "foreign");
    let _update = metadata.update(planned, 11, answer, at(0), &mut retain);
    let cluster = metadata.cluster();
    assert_eq!(cluster.partition_count("kept"), Some(1));
    assert_eq!(cluster.partition_count("dropped"), Some(1));
    assert_eq!(cluster.partition_count("foreign"), None, "MD-10");
    assert_eq!(cluster.partition_count("renewed"), Some(2));
    assert_eq!(cluster.invalid_topics().collect::<Vec<_>>(), ["?"]);
    planned.is_partial = false;
    let answer = response(vec![renewed(), topic("dropped", vec![partition(0, 1, 3)])]);
    let _update = metadata.update(planned, 11, answer, at(0), &mut retain);
    let cluster = metadata.cluster();
    assert_eq!(cluster.topics().collect::<Vec<_>>(), ["renewed"]);
    assert_eq!(epoch(&metadata, "dropped"), None, "MD-18");
    assert_eq!(epoch(&metadata, "kept"), Some(3));
}

/// The topics of a partial response replace the cached ones: a topic with an error is removed (MD-8).
#[test]
fn a_topic_that_a_partial_update_has_an_error_for_is_not_kept() {
    let mut metadata = metadata();
    full(&mut metadata, vec![topic("t", vec![partition(0, 1, 3)])]);
    partial(
        &mut metadata,
        vec![failed_topic("t", ErrorCode::UnknownTopicOrPartition)],
    );
    assert_eq!(metadata.cluster().partition_count("t"), None);
}

/// Java: MetadataTest#testNodeIfOffline
#[test]
fn topics_kept_by_a_partial_update_get_their_leaders_from_the_new_brokers() {
    let mut metadata = metadata();
    full(&mut metadata, vec![topic("t", vec![partition(0, 2, 3)])]);
    let planned = PlannedUpdate {
        is_partial: true,
        request_version: 0,
    };
    let mut only_first = response(Vec::new());
    only_first.brokers.truncate(1);
    let _update = metadata.update(planned, 11, only_first, at(0), &mut |_| true);
    assert_eq!(info(&metadata, "t", 0).unwrap().leader(), None);
    let mut moved = response(Vec::new());
    moved.brokers[1].host = "elsewhere".into();
    let _update = metadata.update(planned, 11, moved, at(0), &mut |_| true);
    assert_eq!(
        info(&metadata, "t", 0).unwrap().leader().unwrap().host(),
        "elsewhere"
    );
}

#[test]
fn unchanged_topics_are_shared_between_snapshots() {
    let mut metadata = metadata();
    full(&mut metadata, vec![topic("t", vec![partition(0, 2, 3)])]);
    let known = |metadata: &Metadata| Arc::clone(metadata.cluster().topics.get("t").unwrap());
    let before = known(&metadata);
    partial(
        &mut metadata,
        vec![topic("other", vec![partition(0, 1, 0)])],
    );
    assert!(Arc::ptr_eq(&before, &known(&metadata)));
}

/// Java: MetadataTest#testMetadataMergeOnIdDowngrade
#[test]
fn a_topic_that_is_listed_without_id_loses_its_id() {
    let mut metadata = metadata();
    full(&mut metadata, vec![with_id("t", 1, 100)]);
    partial(&mut metadata, vec![topic("t", vec![partition(0, 1, 100)])]);
    assert_eq!(metadata.cache.topic_id("t"), None);
}

/// MD-20. Differs: a fatal error is reported to every waiter, in Java only to one.
#[test]
fn a_fatal_error_is_reported_to_all_calls_that_wait_when_it_occurs() {
    let mut metadata = metadata();
    metadata.update_failed(at(0), MetadataFailure::Authentication("no".into()));
    let fatal = FatalMetadataError::Authentication("no".into());
    for _ in 0..3 {
        assert_eq!(metadata.fatal_error(0), Some(&fatal));
        assert_eq!(metadata.fatal_error(metadata.fatal_count()), None);
    }
}

#[test]
fn brokers_with_an_invalid_id_or_port_are_ignored() {
    let mut metadata = metadata();
    let mut answer = response(vec![topic(
        "t",
        vec![partition(0, 1, 0), partition(0, 2, 0)],
    )]);
    answer.brokers[0].port = -5;
    for node_id in [-1, i32::MIN] {
        let again = answer.brokers[1].clone();
        answer.brokers.push(MetadataBroker { node_id, ..again });
    }
    answer.controller_id = 77;
    answer.brokers.push(answer.brokers[1].clone());
    let planned = PlannedUpdate {
        is_partial: false,
        request_version: 0,
    };
    let _update = metadata.update(planned, 11, answer, at(0), &mut |_| true);
    let cluster = metadata.cluster();
    assert_eq!(cluster.nodes().len(), 1);
    assert_eq!(cluster.controller(), None);
    assert_eq!(cluster.partition_count("t"), Some(1));
}

/// Java keeps an error that no call waits for, and throws it to the next waiter all the same.
#[test]
fn a_fatal_error_is_cleared_by_the_next_update() {
    let mut metadata = metadata();
    metadata.update_failed(at(0), MetadataFailure::UnsupportedVersion("old".into()));
    full(&mut metadata, Vec::new());
    assert_eq!(metadata.fatal_error(0), None);
}

#[test]
fn of_a_broker_that_is_listed_several_times_the_first_entry_is_used() {
    for others in [0, 1, 5, 50, 500] {
        let mut metadata = metadata();
        let mut answer = response(Vec::new());
        for node_id in [1].into_iter().chain(10..10 + others).chain([1]) {
            answer.brokers.push(MetadataBroker {
                node_id,
                host: "another".into(),
                port: 1,
                rack: None,
            });
        }
        let planned = PlannedUpdate {
            is_partial: false,
            request_version: 0,
        };
        let _update = metadata.update(planned, 11, answer, at(0), &mut |_| true);
        let node = metadata.cluster().node(1).unwrap();
        assert_eq!((node.host(), node.port()), ("host-1", 9092), "{others}");
    }
}

#[test]
fn partitions_with_negative_numbers_are_left_out() {
    let mut metadata = metadata();
    let partitions = [i32::MIN, -1, 0, 1].map(|index| partition(index, 1, 0));
    full(&mut metadata, vec![topic("t", partitions.into())]);
    let numbers: Vec<_> = metadata
        .cluster()
        .partitions("t")
        .iter()
        .map(PartitionInfo::partition)
        .collect();
    assert_eq!(numbers, [0, 1]);
}

/// The log lines of an update, at every level, without a logger.
fn news_of(metadata: &mut Metadata, answer: MetadataResponse) -> MetadataNews {
    log::set_max_level(log::LevelFilter::Trace);
    let planned = PlannedUpdate {
        is_partial: false,
        request_version: 0,
    };
    metadata
        .update(planned, 11, answer, at(0), &mut |_| true)
        .news
}

#[test]
fn the_state_of_a_topic_is_logged_only_when_it_changes() {
    let mut metadata = metadata();
    let unknown = ErrorCode::UnknownTopicOrPartition;
    let mut news = |topics| {
        let news = news_of(&mut metadata, response(topics));
        let failing = news.failing().into_iter();
        let failing: Vec<_> = failing
            .map(|(topic, code)| format!("{topic} {code}"))
            .collect();
        (
            failing.join(", "),
            news.recovered().join(", "),
            news.missing_listeners(),
        )
    };
    let nothing = (String::new(), String::new(), 0);
    assert_eq!(
        news(vec![failed_topic("a", unknown), failed_topic("b", unknown)]).0,
        "a UNKNOWN_TOPIC_OR_PARTITION, b UNKNOWN_TOPIC_OR_PARTITION"
    );
    for _ in 0..3 {
        assert_eq!(news(vec![failed_topic("a", unknown)]), nothing);
    }
    let refused = failed_topic("a", ErrorCode::TopicAuthorizationFailed);
    assert_eq!(news(vec![refused]).0, "a TOPIC_AUTHORIZATION_FAILED");
    let fine = || topic("a", vec![partition(0, 1, 0)]);
    assert_eq!(news(vec![fine()]).1, "a");
    assert_eq!(news(vec![fine()]), nothing);
    let missing_listeners = || {
        let error = ErrorCode::ListenerNotFound;
        let partition = |index| MetadataPartition {
            error,
            ..partition(index, -1, 0)
        };
        topic("a", vec![partition(0), partition(1)])
    };
    assert_eq!(news(vec![missing_listeners()]).2, 2);
    assert_eq!(news(vec![missing_listeners()]), nothing);
    assert_eq!(news(vec![fine()]), nothing);
}

/// A logger is user code: lines are logged when no lock is held.
#[test]
fn all_log_lines_of_an_update_are_returned_as_news() {
    let mut metadata = metadata();
    let mut answer = response(vec![topic(
        "t",
        vec![partition(-1, 1, 0), partition(0, 1, 5)],
    )]);
    answer.brokers[0].port = -5;
    let again = MetadataBroker {
        host: "another".into(),
        ..answer.brokers[1].clone()
    };
    answer.brokers.push(again);
    let news = news_of(&mut metadata, answer);
    let lines = news.lines().join("; ");
    for part in [
        "broker 1 (host-1:-5)",
        "broker another:9092 (id: 2)",
        "1 partitions of topic t",
        "Cluster ID: c",
    ] {
        assert!(lines.contains(part), "{part}: {lines}");
    }
    let leaderless = MetadataPartition {
        error: ErrorCode::LeaderNotAvailable,
        ..partition(0, -1, 4)
    };
    let news = news_of(&mut metadata, response(vec![topic("t", vec![leaderless])]));
    let lines = news.lines().join("; ");
    assert!(
        lines.contains("t-0 due to error LEADER_NOT_AVAILABLE"),
        "{lines}"
    );
    assert!(lines.contains("older epoch 4 (current is 5)"), "{lines}");
}

/// Two brokers disagree about a topic, and metadata is requested from them alternately, as often as the rate limit
/// allows.
#[test]
fn lines_that_change_with_each_update_are_rate_limited_and_suppressed_ones_counted() {
    let mut metadata = metadata();
    let mut limit = LogLimit::default();
    let mut logged_at = Vec::new();
    let mut counted = 0;
    for turn in 0..300 {
        let topic = if turn % 2 == 0 {
            failed_topic("a", ErrorCode::UnknownTopicOrPartition)
        } else {
            topic("a", vec![partition(0, 1, 0)])
        };
        let mut answer = response(vec![topic]);
        answer.cluster_id = Some(format!("cluster {turn}").into());
        let mut news = news_of(&mut metadata, answer);
        assert!(!news.lines().is_empty() && news.failing().len() + news.recovered().len() == 1);
        let millis = turn * 10;
        news.limit(&mut limit, at(millis));
        let lines = news.lines();
        let summaries = news.failing().len() + news.recovered().len();
        logged_at.extend(std::iter::repeat_n(millis, lines.len() + summaries));
        for line in lines.iter().filter(|line| line.contains("left out")) {
            assert!(line.contains("(19"), "{line}");
            counted += 1;
        }
    }
    for second in 0..3 {
        let lines = logged_at.iter().filter(|at| **at / 1_000 == second).count();
        assert_eq!(lines, 10, "in second {second}");
    }
    assert_eq!(counted, 2);
}

/// A response may be of any length.
#[test]
fn the_log_lines_of_an_update_are_limited() {
    let mut metadata = metadata();
    let mut answer = response(
        (0..1_000)
            .map(|n| with_id(&format!("t{n}"), 1, 5))
            .collect(),
    );
    let mut news = news_of(&mut metadata, answer.clone());
    for topic in &mut answer.topics {
        topic.partitions[0].leader_epoch = 4;
    }
    assert!(news.lines().len() < 10);
    news = news_of(&mut metadata, answer.clone());
    assert!(
        (10..=60).contains(&news.lines().len()),
        "{}",
        news.lines().len()
    );
    for topic in &mut answer.topics {
        topic.error = ErrorCode::UnknownTopicOrPartition;
    }
    news = news_of(&mut metadata, answer);
    assert_eq!(news.failing().len(), 10);
    news.write(&crate::util::log::LogContext::for_tests());
}

#[test]
fn a_partial_update_names_the_changed_topics_and_a_full_one_may_change_all() {
    let mut metadata = metadata();
    let mut changed = |is_partial, answer| {
        let planned = PlannedUpdate {
            is_partial,
            request_version: 0,
        };
        let update = metadata.update(planned, 11, answer, at(0), &mut |_: &str| true);
        update.changed
    };
    let answer = || response(vec![topic("a", vec![partition(0, 1, 0)])]);
    assert_eq!(changed(false, answer()), ChangedTopics::All);
    assert_eq!(
        changed(true, answer()),
        ChangedTopics::These(vec!["a".into()])
    );
    let mut moved = answer();
    moved.brokers[1].port += 1;
    assert_eq!(
        changed(true, moved.clone()),
        ChangedTopics::All,
        "leaders of others may have moved"
    );
    assert_eq!(changed(true, moved), ChangedTopics::These(vec!["a".into()]));
}

fn full_answer(metadata: &mut Metadata, epoch: i32, now: Instant) -> MetadataNews {
    let planned = PlannedUpdate {
        is_partial: false,
        request_version: metadata.request_version(),
    };
    let topics = vec![topic("t", vec![partition(0, 2, epoch)])];
    metadata
        .update(planned, 11, response(topics), now, &mut |_| true)
        .news
}

fn leader(metadata: &Metadata) -> i32 {
    info(metadata, "t", 0).unwrap().leader().unwrap().id()
}

/// A cluster was restored from a backup. In Java its lower epochs are ignored for ever.
#[test]
fn leader_epochs_that_decrease_permanently_are_accepted_after_a_while_and_logged_once() {
    let mut metadata = metadata();
    full(&mut metadata, vec![topic("t", vec![partition(0, 1, 10)])]);
    let mut decreases = Vec::new();
    let mut now = at(0);
    let mut answers = 0;
    while now < at(60_000) {
        // Like the client, the test sends the next request when the next update is due.
        now = now.saturating_add(metadata.time_to_next_update(now).remaining(now).unwrap());
        let news = full_answer(&mut metadata, 3 + answers / 5, now);
        decreases.extend(
            news.went_back()
                .iter()
                .map(|(_, partition, from, to)| (*partition, *from, *to)),
        );
        answers += 1;
        if leader(&metadata) == 2 {
            break;
        }
        assert_eq!(epoch(&metadata, "t"), Some(10));
    }
    assert!((at(10_000)..=at(11_000)).contains(&now), "{now:?}");
    assert!(
        (10..=12).contains(&answers),
        "asked once a second: {answers}"
    );
    assert_eq!(epoch(&metadata, "t"), Some(5));
    assert_eq!(decreases, [(0, 10, 5)]);
    // From here on the lower epoch is the newest.
    assert_eq!(wait(&metadata, now), MAX_AGE.as_millis());
    let _ = full_answer(&mut metadata, 4, now);
    assert_eq!(epoch(&metadata, "t"), Some(5));
}

#[test]
fn a_stale_leader_epoch_is_ignored_while_other_brokers_respond_with_the_newer_one() {
    let mut metadata = metadata();
    full(&mut metadata, vec![topic("t", vec![partition(0, 1, 10)])]);
    for second in 0..120 {
        let epoch = if second % 9 == 8 { 10 } else { 3 };
        let mut topics = vec![topic("t", vec![partition(0, 1, epoch)])];
        if epoch == 3 {
            topics = vec![topic("t", vec![partition(0, 2, epoch)])];
        }
        update(&mut metadata, false, topics, at(second * 1_000));
        assert_eq!(leader(&metadata), 1, "after {second} s");
    }
}

#[test]
fn few_responses_are_not_enough_to_accept_a_lower_epoch() {
    let mut metadata = metadata();
    full(&mut metadata, vec![topic("t", vec![partition(0, 1, 10)])]);
    for hour in 0..2 {
        let _ = full_answer(&mut metadata, 3, at(hour * 3_600_000));
        assert_eq!(leader(&metadata), 1);
    }
    let _ = full_answer(&mut metadata, 3, at(3 * 3_600_000));
    assert_eq!(leader(&metadata), 2);
}

#[test]
fn leader_epochs_of_another_cluster_are_accepted() {
    let mut metadata = metadata();
    full(&mut metadata, vec![topic("t", vec![partition(0, 1, 10)])]);
    let planned = PlannedUpdate {
        is_partial: false,
        request_version: 0,
    };
    let mut other = response(vec![topic("t", vec![partition(0, 2, 3)])]);
    other.cluster_id = Some("another".into());
    let _ = metadata.update(planned, 11, other, at(1), &mut |_| true);
    assert_eq!(leader(&metadata), 2);
    assert_eq!(epoch(&metadata, "t"), Some(3));
}
