//! Batch splitting: batches larger than the topic's limit.

use kafka_producer::testing::{TestCluster, TopicOptions};
use kafka_producer::{Delivery, ErrorCode};

use crate::support::*;

fn small_topic(limit: usize) -> TestCluster {
    TestCluster::builder()
        .topic_with("t", TopicOptions::new(1).max_message_bytes(limit))
        .start()
        .unwrap()
}

/// Values of `enable.idempotence` and `max.in.flight.requests.per.connection`.
const VARIANTS: [(&str, &str); 3] = [("true", "5"), ("false", "5"), ("false", "1")];

/// KAFKA-8350, KAFKA-19479
#[test]
fn everything_arrives_in_pieces_when_batches_are_larger_than_the_topic_allows() {
    for at @ (idempotence, in_flight) in VARIANTS {
        let cluster = small_topic(2000);
        let producer = producer(
            config(&cluster)
                .set("batch.size", "100000")
                .set("linger.ms", "50")
                .set("enable.idempotence", idempotence)
                .set("max.in.flight.requests.per.connection", in_flight),
        );
        let futures: Vec<_> = (0..5000)
            .map(|i| producer.send(record(&format!("value {i:05}"))).unwrap())
            .collect();
        producer.flush().unwrap();
        assert!(
            futures
                .iter()
                .all(kafka_producer::FutureRecordMetadata::is_done),
            "{at:?}"
        );
        let found = values(&cluster, 0);
        assert_eq!(found.len(), 5000, "{at:?}");
        for (i, future) in futures.iter().enumerate() {
            let offset = future.get().unwrap().offset() as usize;
            assert_eq!(found[offset], format!("value {i:05}"), "{at:?}");
        }
        let snapshot = producer.snapshot();
        assert!(snapshot.batches_split > 0, "{at:?}");
        assert_eq!(snapshot.records_retried, 0, "{at:?}");
        assert_eq!(
            snapshot.memory_free_bytes, snapshot.memory_total_bytes,
            "{at:?}"
        );
        producer.close().unwrap();
    }
}

#[test]
fn the_other_records_of_a_batch_with_one_oversized_record_arrive() {
    let cluster = small_topic(1000);
    let producer = producer(config(&cluster).set("linger.ms", "200"));
    let huge = "x".repeat(2000);
    let futures = ["a", "b", &huge, "c"].map(|value| producer.send(record(value)).unwrap());
    producer.flush().unwrap();
    let error = futures[2].get().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::MessageTooLarge));
    assert_eq!(error.delivery(), Delivery::NotWritten);
    assert!(error.to_string().contains("max.message.bytes"), "{error}");
    assert_eq!(values(&cluster, 0), ["a", "b", "c"]);
    assert!(futures[3].get().is_ok());
    producer.close().unwrap();
}
