//! Threads that share a mock producer, and threads that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use kafka_producer::{ProduceError, ProduceErrorKind, RecordMetadata};

use super::{Rig, record};

const THREADS: usize = 4;
const RECORDS: usize = 200;

#[test]
fn records_of_many_threads_are_written_and_completed_once() {
    let rig = Rig::new(true);
    let count = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..RECORDS {
                    let count = Arc::clone(&count);
                    let callback = move |_: Result<&RecordMetadata, &ProduceError>| {
                        count.fetch_add(1, Ordering::SeqCst);
                    };
                    let future = rig.producer.send_with_callback(record("key"), callback);
                    assert!(future.unwrap().get().is_ok());
                }
            });
        }
    });
    assert!(rig.mock.flushed());
    assert_eq!(count.load(Ordering::SeqCst), THREADS * RECORDS);
    let mut offsets: Vec<_> = rig.mock.history().iter().map(|it| it.offset).collect();
    offsets.sort_unstable();
    assert!(offsets.into_iter().eq(0..(THREADS * RECORDS) as i64));
}

/// The code under test waits on one thread, and the test completes the record on another.
#[test]
fn a_thread_that_waits_for_its_record_returns_when_the_test_completes_it() {
    let rig = Rig::new(false);
    thread::scope(|scope| {
        let waits = scope.spawn(|| rig.send("key").get());
        while !rig.mock.complete_next() {
            thread::yield_now();
        }
        assert!(waits.join().unwrap().is_ok());
        let waits = scope.spawn(|| rig.send("key").get());
        while !rig.mock.error_next(ProduceErrorKind::DeliveryTimeout) {
            thread::yield_now();
        }
        let error = waits.join().unwrap().unwrap_err();
        assert!(error.is_timeout() && error.may_be_written());
    });
}

#[test]
fn a_wait_with_a_timeout_times_out() {
    let rig = Rig::new(false);
    let future = rig.send("key");
    let error = future.get_timeout(Duration::from_millis(5)).unwrap_err();
    assert_eq!(*error.kind(), ProduceErrorKind::Pending);
    assert!(rig.mock.complete_next());
    assert!(future.get_timeout(Duration::from_millis(5)).is_ok());
}

#[test]
fn threads_that_flush_and_commit_while_others_send_return() {
    let rig = Rig::initialized(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..RECORDS {
                    // The record is rejected if no transaction is open.
                    drop(rig.producer.send(record("key")));
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20 {
                rig.producer.begin_transaction().unwrap();
                rig.producer.flush().unwrap();
                rig.producer.commit_transaction().unwrap();
            }
        });
    });
    assert_eq!(rig.mock.commit_count(), 20);
    assert!(rig.mock.flushed() && rig.mock.uncommitted_records().is_empty());
}
