//! `send_sync`, `send_all` and `wait_all` with the shortest and the longest timeout, inside a callback, in a transaction,
//! and with exhausted memory.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use kafka_producer::testing::TestCluster;
use kafka_producer::{
    Error, FutureRecordMetadata, ProduceError, ProduceErrorKind, RecordMetadata, SendError,
};

use crate::support::{BLOCK, LONG, Text, cluster, config, producer, record, values};

/// A linger that does not pass during a test.
const LINGER: Duration = Duration::from_secs(60);

fn kind(error: &Error) -> &ProduceErrorKind {
    match error {
        Error::Produce(error) => error.kind(),
        other => panic!("{other:?}"),
    }
}

fn kinds(results: &[Result<RecordMetadata, ProduceError>]) -> Vec<&ProduceErrorKind> {
    let errors = results.iter().map(|result| result.as_ref().unwrap_err());
    errors.map(ProduceError::kind).collect()
}

#[test]
fn with_a_timeout_of_zero_a_record_is_sent_if_that_is_possible_at_once() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).linger(LINGER));
    // Nothing is known of the topic yet.
    let error = producer.send_sync(record("lost"), Duration::ZERO);
    let error = error.unwrap_err();
    assert_eq!(kind(&error), &ProduceErrorKind::MetadataTimeout, "{error}");
    assert!(!error.may_be_written());
    producer.partitions_for("t").unwrap();

    let error = producer.send_sync(record("a"), Duration::ZERO).unwrap_err();
    assert_eq!(kind(&error), &ProduceErrorKind::Pending);
    for result in producer.send_all(["b", "c"].map(record), Duration::ZERO) {
        assert_eq!(kind(&result.unwrap_err()), &ProduceErrorKind::Pending);
    }
    let futures = ["d", "e"].map(|value| producer.send(record(value)).unwrap());
    let results = FutureRecordMetadata::wait_all(&futures, Duration::ZERO);
    assert_eq!(kinds(&results), [&ProduceErrorKind::Pending; 2]);

    producer.flush().unwrap();
    assert_eq!(values(&cluster, 0), ["a", "b", "c", "d", "e"]);
    let results = FutureRecordMetadata::wait_all(&futures, Duration::ZERO);
    let offsets = results.into_iter().map(|result| result.unwrap().offset());
    assert_eq!(offsets.collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn the_longest_timeout_is_no_overflow() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).linger(Duration::from_millis(5)));
    // The first record waits for metadata, with the timeout of the call.
    let metadata = producer.send_sync(record("a"), Duration::MAX).unwrap();
    assert_eq!(metadata.offset(), 0);
    let results = producer.send_all(["b", "c"].map(record), Duration::MAX);
    let offsets = results.into_iter().map(|result| result.unwrap().offset());
    assert_eq!(offsets.collect::<Vec<_>>(), [1, 2]);
    let futures = ["d", "e"].map(|value| producer.send(record(value)).unwrap());
    let results = FutureRecordMetadata::wait_all(futures, Duration::MAX);
    let offsets = results.into_iter().map(|result| result.unwrap().offset());
    assert_eq!(offsets.collect::<Vec<_>>(), [3, 4]);
}

/// A wait would be a deadlock, whatever its timeout: the sender thread runs the callback. Records that are in a batch
/// already are sent.
#[test]
fn waiting_inside_a_callback_is_refused_with_every_timeout() {
    for timeout in [Duration::ZERO, LONG, Duration::MAX] {
        let cluster = cluster(1);
        let producer = Arc::new(producer(config(&cluster)));
        let (sender, results) = channel();
        let inner = Arc::clone(&producer);
        let callback = move |_: Result<&RecordMetadata, &ProduceError>| {
            let one = inner.send_sync(record("one"), timeout).unwrap_err();
            let many = inner.send_all(["two", "three"].map(record), timeout);
            let future = inner.send(record("four")).unwrap();
            let waited = FutureRecordMetadata::wait_all([&future], timeout);
            let unknown = kafka_producer::ProducerRecord::new("unknown", "v");
            let unknown = inner.send_sync(unknown, timeout).unwrap_err();
            sender.send((one, many, waited, unknown, future)).unwrap();
        };
        let _first = producer
            .send_with_callback(record("first"), callback)
            .unwrap();
        let (one, many, waited, unknown, last) = results.recv_timeout(LONG).unwrap();
        assert_eq!(kind(&one), &ProduceErrorKind::Misuse, "{timeout:?}");
        for result in many {
            assert_eq!(kind(&result.unwrap_err()), &ProduceErrorKind::Misuse);
        }
        assert_eq!(kinds(&waited), [&ProduceErrorKind::Misuse]);
        let is_misuse = matches!(unknown, Error::Send(SendError::Misuse(_)));
        assert!(is_misuse, "{timeout:?}: {unknown:?}");
        last.get_timeout(LONG).unwrap();
        let expected = ["first", "one", "two", "three", "four"];
        assert_eq!(values(&cluster, 0), expected, "{timeout:?}");
    }
}

#[test]
fn results_in_a_transaction_come_before_its_commit_and_pending_records_belong_to_it() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).transactional_id("waits"));
    producer.init_transactions().unwrap();
    // No transaction has begun.
    let error = producer.send_sync(record("early"), LONG).unwrap_err();
    assert!(
        matches!(error, Error::Send(SendError::Transaction(_))),
        "{error:?}"
    );

    producer.begin_transaction().unwrap();
    assert_eq!(producer.send_sync(record("a"), LONG).unwrap().offset(), 0);
    for result in producer.send_all(["b", "c"].map(record), LONG) {
        result.unwrap();
    }
    assert_eq!(committed(&cluster), [""; 0]);
    // The result may be there already: the thread may be preempted between `send` and `get`.
    if let Err(error) = producer.send_sync(record("d"), Duration::ZERO) {
        assert_eq!(kind(&error), &ProduceErrorKind::Pending);
    }
    producer.commit_transaction().unwrap();
    assert_eq!(committed(&cluster), ["a", "b", "c", "d"]);

    producer.begin_transaction().unwrap();
    producer.send_sync(record("aborted"), LONG).unwrap();
    producer.abort_transaction().unwrap();
    assert_eq!(committed(&cluster), ["a", "b", "c", "d"]);
}

fn committed(cluster: &TestCluster) -> Vec<String> {
    let records = cluster.read_committed("t", 0).into_iter();
    let text = |value: Option<Vec<u8>>| String::from_utf8(value.unwrap()).unwrap();
    records.map(|record| text(record.value)).collect()
}

/// Fills the memory of a producer whose broker is down. Returns the futures of the records.
fn fill(producer: &Text, value: &str) -> Vec<FutureRecordMetadata> {
    let mut futures = Vec::new();
    while let Ok(future) = producer.try_send(record(value)) {
        futures.push(future);
    }
    futures
}

#[test]
fn with_exhausted_memory_a_call_waits_up_to_its_timeout_and_max_block_ms() {
    let cluster = cluster(1);
    let node = cluster.node_ids().next().unwrap();
    let producer = producer(config(&cluster).buffer_memory(64 * 1024).max_block(BLOCK));
    producer.partitions_for("t").unwrap();
    cluster.stop_node(node);
    let value = "v".repeat(1000);
    let futures = fill(&producer, &value);

    let exhausted = |result: Result<RecordMetadata, Error>| {
        let error = result.unwrap_err();
        assert_eq!(kind(&error), &ProduceErrorKind::BufferExhausted, "{error}");
        assert!(!error.may_be_written() && error.is_retriable());
    };
    // With `Duration::MAX`, `max.block.ms` ends the wait.
    for (timeout, at_least) in [
        (Duration::ZERO, Duration::ZERO),
        (BLOCK / 2, BLOCK / 2),
        (Duration::MAX, BLOCK),
    ] {
        let began = Instant::now();
        exhausted(producer.send_sync(record(&value), timeout));
        let took = began.elapsed();
        assert!((at_least..LONG).contains(&took), "{timeout:?}: {took:?}");
    }
    // One timeout for all: 200 records that each waited would take more than 20 s.
    let began = Instant::now();
    let records = (0..200).map(|_| record(&value));
    for result in producer.send_all(records, BLOCK / 2) {
        exhausted(result);
    }
    assert!((BLOCK / 2..LONG).contains(&began.elapsed()));
    let results = FutureRecordMetadata::wait_all(&futures, Duration::ZERO);
    assert_eq!(
        kinds(&results),
        vec![&ProduceErrorKind::Pending; futures.len()]
    );

    // A call that waits when memory becomes free gets it.
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let began = Instant::now();
            // `max.block.ms` is short, so the first calls may be refused.
            while let Err(error) = producer.send_sync(record("last"), LONG) {
                exhausted(Err(error));
                assert!(began.elapsed() < LONG);
            }
        });
        cluster.start_node(node).unwrap();
        waits.join().unwrap();
    });
    let results = FutureRecordMetadata::wait_all(&futures, LONG);
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(values(&cluster, 0).len(), futures.len() + 1);
}
