//! Transactions with brokers of old releases.

use super::*;

/// The newest version of each transactional request that a release of Kafka supports, from the source code of that
/// release; -1 if the release does not have the request.
#[test]
fn a_broker_supports_the_same_newest_versions_as_kafkas_release() {
    let newest = |release: KafkaRelease| {
        [
            ApiKey::FindCoordinator,
            ApiKey::InitProducerId,
            ApiKey::AddPartitionsToTxn,
            ApiKey::AddOffsetsToTxn,
            ApiKey::TxnOffsetCommit,
            ApiKey::EndTxn,
        ]
        .map(|api| release.spoken(api).map_or(-1, |versions| *versions.end()))
    };
    for (release, expected) in [
        (KafkaRelease::V0_10_0, [0, -1, -1, -1, -1, -1]),
        (KafkaRelease::V0_10_2, [0, -1, -1, -1, -1, -1]),
        (KafkaRelease::V0_11, [1, 0, 0, 0, 0, 0]),
        (KafkaRelease::V1_1, [1, 0, 0, 0, 0, 0]),
        (KafkaRelease::V2_0, [2, 1, 1, 1, 1, 1]),
        (KafkaRelease::V2_1, [2, 1, 1, 1, 2, 1]),
        (KafkaRelease::V2_4, [3, 2, 1, 1, 2, 1]),
        (KafkaRelease::V3_0, [4, 4, 3, 3, 3, 3]),
    ] {
        assert_eq!(newest(release), expected, "{release:?}");
    }
}

#[test]
fn the_first_release_with_transactions_commits_and_aborts() {
    let mut it = Broker::of(KafkaRelease::V0_11);
    let producer = it.init_as(ProducerIdAndEpoch::NONE, 0).unwrap();
    for (sequence, committed) in [(0, true), (1, false)] {
        it.ask(&add_request(ID, producer, &[("t", &[0])]), 0);
        let batch = transactional(producer, sequence);
        let mut request = produce_request(-1, vec![("t", 0, Some(batch))]);
        request.transactional_id = Some(ID.into());
        it.ask(&Request::Produce(request), 3);
        it.ask(&end_request(ID, producer, committed), 0);
    }
    assert_eq!(it.seen(0), (vec![0, 2], vec![0]));
    let closes = end_request(ID, producer, true).encode(1, 1, None).unwrap();
    let answer = it.cluster.handle(0, &closes.to_payload(), NOW).answer;
    assert!(matches!(answer, Answer::Close));
}

/// A broker closes the connection after any request that it does not know.
#[test]
fn releases_without_transactions_close_the_connection() {
    let mut it = Broker::of(KafkaRelease::V0_10_2);
    for api in [
        ApiKey::AddPartitionsToTxn,
        ApiKey::AddOffsetsToTxn,
        ApiKey::TxnOffsetCommit,
        ApiKey::EndTxn,
        ApiKey::InitProducerId,
    ] {
        for version in api.versions() {
            let frame = full_request(api, version).encode(version, 1, None);
            let frame = frame.unwrap().to_payload();
            let answer = it.cluster.handle(0, &frame, NOW).answer;
            assert!(matches!(answer, Answer::Close), "{api} {version}");
        }
    }
}
