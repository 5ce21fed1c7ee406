//! Records: completed as they are sent, or one by one.
//!
//! `MockProducerTest#shouldThrowClassCastException` has no counterpart: a record whose key has another type does not
//! compile.

use std::sync::mpsc;

use kafka_producer::testing::MockProducer;
use kafka_producer::{
    CompressionType, Delivery, ErrorCode, Header, KafkaProducer, ProduceError, ProduceErrorKind,
    ProducerConfig, ProducerRecord, RecordMetadata, SendError, TrySendReason,
};

use super::{Producer, Rig, TOPIC, record};

/// Java: MockProducerTest#testAutoCompleteMock
#[test]
fn a_record_is_complete_when_send_returns_and_in_the_history_until_it_is_cleared() {
    let rig = Rig::new(true);
    let future = rig.send("key1");
    assert!(future.is_done());
    let metadata = future.get().unwrap();
    assert_eq!((metadata.offset(), metadata.topic()), (0, TOPIC));
    assert_eq!(rig.send("key2").get().unwrap().offset(), 1);
    assert_eq!(rig.history(), ["key1", "key2"]);
    let shown = format!("{:?}", rig.mock.history()[0]);
    assert!(shown.contains(r#"key: "key1", value: "value""#), "{shown}");
    rig.mock.clear();
    assert!(rig.mock.history().is_empty());
    assert_eq!(rig.send("key3").get().unwrap().offset(), 2);
}

/// Java: MockProducerTest#testPartitioner
#[test]
fn the_producers_own_partitioner_chooses_among_the_configured_partitions() {
    let builder = MockProducer::builder().topic(TOPIC, 2);
    let (producer, mock) = builder.build::<str, str>().unwrap();
    let future = producer.send(record("key")).unwrap();
    assert_eq!(future.get().unwrap().partition(), 1);
    assert_eq!(mock.history()[0].partition, 1);
    assert_eq!(producer.partitions_for(TOPIC).unwrap().len(), 2);
    assert_eq!(producer.partitions_for("other").unwrap().len(), 1);
    mock.clear();
    assert!(mock.history().is_empty());
    producer.close().unwrap();
}

/// Java: MockProducerTest#testManualCompletion
#[test]
fn the_test_completes_records_in_the_order_of_the_sends() {
    let rig = Rig::new(false);
    let futures = [rig.send("key1"), rig.send("key2")];
    assert!(futures.iter().all(|future| !future.is_done()));
    assert!(rig.mock.complete_next());
    assert!(futures[0].get().is_ok());
    assert!(!futures[1].is_done());
    assert!(rig.mock.error_next(ErrorCode::MessageTooLarge));
    let error = futures[1].get().unwrap_err();
    assert_eq!(
        *error.kind(),
        ProduceErrorKind::Broker(ErrorCode::MessageTooLarge)
    );
    assert!(!rig.mock.complete_next());
    let futures = [rig.send("key1"), rig.send("key2")];
    assert!(futures.iter().all(|future| !future.is_done()));
    rig.producer.flush().unwrap();
    assert!(futures.iter().all(|future| future.get().is_ok()));
}

/// Java: MockProducerTest#shouldBeFlushedIfNoBufferedRecords, #shouldBeFlushedWithAutoCompleteIfBufferedRecords,
/// #shouldNotBeFlushedWithNoAutoCompleteIfBufferedRecords, #shouldNotBeFlushedAfterFlush
#[test]
fn flushed_is_true_if_no_record_is_incomplete() {
    let rig = Rig::new(true);
    assert!(rig.mock.flushed());
    let _written = rig.send("key1");
    assert!(rig.mock.flushed());
    let rig = Rig::new(false);
    let _waiting = rig.send("key1");
    assert!(!rig.mock.flushed());
    rig.producer.flush().unwrap();
    assert!(rig.mock.flushed());
}

/// Java: MockProducerTest#testMetadataOnException. Difference: the callback gets no metadata, but an error that names
/// the partition.
#[test]
fn a_callback_gets_the_error_that_the_test_set() {
    let rig = Rig::new(false);
    let (sender, receiver) = mpsc::channel();
    let callback = move |fate: Result<&RecordMetadata, &ProduceError>| {
        sender.send(fate.map(drop).map_err(Clone::clone)).unwrap();
    };
    let future = rig.producer.send_with_callback(record("key"), callback);
    assert!(rig.mock.error_next(ProduceErrorKind::Network));
    let error = receiver.try_recv().unwrap().unwrap_err();
    assert_eq!(future.unwrap().get().unwrap_err(), error);
    assert_eq!(*error.kind(), ProduceErrorKind::Network);
    assert_eq!((error.topic(), error.partition()), (TOPIC, Some(0)));
}

/// Whether the record may be written depends on the kind of the failure.
#[test]
fn a_failure_of_any_kind_is_final_and_shows_whether_the_record_may_be_written() {
    let table = [
        (
            ErrorCode::NotLeaderOrFollower.into(),
            Delivery::MaybeWritten,
        ),
        (ErrorCode::NotEnoughReplicas.into(), Delivery::NotWritten),
        (
            ErrorCode::TopicAuthorizationFailed.into(),
            Delivery::NotWritten,
        ),
        (ProduceErrorKind::DeliveryTimeout, Delivery::MaybeWritten),
        (ProduceErrorKind::Network, Delivery::MaybeWritten),
        (ProduceErrorKind::Authentication, Delivery::NotWritten),
        (ProduceErrorKind::UnsupportedVersion, Delivery::NotWritten),
    ];
    let rig = Rig::new(false);
    for (kind, delivery) in table {
        let future = rig.send("key");
        assert!(rig.mock.error_next(kind.clone()));
        let error = future.get().unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (&kind, delivery));
    }
    assert!(!rig.mock.complete_next(), "none is tried again");
    assert_eq!(rig.history().len(), 7, "they were sent");
}

#[test]
fn the_history_has_the_records_that_brokers_would_get() {
    let config = ProducerConfig::builder()
        .compression_type(CompressionType::None)
        .set("acks", "1")
        .build()
        .unwrap();
    let builder = KafkaProducer::<str, i64>::builder(config).stock_serializers();
    let mocked = MockProducer::builder().topic(TOPIC, 3).build_with(builder);
    let (producer, mock) = mocked.unwrap();
    let record = ProducerRecord::keyed(TOPIC, "key", 7_i64)
        .with_partition(2)
        .with_timestamp(1_632_182_400_000)
        .with_header("h", &b"x"[..]);
    let _written = producer.send(record).unwrap();
    let mut null = ProducerRecord::keyed(TOPIC, "key", 7_i64).with_partition(2);
    null.clear_value();
    let _written = producer.send(null).unwrap();
    let history = mock.history();
    assert_eq!(history[0].key_str(), Some("key"));
    assert_eq!(history[0].value.as_deref(), Some(&7_i64.to_be_bytes()[..]));
    assert_eq!(
        (history[0].topic.as_str(), history[0].partition),
        (TOPIC, 2)
    );
    assert_eq!(history[0].timestamp, 1_632_182_400_000);
    let headers: Vec<_> = history[0].headers.iter().map(Header::key).collect();
    assert_eq!(headers, ["h"]);
    assert_eq!((&history[1].value, history[1].offset), (&None, 1));
}

/// Each record is a batch of its own, so records of one partition complete separately.
#[test]
fn any_number_of_records_complete_one_by_one_in_the_order_of_the_sends() {
    for is_transactional in [false, true] {
        let rig = if is_transactional {
            Rig::begun(false)
        } else {
            Rig::new(false)
        };
        let futures: Vec<_> = (0..20).map(|_| rig.send("key")).collect();
        let sent = if is_transactional {
            rig.mock.uncommitted_records()
        } else {
            rig.mock.history()
        };
        assert_eq!(sent.len(), futures.len());
        for (at, future) in futures.iter().enumerate() {
            assert!(!future.is_done());
            assert!(rig.mock.complete_next());
            assert_eq!(future.get().unwrap().offset(), at as i64);
        }
    }
}

#[test]
fn records_sent_by_a_callback_are_sent_and_completed_too() {
    let rig = Rig::new(true);
    let Rig { producer, mock } = rig;
    let producer = std::sync::Arc::new(producer);
    let again = std::sync::Arc::clone(&producer);
    let future = producer.send_with_callback(record("first"), move |_| {
        let _written = again.send(record("second")).unwrap();
    });
    assert!(future.unwrap().is_done());
    let keys: Vec<_> = mock
        .history()
        .iter()
        .map(|it| it.key.clone().unwrap())
        .collect();
    assert_eq!(keys, [b"first".to_vec(), b"second".to_vec()]);
    assert!(mock.flushed());
}

/// The calls do not wait for `max.block.ms`, which is a minute.
#[test]
fn a_missing_topic_or_partition_fails_at_once() {
    let builder = MockProducer::builder()
        .topic("known", 2)
        .only_named_topics();
    let (producer, _mock) = builder.build::<str, str>().unwrap();
    for _ in 0..2 {
        let error = producer.send(record("key")).unwrap().get().unwrap_err();
        assert_eq!(*error.kind(), ProduceErrorKind::UnknownTopicOrPartition);
    }
    assert!(producer.partitions_for("unknown").is_err());
    let missing = ProducerRecord::new("known", "value").with_partition(7);
    let error = producer.send(missing).unwrap().get().unwrap_err();
    assert_eq!(*error.kind(), ProduceErrorKind::UnknownTopicOrPartition);
    let found = ProducerRecord::new("known", "value").with_partition(1);
    assert!(producer.send(found).unwrap().get().is_ok());
    let refused = producer.try_send(record("key")).unwrap_err();
    assert!(
        matches!(refused.reason(), TrySendReason::Record(_)),
        "{refused}"
    );
}

#[test]
fn the_limits_of_the_configuration_apply() {
    let config = ProducerConfig::builder()
        .max_request_size(100)
        .build()
        .unwrap();
    let builder = Producer::builder(config).stock_serializers();
    let (producer, mock) = MockProducer::builder().build_with(builder).unwrap();
    let value = "x".repeat(200);
    let error = producer.send(ProducerRecord::new(TOPIC, value.as_str()));
    let error = error.unwrap().get().unwrap_err();
    assert!(
        matches!(error.kind(), ProduceErrorKind::RecordTooLarge { .. }),
        "{error}"
    );
    assert!(mock.history().is_empty());
}

#[test]
fn a_close_completes_incomplete_records_and_a_forced_close_fails_them() {
    let rig = Rig::new(false);
    let future = rig.send("key");
    rig.producer.close().unwrap();
    assert!(rig.mock.closed() && future.get().is_ok());
    let rig = Rig::new(false);
    let future = rig.send("key");
    assert!(
        rig.producer
            .close_timeout(std::time::Duration::ZERO)
            .is_err()
    );
    assert_eq!(*future.get().unwrap_err().kind(), ProduceErrorKind::Closed);
    assert!(!rig.mock.complete_next() && rig.mock.flushed());
    let refused = rig.producer.send(record("key")).unwrap_err();
    assert!(matches!(refused, SendError::Closed), "{refused}");
}
