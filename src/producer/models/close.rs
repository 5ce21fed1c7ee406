//! Closing a whole producer: a record that is sent concurrently is refused, or gets its outcome.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use super::check;
use super::rig::{HOUR, Producer, Rig, Setup, record};
use crate::compress::CompressionType;
use crate::error::CloseError;
use crate::planted::Defect;

/// Sends a record on another thread, which returns whether the record was written; `None` if `send` refused it.
fn send(producer: &Arc<Producer>) -> thread::JoinHandle<Option<bool>> {
    let producer = Arc::clone(producer);
    thread::spawn(move || {
        let future = producer.send(record(0)).ok()?;
        Some(future.get().is_ok())
    })
}

#[test]
fn a_record_sent_during_a_close_is_refused_or_written() {
    let defects = [Defect::ClosesAfterWaking, Defect::NotifiedSenderSleeps];
    check(2, &defects, || {
        let rig = Rig::new(Setup::default());
        // Creates the partition's queue.
        drop(rig.producer.send(record(0)).unwrap());
        let sends = send(&rig.producer);
        let sender = thread::spawn(|| rig.sender.run());
        rig.producer.close().unwrap();
        assert_ne!(sends.join().unwrap(), Some(false));
        sender.join().unwrap();
    });
}

#[test]
fn a_lingering_record_is_written_at_once_when_the_producer_is_closed() {
    check(2, &[Defect::ClosesAfterWaking], || {
        let rig = Rig::new(Setup {
            linger: HOUR,
            batch_size: 1000,
            ..Setup::default()
        });
        let sends = send(&rig.producer);
        let sender = thread::spawn(|| rig.sender.run());
        rig.producer.close().unwrap();
        assert_ne!(sends.join().unwrap(), Some(false));
        sender.join().unwrap();
    });
}

/// The record fills its batch. The sending thread takes the batch out of the queue to compress it.
#[test]
fn a_batch_that_is_being_packed_during_a_close_is_written() {
    let defects = [Defect::PackedBeforeSignalled, Defect::PackedTellsNobody];
    check(2, &defects, || {
        let rig = Rig::new(Setup {
            codec: CompressionType::Lz4,
            ..Setup::default()
        });
        let closing = Arc::clone(&rig.producer);
        let closes = thread::spawn(move || closing.close().unwrap());
        let sender = thread::spawn(|| rig.sender.run());
        if let Ok(future) = rig.producer.send(record(0)) {
            future.get().unwrap();
        }
        closes.join().unwrap();
        sender.join().unwrap();
    });
}

#[test]
fn a_record_sent_during_a_forced_close_is_refused_or_gets_an_outcome() {
    check(2, &[Defect::LatchSetUnlocked], || {
        let rig = Rig::new(Setup::default());
        // Creates the partition's queue.
        drop(rig.producer.send(record(0)).unwrap());
        let sends = send(&rig.producer);
        let sender = thread::spawn(|| rig.sender.run());
        let closed = rig.producer.close_timeout(Duration::ZERO);
        let undelivered = matches!(closed, Err(CloseError::Undelivered { records: 1 | 2, .. }));
        assert!(closed.is_ok() || undelivered, "{closed:?}");
        let written = sends.join().unwrap();
        assert!(written != Some(false) || undelivered);
        sender.join().unwrap();
    });
}

/// One of the two calls closes the plug-ins, and the other waits for that.
#[test]
fn two_concurrent_calls_of_close_both_return() {
    check(2, &[Defect::LatchSetUnlocked], || {
        let rig = Rig::new(Setup::default());
        let other = Arc::clone(&rig.producer);
        let other = thread::spawn(move || other.close().unwrap());
        let sender = thread::spawn(|| rig.sender.run());
        rig.producer.close().unwrap();
        other.join().unwrap();
        sender.join().unwrap();
    });
}

#[test]
fn a_thread_that_waits_for_memory_is_woken_when_the_producer_is_closed() {
    check(2, &[Defect::TicketLooksUnlocked], || {
        let rig = Rig::new(Setup {
            linger: HOUR,
            batch_size: 200,
            memory: 200,
            ..Setup::default()
        });
        let lease = rig.shared.accumulator.pool().try_allocate(200).unwrap();
        let sends = send(&rig.producer);
        let sender = thread::spawn(|| rig.sender.run());
        rig.producer.close_timeout(Duration::ZERO).unwrap();
        assert_eq!(sends.join().unwrap(), None);
        sender.join().unwrap();
        drop(lease);
    });
}
