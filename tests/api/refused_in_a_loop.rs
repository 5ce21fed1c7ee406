//! Calls that are refused at once and repeated in a loop do not keep the sender busy.

use std::time::Duration;

use kafka_producer::testing::TestCluster;
use kafka_producer::{FlushError, MetadataError, ProduceErrorKind, ProducerRecord};

use crate::support::{Text, config, producer};

/// Number of refused calls of each kind.
const CALLS: u64 = 500;

/// Upper bound of the sender's loops meanwhile: back-offs end, and a topic's metadata is requested again.
const LOOPS: u64 = CALLS / 5;

/// Makes the call in a loop with short pauses, so that a sender that is woken has time to fall asleep again. Returns
/// the number of the sender's loops meanwhile.
fn loops(producer: &Text, call: impl Fn()) -> u64 {
    let before = producer.snapshot().sender_loops;
    for _ in 0..CALLS {
        call();
        std::thread::sleep(Duration::from_micros(200));
    }
    producer.snapshot().sender_loops - before
}

/// A producer whose memory is used up by records for a broker that hangs.
fn full(cluster: &TestCluster) -> Text {
    let producer = producer(
        config(cluster)
            .set("buffer.memory", "65536")
            .max_block(Duration::ZERO)
            .retry_backoff(Duration::from_millis(100)),
    );
    while producer
        .try_send(ProducerRecord::new("t", "first"))
        .is_err()
    {
        std::thread::sleep(Duration::from_millis(1));
    }
    producer.flush().unwrap();
    cluster.hang_node(0);
    while producer.try_send(large()).is_ok() {}
    // The sender sends what it may send.
    std::thread::sleep(Duration::from_millis(100));
    producer
}

fn large() -> ProducerRecord<'static, str, str> {
    ProducerRecord::new("t", "x".repeat(500))
}

#[test]
fn refused_calls_in_a_loop_do_not_wake_the_sender_each_time() {
    let cluster = crate::support::cluster(1);
    let producer = full(&cluster);
    let of_memory = loops(&producer, || {
        let refused = producer.try_send(large()).unwrap_err();
        assert!(refused.reason().would_block());
    });
    let of_blocking = loops(&producer, || {
        let error = producer.send(large()).unwrap().get().unwrap_err();
        assert_eq!(error.kind(), &ProduceErrorKind::BufferExhausted);
    });
    let of_topic = loops(&producer, || {
        let refused = producer.try_send(ProducerRecord::new("unknown", "v"));
        assert!(refused.unwrap_err().reason().would_block());
    });
    let of_partitions = loops(&producer, || {
        let error = producer.partitions_for("unknown").unwrap_err();
        assert!(matches!(error, MetadataError::TimedOut { .. }), "{error}");
    });
    let of_flush = loops(&producer, || {
        let error = producer.flush_timeout(Duration::ZERO).unwrap_err();
        assert!(matches!(error, FlushError::TimedOut { .. }), "{error}");
    });
    let all = [of_memory, of_blocking, of_topic, of_partitions, of_flush];
    assert!(all.iter().all(|loops| *loops <= LOOPS), "{all:?}");
    producer.close_timeout(Duration::ZERO).unwrap_err();
}
