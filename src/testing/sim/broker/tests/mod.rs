use super::*;
use crate::error::ErrorCode;
use crate::protocol::tests::generate::full_request;
use crate::protocol::{
    ApiVersionsRequest, BatchHead, Frame, InitProducerIdRequest, MemoryRecords, MetadataRequest,
    MetadataResponse, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    TopicProduceData, decode_response_correlation,
};
use crate::record::batch::fixture::{BatchSpec, Plain};
use crate::record::format::Attributes;
use crate::record::legacy::fixture::{Plain as LegacyPlain, Staged};
use crate::record::legacy::{LegacyMagic, convert};
use crate::testing::KafkaRelease;

const NOW: Timestamp = Timestamp::from_millis(5_000);

fn cluster(nodes: i32) -> SimCluster {
    cluster_of(KafkaRelease::default(), nodes)
}

pub(super) fn cluster_of(release: KafkaRelease, nodes: i32) -> SimCluster {
    let options = SimOptions {
        cluster_id: "c".into(),
        release,
        auto_create_topics: false,
        default_partitions: 2,
        replication_factor: 1,
        settings: TopicSettings::DEFAULT,
        depth: Depth {
            retain: true,
            validate_records: true,
        },
    };
    with_options(options, nodes)
}

fn with_options(options: SimOptions, nodes: i32) -> SimCluster {
    let node = |id: i32| {
        (
            id,
            SimNode {
                host: "h".into(),
                port: 9092 + id as u16,
            },
        )
    };
    SimCluster::new(options, (0..nodes).map(node).collect())
}

/// Sends a request as bytes, and decodes the response.
fn ask(cluster: &mut SimCluster, node: NodeId, request: &Request, version: i16) -> Response {
    let frame = request
        .encode(version, 42, Some("test"))
        .unwrap()
        .to_payload();
    match cluster.handle(node, &frame, NOW).answer {
        Answer::Reply(reply) => decode(request.api_key(), version, &reply),
        other => panic!("{other:?}"),
    }
}

fn decode(api: ApiKey, version: i16, reply: &Frame) -> Response {
    let payload = reply.to_payload();
    let mut reader = Reader::new(&payload);
    assert_eq!(
        decode_response_correlation(api, version, &mut reader).unwrap(),
        42
    );
    let response = Response::decode(api, version, &mut reader).unwrap();
    assert_eq!(reader.remaining(), 0);
    response
}

fn produce_request(acks: i16, batches: Vec<(&str, i32, Option<Bytes>)>) -> ProduceRequest {
    let topic = |(name, index, bytes): (&str, i32, Option<Bytes>)| TopicProduceData {
        name: name.into(),
        partitions: vec![PartitionProduceData {
            index,
            records: bytes.map(|body| MemoryRecords {
                head: BatchHead::EMPTY,
                body,
            }),
        }],
    };
    let topics = batches.into_iter().map(topic).collect();
    ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: 1000,
        topics,
    }
}

pub(super) fn produce(
    cluster: &mut SimCluster,
    node: NodeId,
    batches: Vec<(&str, i32, Option<Bytes>)>,
    version: i16,
) -> Vec<PartitionProduceResponse> {
    let request = Request::Produce(produce_request(-1, batches));
    let Response::Produce(response) = ask(cluster, node, &request, version) else {
        panic!()
    };
    response
        .topics
        .into_iter()
        .flat_map(|topic| topic.partitions)
        .collect()
}

fn some_batch() -> Bytes {
    BatchSpec::of(vec![Plain::value("a"), Plain::value("b")]).encode()
}

pub(super) fn metadata(
    cluster: &mut SimCluster,
    topics: Option<&[&str]>,
    version: i16,
) -> MetadataResponse {
    let topics = topics.map(|names| names.iter().map(|name| Arc::from(*name)).collect());
    let request = MetadataRequest {
        topics,
        allow_auto_topic_creation: true,
    };
    match ask(cluster, 0, &Request::Metadata(request), version) {
        Response::Metadata(response) => response,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_batch_is_written_in_every_supported_version() {
    for version in 3..=9 {
        let mut cluster = cluster(1);
        cluster
            .create_topic("t", 1, TopicSettings::DEFAULT)
            .unwrap();
        for offset in [0, 2] {
            let answer = produce(&mut cluster, 0, vec![("t", 0, Some(some_batch()))], version);
            assert_eq!(answer[0].error, ErrorCode::NoError, "{version}");
            assert_eq!(answer[0].base_offset, offset);
            assert_eq!(answer[0].log_append_time_ms, -1);
            assert_eq!(
                answer[0].log_start_offset,
                if version >= 5 { 0 } else { -1 }
            );
        }
    }
}

#[test]
fn each_partition_of_a_request_has_its_own_result() {
    let mut cluster = cluster(2);
    cluster
        .create_topic("t", 2, TopicSettings::DEFAULT)
        .unwrap();
    let batches = vec![
        ("t", 0, Some(some_batch())),
        ("t", 1, Some(some_batch())),
        ("t", 2, Some(some_batch())),
        ("t", -1, Some(some_batch())),
        ("none", 0, Some(some_batch())),
        ("t", 0, None),
    ];
    let errors: Vec<_> = produce(&mut cluster, 0, batches, 9)
        .iter()
        .map(|answer| answer.error)
        .collect();
    assert_eq!(
        errors,
        [
            ErrorCode::NoError,
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::InvalidRecord,
        ]
    );
}

#[test]
fn only_the_new_leader_accepts_batches() {
    let mut cluster = cluster(2);
    cluster
        .create_topic("t", 1, TopicSettings::DEFAULT)
        .unwrap();
    cluster.move_leader("t", 0, 1).unwrap();
    let mut error =
        |node| produce(&mut cluster, node, vec![("t", 0, Some(some_batch()))], 9)[0].error;
    assert_eq!(error(0), ErrorCode::NotLeaderOrFollower);
    assert_eq!(error(1), ErrorCode::NoError);
    let topic = metadata(&mut cluster, Some(&["t"]), 11).topics.remove(0);
    assert_eq!(
        (
            topic.partitions[0].leader_id,
            topic.partitions[0].leader_epoch
        ),
        (1, 1)
    );
    assert_eq!(
        cluster.partition("t", 0).unwrap().log.batches()[0].leader_epoch(),
        1
    );
}

#[test]
fn with_acks_0_a_valid_batch_has_no_response_and_an_invalid_one_closes_the_connection() {
    let mut cluster = cluster(1);
    cluster
        .create_topic("t", 1, TopicSettings::DEFAULT)
        .unwrap();
    let mut handle = |topic| {
        let request = produce_request(0, vec![(topic, 0, Some(some_batch()))]);
        let frame = Request::Produce(request)
            .encode(9, 1, None)
            .unwrap()
            .to_payload();
        cluster.handle(0, &frame, NOW).answer
    };
    assert!(matches!(handle("t"), Answer::Silence));
    assert!(matches!(handle("none"), Answer::Close));
    assert_eq!(cluster.partition("t", 0).unwrap().log.next_offset(), 2);
}

#[test]
fn invalid_acks_are_refused() {
    let mut cluster = cluster(1);
    cluster
        .create_topic("t", 1, TopicSettings::DEFAULT)
        .unwrap();
    for acks in [-2, 2] {
        let request = produce_request(acks, vec![("t", 0, Some(some_batch()))]);
        let Response::Produce(answer) = ask(&mut cluster, 0, &Request::Produce(request), 9) else {
            panic!()
        };
        assert_eq!(
            answer.topics[0].partitions[0].error,
            ErrorCode::InvalidRequiredAcks
        );
    }
    assert_eq!(cluster.partition("t", 0).unwrap().log.next_offset(), 0);
}

#[test]
fn a_transactional_batch_needs_a_transactional_id() {
    let mut cluster = cluster(1);
    cluster
        .create_topic("t", 1, TopicSettings::DEFAULT)
        .unwrap();
    let attributes = Attributes::default().transactional(true);
    let batch = BatchSpec {
        attributes,
        ..BatchSpec::sequenced(1, 0, 0, 1)
    }
    .encode();
    let answer = produce(&mut cluster, 0, vec![("t", 0, Some(batch))], 9);
    assert_eq!(
        answer[0].error,
        ErrorCode::TransactionalIdAuthorizationFailed
    );
}

#[test]
fn clients_may_not_write_to_internal_topics() {
    let mut cluster = cluster(1);
    cluster
        .create_topic("__consumer_offsets", 1, TopicSettings::DEFAULT)
        .unwrap();
    let answer = produce(
        &mut cluster,
        0,
        vec![("__consumer_offsets", 0, Some(some_batch()))],
        9,
    );
    assert_eq!(answer[0].error, ErrorCode::InvalidTopicException);
    assert!(metadata(&mut cluster, None, 11).topics[0].is_internal);
}

#[test]
fn refused_records_are_named_from_version_8_on() {
    let mut cluster = cluster(1);
    let compacted = TopicSettings {
        compacted: true,
        ..TopicSettings::DEFAULT
    };
    cluster.create_topic("t", 1, compacted).unwrap();
    let answer = produce(&mut cluster, 0, vec![("t", 0, Some(some_batch()))], 8);
    let places: Vec<_> = answer[0]
        .record_errors
        .iter()
        .map(|error| error.batch_index)
        .collect();
    assert_eq!(places, [0, 1]);
    assert!(answer[0].error_message.is_some());
    let answer = produce(&mut cluster, 0, vec![("t", 0, Some(some_batch()))], 7);
    assert!(answer[0].record_errors.is_empty() && answer[0].error_message.is_none());
}

#[test]
fn metadata_reports_only_the_requested_topics() {
    let mut cluster = cluster(3);
    cluster
        .create_topic("a", 4, TopicSettings::DEFAULT)
        .unwrap();
    cluster
        .create_topic("b", 1, TopicSettings::DEFAULT)
        .unwrap();
    for version in 1..=11 {
        let answer = metadata(
            &mut cluster,
            Some(&["a", "missing", "not/legal", "a"]),
            version,
        );
        let topics: Vec<_> = answer.topics.iter().map(|t| (&*t.name, t.error)).collect();
        let expected = [
            ("a", ErrorCode::NoError),
            ("missing", ErrorCode::UnknownTopicOrPartition),
            ("not/legal", ErrorCode::InvalidTopicException),
        ];
        assert_eq!(topics, expected, "{version}");
        let leaders: Vec<_> = answer.topics[0]
            .partitions
            .iter()
            .map(|p| p.leader_id)
            .collect();
        assert_eq!(leaders, [0, 1, 2, 0], "{version}");
        assert_eq!(
            answer.topics[0].topic_id == [0; 16],
            version < 10,
            "{version}"
        );
        let nodes: Vec<_> = answer.brokers.iter().map(|b| (b.node_id, b.port)).collect();
        assert_eq!(nodes, [(0, 9092), (1, 9093), (2, 9094)], "{version}");
        assert!(
            metadata(&mut cluster, Some(&[]), version).topics.is_empty(),
            "{version}"
        );
    }
    for version in 0..=11 {
        assert_eq!(
            metadata(&mut cluster, None, version).topics.len(),
            2,
            "{version}"
        );
    }
}

#[test]
fn a_metadata_request_creates_a_topic_if_the_cluster_allows_it() {
    let mut cluster = cluster(2);
    assert_eq!(
        metadata(&mut cluster, Some(&["t"]), 11).topics[0]
            .partitions
            .len(),
        0
    );
    assert!(cluster.topic("t").is_err());
    let mut options = cluster.options.clone();
    options.auto_create_topics = true;
    let mut cluster = with_options(options, 2);
    let topic = metadata(&mut cluster, Some(&["t"]), 11).topics.remove(0);
    assert_eq!(topic.error, ErrorCode::UnknownTopicOrPartition);
    let topic = metadata(&mut cluster, Some(&["t"]), 11).topics.remove(0);
    assert_eq!(
        (topic.error, topic.partitions.len()),
        (ErrorCode::NoError, 2)
    );
}

#[test]
fn a_partition_whose_node_is_down_has_no_leader_until_it_is_back() {
    let mut cluster = cluster(2);
    cluster
        .create_topic("t", 2, TopicSettings::DEFAULT)
        .unwrap();
    cluster.node_down(1);
    let answer = metadata(&mut cluster, Some(&["t"]), 11);
    let partition = &answer.topics[0].partitions[1];
    assert_eq!(
        (partition.error, partition.leader_id),
        (ErrorCode::LeaderNotAvailable, -1)
    );
    assert_eq!(
        (partition.replicas.in_sync(), partition.replicas.offline()),
        (&[][..], &[1][..])
    );
    assert_eq!(answer.brokers.len(), 1);
    let frame = Request::ApiVersions(ApiVersionsRequest::ours())
        .encode(3, 1, None)
        .unwrap();
    assert!(matches!(
        cluster.handle(1, &frame.to_payload(), NOW).answer,
        Answer::Close
    ));
    cluster.node_up(1);
    let partition = &metadata(&mut cluster, Some(&["t"]), 11).topics[0].partitions[1];
    assert_eq!((partition.leader_id, partition.leader_epoch), (1, 2));
}

#[test]
fn with_replicas_another_node_becomes_leader_with_all_records() {
    let mut options = cluster(1).options;
    options.replication_factor = 2;
    let mut cluster = with_options(options, 3);
    cluster
        .create_topic("t", 1, TopicSettings::DEFAULT)
        .unwrap();
    produce(&mut cluster, 0, vec![("t", 0, Some(some_batch()))], 9);
    cluster.node_down(0);
    let answer = produce(&mut cluster, 1, vec![("t", 0, Some(some_batch()))], 9);
    assert_eq!(
        (answer[0].error, answer[0].base_offset),
        (ErrorCode::NoError, 2)
    );
    // Node 1 stays the leader when node 0 is up again.
    cluster.node_up(0);
    let role = &cluster.partition("t", 0).unwrap().role;
    assert_eq!(
        (role.leader, role.epoch, &role.replicas[..]),
        (Some(1), 1, &[0, 1][..])
    );
}

#[test]
fn topics_can_grow_but_not_shrink_and_a_deleted_one_is_gone() {
    let mut cluster = cluster(1);
    cluster
        .create_topic("t", 2, TopicSettings::DEFAULT)
        .unwrap();
    cluster.add_partitions("t", 5).unwrap();
    assert_eq!(
        metadata(&mut cluster, Some(&["t"]), 11).topics[0]
            .partitions
            .len(),
        5
    );
    let error = cluster.add_partitions("t", 1).unwrap_err();
    assert_eq!(error, NotDone::FewerPartitions { has: 5, wanted: 1 });
    cluster.delete_topic("t").unwrap();
    let topic = &metadata(&mut cluster, Some(&["t"]), 11).topics[0];
    assert_eq!(topic.error, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(
        cluster.move_leader("t", 0, 0),
        Err(NotDone::NoSuchTopic("t".into()))
    );
    assert_eq!(
        cluster.create_topic("t", 0, TopicSettings::DEFAULT),
        Err(NotDone::NoPartitions)
    );
}

#[test]
fn a_broker_reports_its_versions_and_those_by_which_clients_detect_features() {
    let mut cluster = cluster(1);
    for version in 0..=3 {
        let request = Request::ApiVersions(ApiVersionsRequest::ours());
        let Response::ApiVersions(answer) = ask(&mut cluster, 0, &request, version) else {
            panic!()
        };
        let ranges: Vec<_> = answer
            .api_keys
            .iter()
            .map(|range| (range.api_key, range.min, range.max))
            .collect();
        // librdkafka writes message format 2 only to brokers with Produce 3 and Fetch 4,
        let fetch = (1, 0, 12);
        // and compresses with lz4 only for brokers with this API.
        let find_coordinator = (10, 0, 4);
        let of_transactions = [24, 25, 26, 28].map(|api| (api, 0, 3));
        let [add_partitions, add_offsets, end, commit_offsets] = of_transactions;
        assert_eq!(
            ranges,
            [
                (0, 0, 9),
                fetch,
                (3, 0, 11),
                find_coordinator,
                (17, 0, 1),
                (18, 0, 3),
                (22, 0, 4),
                add_partitions,
                add_offsets,
                end,
                commit_offsets,
                (36, 0, 2)
            ]
        );
    }
    assert_eq!(cluster.requests().get(&ApiKey::ApiVersions), Some(&4));
}

/// The versions of each release, as in its source code.
#[test]
fn a_broker_supports_the_versions_of_its_release() {
    let told = |release| {
        let mut cluster = cluster(1);
        cluster.options.release = release;
        let request = Request::ApiVersions(ApiVersionsRequest::ours());
        let Response::ApiVersions(answer) = ask(&mut cluster, 0, &request, 0) else {
            panic!()
        };
        let ranges = answer.api_keys.into_iter();
        assert!(ranges.clone().all(|range| range.min == 0));
        ranges
            .map(|range| (range.api_key, range.max))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        told(KafkaRelease::V0_10_0),
        [(0, 2), (1, 2), (3, 1), (10, 0), (17, 0), (18, 0)]
    );
    assert_eq!(
        told(KafkaRelease::V0_11),
        [
            (0, 3),
            (1, 5),
            (3, 4),
            (10, 1),
            (17, 0),
            (18, 1),
            (22, 0),
            (24, 0),
            (25, 0),
            (26, 0),
            (28, 0)
        ]
    );
    assert_eq!(
        told(KafkaRelease::V2_4),
        [
            (0, 8),
            (1, 11),
            (3, 9),
            (10, 3),
            (17, 1),
            (18, 3),
            (22, 2),
            (24, 1),
            (25, 1),
            (26, 1),
            (28, 2),
            (36, 1)
        ]
    );
}

#[test]
fn an_old_broker_answers_an_unknown_version_without_naming_any_and_closes_on_new_requests() {
    let mut cluster = cluster(1);
    cluster.options.release = KafkaRelease::V0_10_2;
    let frame = [0, 18, 0, 3, 0, 0, 0, 42, 0xff, 0xff, 0, 1, 1, 0];
    let frame = Bytes::copy_from_slice(&frame);
    let Answer::Reply(reply) = cluster.handle(0, &frame, NOW).answer else {
        panic!()
    };
    let Response::ApiVersions(answer) = decode(ApiKey::ApiVersions, 0, &reply) else {
        panic!()
    };
    assert_eq!(answer.error, ErrorCode::UnsupportedVersion);
    assert!(answer.api_keys.is_empty());
    let request = Request::Produce(produce_request(1, vec![]));
    let frame = request.encode(3, 1, None).unwrap().to_payload();
    assert!(matches!(
        cluster.handle(0, &frame, NOW).answer,
        Answer::Close
    ));
}

#[test]
fn a_message_set_is_written_in_the_old_versions_only() {
    let records = [LegacyPlain::new(7, None, Some("a"))];
    let staged = Staged::new(&records, 1, 0);
    for magic in [LegacyMagic::V0, LegacyMagic::V1] {
        let mut set = Vec::new();
        convert(&staged.facts, &staged.chunks(), magic, None, &mut set).unwrap();
        let set = Bytes::from(set);
        for version in 0..=9 {
            let mut cluster = cluster(1);
            cluster
                .create_topic("t", 1, TopicSettings::DEFAULT)
                .unwrap();
            let batches = vec![("t", 0, Some(set.clone()))];
            let answer = produce(&mut cluster, 0, batches, version);
            let expected = match version {
                0..=2 => ErrorCode::NoError,
                _ => ErrorCode::InvalidRecord,
            };
            assert_eq!(answer[0].error, expected, "{magic:?} in version {version}");
        }
    }
    for version in 0..=2 {
        let mut cluster = cluster(1);
        cluster
            .create_topic("t", 1, TopicSettings::DEFAULT)
            .unwrap();
        let batches = vec![("t", 0, Some(some_batch()))];
        let answer = produce(&mut cluster, 0, batches, version);
        assert_eq!(answer[0].error, ErrorCode::CorruptMessage);
    }
}

/// Java: ApiVersionsRequestTest#testApiVersionsRequestWithUnsupportedVersion (KIP-511)
#[test]
fn api_versions_of_an_unknown_version_are_answered_in_version_0_with_their_own_range() {
    let mut frame = vec![0, 18, 0, 99, 0, 0, 0, 42, 0xff, 0xff, 0];
    frame.extend_from_slice(b"whatever a later version has");
    let Answer::Reply(reply) = cluster(1).handle(0, &frame.into(), NOW).answer else {
        panic!()
    };
    let Response::ApiVersions(answer) = decode(ApiKey::ApiVersions, 0, &reply) else {
        panic!()
    };
    assert_eq!(answer.error, ErrorCode::UnsupportedVersion);
    let ranges: Vec<_> = answer
        .api_keys
        .iter()
        .map(|r| (r.api_key, r.min, r.max))
        .collect();
    assert_eq!(ranges, [(18, 0, 3)]);
}

/// Java: ApiVersionsRequestTest#testApiVersionsRequestValidationV3
#[test]
fn a_client_with_an_invalid_name_is_refused() {
    for (name, good) in [
        ("a", true),
        ("a-b.c", true),
        ("", false),
        ("-a", false),
        ("a-", false),
        ("a b", false),
    ] {
        let request = ApiVersionsRequest {
            client_software_name: name.into(),
            client_software_version: "1.0".into(),
        };
        let answer = ask(&mut cluster(1), 0, &Request::ApiVersions(request), 3);
        let Response::ApiVersions(answer) = answer else {
            panic!()
        };
        assert_eq!(answer.error == ErrorCode::NoError, good, "{name}");
    }
}

#[test]
fn a_malformed_request_closes_the_connection() {
    let mut cluster = cluster(1);
    let mut closes = |frame: &[u8]| {
        let frame = Bytes::copy_from_slice(frame);
        matches!(cluster.handle(0, &frame, NOW).answer, Answer::Close)
    };
    assert!(closes(&[]));
    assert!(closes(&[0, 1, 0, 0, 0, 0, 0, 1, 0xff, 0xff]), "fetch");
    assert!(
        closes(&[0, 0, 0, 2, 0, 0, 0, 1, 0xff, 0xff]),
        "an old produce version"
    );
    assert!(
        closes(&[0, 3, 0, 12, 0, 0, 0, 1, 0xff, 0xff, 0]),
        "a new metadata version"
    );
    let good = Request::Produce(produce_request(-1, vec![("t", 0, Some(some_batch()))]));
    let good = good.encode(9, 1, Some("c")).unwrap().to_payload();
    for end in 0..good.len() {
        assert!(closes(&good[..end]), "{end}");
    }
}

/// # Kafka
/// `KafkaApis#handleSaslHandshakeRequest`, `handleSaslAuthenticateRequest`.
#[test]
fn a_broker_without_sasl_answers_sasl_requests_with_an_error() {
    let mut cluster = cluster(1);
    for api in [ApiKey::SaslHandshake, ApiKey::SaslAuthenticate] {
        let version = api.max_version();
        let error = match ask(&mut cluster, 0, &full_request(api, version), version) {
            Response::SaslHandshake(answer) => answer.error,
            Response::SaslAuthenticate(answer) => answer.error,
            other => panic!("{other:?}"),
        };
        assert_eq!(error, ErrorCode::IllegalSaslState);
    }
}

fn init(
    cluster: &mut SimCluster,
    transactional_id: Option<&str>,
    producer: (i64, i16),
    version: i16,
) -> (ErrorCode, i64, i16) {
    let request = InitProducerIdRequest {
        transactional_id: transactional_id.map(Arc::from),
        transaction_timeout_ms: 60_000,
        producer_id: producer.0,
        producer_epoch: producer.1,
    };
    match ask(cluster, 0, &Request::InitProducerId(request), version) {
        Response::InitProducerId(answer) => {
            (answer.error, answer.producer_id, answer.producer_epoch)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn producer_ids_are_allocated_in_every_version() {
    let mut cluster = cluster(1);
    let mut given = Vec::new();
    for version in 0..=4 {
        let (error, id, epoch) = init(&mut cluster, None, (-1, -1), version);
        assert_eq!((error, epoch), (ErrorCode::NoError, 0));
        given.push(id);
    }
    given.dedup();
    assert_eq!(given.len(), 5);
}

/// Java: KafkaApisTest#rejectInitProducerIdWhenIdButNotEpochProvided,
/// #rejectInitProducerIdWhenEpochButNotIdProvided,
/// #shouldReplaceProducerFencedWithInvalidProducerEpochInInitProducerIdWithOlderClient
#[test]
fn a_producer_id_without_its_epoch_is_refused_and_old_clients_get_no_fencing_error() {
    let mut cluster = cluster(1);
    for half in [(5, -1), (-1, 5)] {
        assert_eq!(
            init(&mut cluster, Some("t"), half, 4).0,
            ErrorCode::InvalidRequest
        );
    }
    let (_, id, epoch) = init(&mut cluster, Some("t"), (-1, -1), 4);
    assert_eq!(
        init(&mut cluster, Some("t"), (id, epoch), 3),
        (ErrorCode::NoError, id, epoch + 1)
    );
    let fenced = (id, epoch + 7);
    assert_eq!(
        init(&mut cluster, Some("t"), fenced, 4),
        (ErrorCode::ProducerFenced, -1, -1)
    );
    assert_eq!(
        init(&mut cluster, Some("t"), fenced, 3).0,
        ErrorCode::InvalidProducerEpoch
    );
}

proptest::proptest! {
    /// Whatever a client sends, a broker answers or closes the connection; it never panics.
    #[test]
    fn a_corrupt_request_never_panics_a_broker(
        at in proptest::prelude::any::<proptest::sample::Index>(), byte in 0u8.., cut in proptest::prelude::any::<bool>(),
    ) {
        let mut cluster = cluster(1);
        cluster.create_topic("t", 1, TopicSettings::DEFAULT).unwrap();
        let batch = BatchSpec::sequenced(1, 0, 0, 3).encode();
        let requests = [
            Request::Produce(produce_request(-1, vec![("t", 0, Some(batch))])),
            Request::Metadata(MetadataRequest { topics: Some(vec!["t".into()]), allow_auto_topic_creation: true }),
            Request::ApiVersions(ApiVersionsRequest::ours()),
        ];
        for request in requests {
            for version in 3..=9 {
                let Ok(frame) = request.encode(version, 1, Some("c")) else { continue };
                let mut frame = frame.to_payload().to_vec();
                let at = at.index(frame.len());
                frame[at] = byte;
                if cut {
                    frame.truncate(at + 1);
                }
                cluster.handle(0, &frame.into(), NOW);
            }
        }
    }
}

mod scripted;
mod transactions;
