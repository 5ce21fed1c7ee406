//! Calls inside callbacks, allowed and rejected ones, and the results that futures and callbacks get.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use kafka_producer::{
    CloseError, FlushError, FutureRecordMetadata, KafkaProducer, Misuse, ProduceError,
    ProduceErrorKind, ProducerSnapshot, RecordMetadata, SendError,
};

use crate::support::{BLOCK, LONG, cluster, config, producer, record, values};

/// Calls that would wait for the callback itself are rejected instead of causing a deadlock; a send that need not block
/// is accepted (KP-47, KAFKA-10790, XX-3).
#[test]
fn blocking_calls_are_rejected_inside_a_callback() {
    let cluster = cluster(1);
    let producer = Arc::new(producer(config(&cluster).linger(Duration::from_millis(50))));
    producer.partitions_for("t").unwrap();
    let (sender, results) = channel();
    let inner = Arc::clone(&producer);
    let callback = move |_: Result<&RecordMetadata, &ProduceError>| {
        let later = inner.send(record("from the callback")).unwrap();
        let get = later.get().unwrap_err();
        sender
            .send((
                inner.flush().unwrap_err(),
                inner.close().unwrap_err(),
                get.kind().clone(),
                inner
                    .send(kafka_producer::ProducerRecord::new("unknown", "v"))
                    .unwrap_err(),
                later,
            ))
            .unwrap();
    };
    let first = producer
        .send_with_callback(record("first"), callback)
        .unwrap();
    let (flush, close, get, send, later) = results.recv_timeout(LONG).unwrap();
    assert!(matches!(flush, FlushError::Misuse(Misuse::InsideCallback)));
    assert!(matches!(close, CloseError::Misuse(Misuse::InsideCallback)));
    assert_eq!(get, ProduceErrorKind::Misuse);
    assert!(matches!(send, SendError::Misuse(Misuse::InsideCallback)));
    assert_eq!(first.get().unwrap().offset(), 0);
    assert_eq!(later.get_timeout(LONG).unwrap().offset(), 1);
    assert_eq!(values(&cluster, 0), ["first", "from the callback"]);
}

/// A panic in a callback is caught and logged (NC-8).
#[test]
fn a_panicking_callback_affects_no_record() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster));
    let bad = producer
        .send_with_callback(record("a"), |_| panic!("planted"))
        .unwrap();
    assert_eq!(bad.get_timeout(LONG).unwrap().offset(), 0);
    let good = producer.send(record("b")).unwrap();
    assert_eq!(good.get_timeout(LONG).unwrap().offset(), 1);
    producer.close().unwrap();
}

/// Callbacks of one partition run in the order of their sends (KP-34). The waiters of a batch are released after its
/// callbacks (PB-15).
#[test]
fn callbacks_of_a_partition_run_in_order_and_before_get_returns() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).linger(Duration::from_millis(5)));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut last = None;
    for number in 0..1000 {
        let seen = Arc::clone(&seen);
        let callback = move |fate: Result<&RecordMetadata, &ProduceError>| {
            seen.lock().unwrap().push((number, fate.unwrap().offset()));
        };
        last = Some(producer.send_with_callback(record("v"), callback).unwrap());
    }
    assert_eq!(last.unwrap().get_timeout(LONG).unwrap().offset(), 999);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1000);
    assert!(
        seen.iter()
            .enumerate()
            .all(|(at, pair)| *pair == (at, at as i64))
    );
}

/// The callback of a record that fails in `send` has run when `send` returns (KP-24).
#[test]
fn a_record_that_fails_at_once_calls_back_on_the_callers_thread() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).max_block(BLOCK));
    let caller = std::thread::current().id();
    let (sender, results) = channel();
    let callback = move |fate: Result<&RecordMetadata, &ProduceError>| {
        sender
            .send((std::thread::current().id(), fate.unwrap_err().clone()))
            .unwrap();
    };
    let missing = kafka_producer::ProducerRecord::new("missing", "v");
    let future = producer.send_with_callback(missing, callback).unwrap();
    let (thread, error) = results.try_recv().unwrap();
    assert_eq!(thread, caller);
    assert!(future.is_done());
    assert_eq!(future.get().unwrap_err(), error);
    assert_eq!(error.kind(), &ProduceErrorKind::UnknownTopicOrPartition);
}

/// The name of the sender thread contains the client id (KP-6).
#[test]
fn callbacks_run_on_the_thread_that_is_named_for_the_client() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).client_id("named"));
    let (sender, names) = channel();
    let callback = move |_: Result<&RecordMetadata, &ProduceError>| {
        sender
            .send(std::thread::current().name().map(str::to_owned))
            .unwrap();
    };
    let _sent = producer.send_with_callback(record("v"), callback).unwrap();
    let name = names.recv_timeout(LONG).unwrap();
    assert_eq!(
        name.as_deref(),
        Some("kafka-producer-network-thread | named")
    );
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A minimal executor.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park_timeout(LONG),
        }
    }
}

#[test]
fn a_future_can_be_awaited_without_a_runtime() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).linger(Duration::from_millis(20)));
    let future = producer.send(record("v")).unwrap();
    assert_eq!(block_on(future).unwrap().offset(), 0);
}

/// Java: RecordSendTest#testTimeout
#[test]
fn a_future_timeout_leaves_the_record_in_flight() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).linger(Duration::from_secs(60)));
    let future = producer.send(record("v")).unwrap();
    let error = future.get_timeout(Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.kind(), &ProduceErrorKind::Pending);
    assert!(error.is_retriable() && !future.is_done());
    producer.flush().unwrap();
    assert_eq!(future.get().unwrap().offset(), 0);
}

#[test]
fn shared_types_are_send_and_sync() {
    fn shared<T: Send + Sync>() {}
    shared::<KafkaProducer<str, [u8]>>();
    shared::<FutureRecordMetadata>();
    shared::<RecordMetadata>();
    shared::<ProducerSnapshot>();
    shared::<ProduceError>();
    shared::<kafka_producer::ProducerConfig>();
    shared::<kafka_producer::Error>();
}
