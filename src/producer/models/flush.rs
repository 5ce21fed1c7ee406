//! Flushing a whole producer whose batches linger: records that were sent before a flush are complete when it returns.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use super::check;
use super::rig::{HOUR, Rig, Setup, record};
use crate::planted::Defect;
use crate::producer::waiting::BlockingCall;

/// A rig whose batches linger, and have room for all records of a model.
fn lingering() -> Rig {
    Rig::new(Setup {
        linger: HOUR,
        batch_size: 1000,
        ..Setup::default()
    })
}

/// Steps the sender until `records` records are acknowledged.
fn run_until(rig: &mut Rig, records: u64) {
    while rig.shared.counters.snapshot().records_acknowledged < records {
        rig.sender.step();
    }
}

fn end(rig: Rig) {
    rig.shared.control.force();
    rig.sender.run();
}

#[test]
fn records_of_a_thread_are_done_when_its_flush_returns() {
    check(
        2,
        &[Defect::FlushWakesNobody, Defect::FlushCountsLate],
        || {
            let mut rig = lingering();
            let producer = Arc::clone(&rig.producer);
            let flushes = thread::spawn(move || {
                let future = producer.send(record(0)).unwrap();
                producer.flush().unwrap();
                assert!(future.is_done());
            });
            run_until(&mut rig, 1);
            flushes.join().unwrap();
            end(rig);
        },
    );
}

/// Two threads append to one batch; the thread that did not open the batch flushes. No sender runs.
#[test]
fn a_flush_waits_for_a_record_in_a_batch_that_another_thread_opened() {
    check(3, &[Defect::IncompleteLate], || {
        let rig = lingering();
        let producer = Arc::clone(&rig.producer);
        let sends = thread::spawn(move || drop(producer.send(record(0)).unwrap()));
        drop(rig.producer.send(record(0)).unwrap());
        let mut flush = rig.producer.flush_call(None);
        assert!(
            flush.step().done().is_none(),
            "the flush found no incomplete batch"
        );
        drop(flush);
        sends.join().unwrap();
        end(rig);
    });
}

/// Sends a record on another thread, which then flushes with a time-out of zero. Only that flush makes the batch due.
fn send_and_flush_without_waiting(rig: &Rig) -> thread::JoinHandle<()> {
    let producer = Arc::clone(&rig.producer);
    thread::spawn(move || {
        let future = producer.send(record(1)).unwrap();
        let _ = producer.flush_timeout(Duration::ZERO);
        future.get().unwrap();
    })
}

#[test]
fn a_batch_does_not_linger_after_its_flush_has_timed_out() {
    check(2, &[Defect::FlushLeavesLate], || {
        let mut rig = lingering();
        let sends = send_and_flush_without_waiting(&rig);
        run_until(&mut rig, 1);
        sends.join().unwrap();
        end(rig);
    });
}

#[test]
fn batches_of_two_flushes_that_timed_out_are_both_sent() {
    check(2, &[Defect::FlushForgetsOthers], || {
        let mut rig = lingering();
        let first = rig.producer.send(record(0)).unwrap();
        let _ = rig.producer.flush_timeout(Duration::ZERO);
        while !first.is_done() {
            rig.sender.step();
        }
        let sends = send_and_flush_without_waiting(&rig);
        run_until(&mut rig, 2);
        sends.join().unwrap();
        end(rig);
    });
}
