//! Offsets of consumer groups, committed with transactions.

use std::collections::BTreeMap;

use kafka_producer::testing::GroupOffsets;
use kafka_producer::{
    ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition, TransactionErrorKind,
};

use super::{Rig, TOPIC};

type Offsets = BTreeMap<TopicPartition, OffsetAndMetadata>;

fn offsets(all: &[(i32, i64)]) -> Offsets {
    let offset = |&(partition, offset): &(i32, i64)| {
        let offset = OffsetAndMetadata::new(offset).leader_epoch(3).metadata("m");
        (TopicPartition::new(TOPIC, partition), offset)
    };
    all.iter().map(offset).collect()
}

fn groups<const N: usize>(all: [(&str, &[(i32, i64)]); N]) -> GroupOffsets {
    let groups = all.into_iter();
    groups
        .map(|(group, all)| (group.to_owned(), offsets(all)))
        .collect()
}

impl Rig {
    fn send_offsets(&self, group: &str, all: &[(i32, i64)]) {
        let group = ConsumerGroupMetadata::new(group).member("member", 7);
        self.producer
            .send_offsets_to_transaction(offsets(all), group)
            .unwrap();
    }

    fn commit(&self) {
        self.producer.commit_transaction().unwrap();
    }
}

/// Java: MockProducerTest#shouldPublishConsumerGroupOffsetsOnlyAfterCommitIfTransactionsAreEnabled
#[test]
fn offsets_are_in_the_history_when_their_transaction_is_committed() {
    let rig = Rig::begun(true);
    let all = groups([("g1", &[(0, 42), (1, 73)]), ("g2", &[(0, 101), (1, 21)])]);
    rig.send_offsets("g1", &[(0, 42), (1, 73)]);
    rig.send_offsets("g2", &[(0, 101), (1, 21)]);
    assert!(rig.mock.consumer_group_offsets_history().is_empty());
    assert_eq!(rig.mock.uncommitted_offsets(), all);
    rig.commit();
    assert_eq!(rig.mock.consumer_group_offsets_history(), [all]);
    assert!(rig.mock.uncommitted_offsets().is_empty());
    rig.mock.clear();
    assert!(rig.mock.consumer_group_offsets_history().is_empty());
}

/// Java: MockProducerTest#shouldThrowOnNullConsumerGroupIdWhenSendOffsetsToTransaction,
/// #shouldThrowOnNullConsumerGroupMetadataWhenSendOffsetsToTransaction. Here a group cannot be null, but its name
/// can be empty.
#[test]
fn a_group_without_a_name_is_rejected() {
    let rig = Rig::begun(true);
    let by_id = rig.producer.send_offsets_to_transaction(offsets(&[]), "");
    let nameless = ConsumerGroupMetadata::new("");
    let by_metadata = rig
        .producer
        .send_offsets_to_transaction(offsets(&[]), nameless);
    for outcome in [by_id, by_metadata] {
        assert_eq!(
            outcome.unwrap_err().kind(),
            TransactionErrorKind::InvalidOffsets
        );
    }
}

/// Java: MockProducerTest#shouldIgnoreEmptyOffsetsWhenSendOffsetsToTransactionByGroupId,
/// #shouldIgnoreEmptyOffsetsWhenSendOffsetsToTransactionByGroupMetadata
#[test]
fn sending_no_offsets_has_no_effect() {
    let rig = Rig::begun(true);
    rig.producer
        .send_offsets_to_transaction(offsets(&[]), "group")
        .unwrap();
    assert!(!rig.mock.sent_offsets());
    rig.send_offsets("group", &[]);
    assert!(!rig.mock.sent_offsets());
}

/// Java: MockProducerTest#shouldAddOffsetsWhenSendOffsetsToTransactionByGroupId,
/// #shouldAddOffsetsWhenSendOffsetsToTransactionByGroupMetadata
#[test]
fn sent_offsets_is_true_once_offsets_were_sent() {
    let rig = Rig::begun(true);
    assert!(!rig.mock.sent_offsets());
    let sent = offsets(&[(0, 42)]);
    rig.producer
        .send_offsets_to_transaction(sent, "group")
        .unwrap();
    assert!(rig.mock.sent_offsets());
    let rig = Rig::begun(true);
    rig.send_offsets("group", &[(0, 42)]);
    assert!(rig.mock.sent_offsets());
}

/// Java: MockProducerTest#shouldResetSentOffsetsFlagOnlyWhenBeginningNewTransaction
#[test]
fn sent_offsets_is_true_until_the_next_transaction_begins() {
    let rig = Rig::begun(true);
    for _ in 0..2 {
        assert!(!rig.mock.sent_offsets());
        rig.send_offsets("group", &[(0, 42)]);
        rig.commit();
        assert!(rig.mock.sent_offsets());
        rig.producer.begin_transaction().unwrap();
    }
    assert!(!rig.mock.sent_offsets());
}

/// Java: MockProducerTest#shouldPublishLatestAndCumulativeConsumerGroupOffsetsOnlyAfterCommitIfTransactionsAreEnabled
#[test]
fn the_last_of_two_offsets_sent_for_a_partition_counts() {
    let rig = Rig::begun(true);
    rig.send_offsets("g", &[(0, 42), (1, 73)]);
    rig.send_offsets("g", &[(1, 101), (2, 21)]);
    assert!(rig.mock.consumer_group_offsets_history().is_empty());
    rig.commit();
    let all = groups([("g", &[(0, 42), (1, 101), (2, 21)])]);
    assert_eq!(rig.mock.consumer_group_offsets_history(), [all]);
}

/// Java: MockProducerTest#shouldDropConsumerGroupOffsetsOnAbortIfTransactionsAreEnabled
#[test]
fn offsets_of_an_aborted_transaction_are_dropped() {
    let rig = Rig::begun(true);
    for _ in 0..2 {
        rig.send_offsets("g", &[(0, 42), (1, 73)]);
        rig.producer.abort_transaction().unwrap();
        rig.producer.begin_transaction().unwrap();
        rig.commit();
        assert!(rig.mock.consumer_group_offsets_history().is_empty());
        rig.producer.begin_transaction().unwrap();
    }
}

/// Java: MockProducerTest#shouldPreserveOffsetsFromCommitByGroupIdOnAbortIfTransactionsAreEnabled,
/// #shouldPreserveOffsetsFromCommitByGroupMetadataOnAbortIfTransactionsAreEnabled
#[test]
fn offsets_that_were_committed_stay_when_the_next_transaction_is_aborted() {
    let rig = Rig::begun(true);
    let committed = offsets(&[(0, 42), (1, 73)]);
    rig.producer
        .send_offsets_to_transaction(committed, "g")
        .unwrap();
    rig.commit();
    let all = [groups([("g", &[(0, 42), (1, 73)])])];
    rig.producer.begin_transaction().unwrap();
    rig.producer.abort_transaction().unwrap();
    assert_eq!(rig.mock.consumer_group_offsets_history(), all);
    rig.producer.begin_transaction().unwrap();
    rig.send_offsets("g2", &[(2, 53), (3, 84)]);
    rig.producer.abort_transaction().unwrap();
    assert_eq!(rig.mock.consumer_group_offsets_history(), all);
}
