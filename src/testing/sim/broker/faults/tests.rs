use bytes::Bytes;

use super::*;
use crate::error::ErrorCode;
use crate::protocol::PartitionProduceResponse;
use crate::record::batch::fixture::{BatchSpec, Plain};
use crate::testing::KafkaRelease;
use crate::testing::sim::broker::tests::{cluster_of, metadata, produce};

const ALL_RELEASES_WITH_IDS: [KafkaRelease; 6] = [
    KafkaRelease::V0_11,
    KafkaRelease::V1_1,
    KafkaRelease::V2_0,
    KafkaRelease::V2_1,
    KafkaRelease::V2_4,
    KafkaRelease::V3_0,
];

fn simulated(release: KafkaRelease) -> SimCluster {
    let mut cluster = cluster_of(release, 2).for_simulation();
    cluster
        .create_topic("t", 1, TopicSettings::DEFAULT)
        .unwrap();
    cluster
}

/// A batch of two records from an idempotent producer.
fn batch(sequence: i32) -> Bytes {
    let records = [u64::from(sequence as u32), u64::from(sequence as u32) + 1];
    let values = records.map(|number| Plain::value(number.to_be_bytes()));
    BatchSpec {
        producer_id: 7,
        producer_epoch: 0,
        base_sequence: sequence,
        ..BatchSpec::of(values.to_vec())
    }
    .encode()
}

fn send(cluster: &mut SimCluster, sequence: i32) -> PartitionProduceResponse {
    let version = *cluster
        .options
        .release
        .spoken(crate::protocol::ApiKey::Produce)
        .unwrap()
        .end();
    let answers = produce(cluster, 0, vec![("t", 0, Some(batch(sequence)))], version);
    answers.into_iter().next().unwrap()
}

fn end(cluster: &SimCluster) -> i64 {
    cluster.partition("t", 0).unwrap().log.next_offset()
}

fn appended(cluster: &mut SimCluster) -> Vec<(i64, Vec<u64>)> {
    let batches = cluster
        .take_broker_events()
        .filter_map(|event| match event {
            BrokerEvent::Appended {
                base_offset,
                records,
                ..
            } => Some((base_offset, records)),
            _ => None,
        });
    batches.collect()
}

#[test]
fn truncation_removes_whole_batches_and_their_producer_state() {
    let mut cluster = simulated(KafkaRelease::V3_0);
    for sequence in [0, 2, 4, 6] {
        assert_eq!(send(&mut cluster, sequence).error, ErrorCode::NoError);
    }
    let epoch = cluster.partition("t", 0).unwrap().role.epoch;
    cluster.truncate("t", 0, 3).unwrap();
    assert_eq!(end(&cluster), 4, "two batches have three records in them");
    assert_eq!(cluster.partition("t", 0).unwrap().role.epoch, epoch + 1);
    let lost = cluster.take_broker_events().last();
    let expected = BrokerEvent::Truncated {
        topic: "t".into(),
        incarnation: 1,
        partition: 0,
        from_offset: 4,
    };
    assert_eq!(lost, Some(expected));
    // Duplicates of kept batches are still recognised; those of lost batches are not.
    assert_eq!(send(&mut cluster, 2).base_offset, 2);
    let behind = send(&mut cluster, 8).error;
    assert_eq!(behind, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(send(&mut cluster, 4).base_offset, 4);
    assert_eq!(end(&cluster), 6);
    cluster.truncate("t", 0, 1000).unwrap();
    assert_eq!(end(&cluster), 0);
    cluster.truncate("t", 0, 1).unwrap();
    let size = cluster.partition("t", 0).unwrap().log.size();
    assert_eq!((size.records, size.batches, size.bytes), (0, 0, 0));
    assert!(cluster.truncate("t", 1, 1).is_err());
}

#[test]
fn a_forgotten_producer_gets_the_error_of_the_release() {
    for release in ALL_RELEASES_WITH_IDS {
        let mut cluster = simulated(release);
        send(&mut cluster, 0);
        cluster.forget_producers("t", 0).unwrap();
        let answer = send(&mut cluster, 2);
        let expected = match release {
            KafkaRelease::V0_11 => ErrorCode::OutOfOrderSequenceNumber,
            KafkaRelease::V3_0 => ErrorCode::NoError,
            _ => ErrorCode::UnknownProducerId,
        };
        assert_eq!(answer.error, expected, "{release:?}");
        if release >= KafkaRelease::V1_1 {
            assert_eq!(answer.log_start_offset, 2, "{release:?}");
        }
        let again = send(&mut cluster, 0).error;
        if release == KafkaRelease::V3_0 {
            assert_eq!(again, ErrorCode::OutOfOrderSequenceNumber);
        } else {
            assert_eq!(again, ErrorCode::NoError, "{release:?}");
        }
    }
}

#[test]
fn a_truncation_does_not_restore_a_forgotten_producer() {
    let mut cluster = simulated(KafkaRelease::V3_0);
    send(&mut cluster, 0);
    send(&mut cluster, 2);
    cluster.forget_producers("t", 0).unwrap();
    send(&mut cluster, 4);
    cluster.truncate("t", 0, 1).unwrap();
    assert_eq!(end(&cluster), 4);
    assert_eq!(send(&mut cluster, 2).base_offset, 4, "written once more");
}

#[test]
fn a_rebuilt_cluster_has_new_ids_and_empty_topics() {
    let mut cluster = simulated(KafkaRelease::V3_0);
    send(&mut cluster, 0);
    let before = metadata(&mut cluster, None, 11);
    let _ = cluster.take_broker_events().count();
    cluster.rebuild("another".into());
    let gone = BrokerEvent::TopicGone {
        topic: "t".into(),
        incarnation: 1,
    };
    assert_eq!(cluster.take_broker_events().collect::<Vec<_>>(), [gone]);
    let after = metadata(&mut cluster, None, 11);
    assert_ne!(after.cluster_id, before.cluster_id);
    assert_ne!(after.topics[0].topic_id, before.topics[0].topic_id);
    assert_eq!(after.topics[0].name, before.topics[0].name);
    let epoch = after.topics[0].partitions[0].leader_epoch;
    assert!(epoch < before.topics[0].partitions[0].leader_epoch);
    assert_eq!(end(&cluster), 0);
    assert_eq!(
        send(&mut cluster, 2).base_offset,
        0,
        "the producer state is lost"
    );
    assert_eq!(appended(&mut cluster), [(0, vec![2, 3])]);
    assert_eq!(cluster.topic("t").unwrap().incarnation, 2);
}

#[test]
fn metadata_can_report_lower_epochs_and_the_real_ones_again() {
    let mut cluster = simulated(KafkaRelease::V3_0);
    let epoch = |cluster: &mut SimCluster| {
        let told = metadata(cluster, Some(&["t"]), 9);
        told.topics[0].partitions[0].leader_epoch
    };
    let before = epoch(&mut cluster);
    cluster.epochs_go_back(true);
    let lower = epoch(&mut cluster);
    assert!(0 < lower && lower < before);
    cluster.move_leader("t", 0, 1).unwrap();
    assert_eq!(epoch(&mut cluster), lower + 1);
    cluster.epochs_go_back(false);
    assert_eq!(epoch(&mut cluster), before + 1);
    cluster.raise_epochs();
    assert!(epoch(&mut cluster) > before + 1000);
}

#[test]
fn a_partition_without_a_leader_refuses_batches() {
    let mut cluster = simulated(KafkaRelease::V3_0);
    cluster.lose_leader("t", 0).unwrap();
    cluster.node_down(1);
    cluster.node_up(1);
    let told = metadata(&mut cluster, Some(&["t"]), 9);
    assert_eq!(
        told.topics[0].partitions[0].error,
        ErrorCode::LeaderNotAvailable
    );
    let answer = send(&mut cluster, 0);
    assert_eq!(answer.error, ErrorCode::NotLeaderOrFollower);
    cluster.elect_leader("t", 0).unwrap();
    assert_eq!(send(&mut cluster, 0).error, ErrorCode::NoError);
}

#[test]
fn a_lowered_size_limit_refuses_batches_that_were_accepted_before() {
    let mut cluster = simulated(KafkaRelease::V3_0);
    let settings = TopicSettings {
        max_message_bytes: 20,
        ..TopicSettings::DEFAULT
    };
    let was = cluster.set_settings("t", settings).unwrap();
    assert_eq!(was, TopicSettings::DEFAULT);
    assert_eq!(send(&mut cluster, 0).error, ErrorCode::MessageTooLarge);
    cluster.set_settings("t", was).unwrap();
    assert_eq!(send(&mut cluster, 0).error, ErrorCode::NoError);
}

#[test]
fn metadata_reports_the_new_address_of_a_moved_node() {
    let mut cluster = simulated(KafkaRelease::V3_0);
    cluster.move_node(1, SimNode::new("elsewhere", 1));
    let told = metadata(&mut cluster, None, 9);
    assert_eq!(
        (&*told.brokers[1].host, told.brokers[1].port),
        ("elsewhere", 1)
    );
}
