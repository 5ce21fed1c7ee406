//! Flushing, with a whole producer whose batches linger: what was sent before a flush has ended after it.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use super::check;
use super::rig::{HOUR, Rig, Setup, record};
use crate::planted::Defect;
use crate::producer::waiting::BlockingCall;

/// Room for more records than a model sends.
fn lingering() -> Rig {
    Rig::new(Setup {
        linger: HOUR,
        batch_size: 1000,
        ..Setup::default()
    })
}

/// Steps until so many records are acknowledged.
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
fn what_a_thread_has_sent_is_done_when_its_flush_returns() {
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

/// Two threads send to one batch, of which the one that did not open it flushes. There is no sender.
#[test]
fn a_flush_finds_what_was_sent_before_it_also_in_a_batch_that_another_thread_opens() {
    check(3, &[Defect::IncompleteLate], || {
        let rig = lingering();
        let producer = Arc::clone(&rig.producer);
        let sends = thread::spawn(move || drop(producer.send(record(0)).unwrap()));
        drop(rig.producer.send(record(0)).unwrap());
        let mut flush = rig.producer.flush_call(None);
        assert!(flush.step().done().is_none(), "it found nothing");
        drop(flush);
        sends.join().unwrap();
        end(rig);
    });
}

/// Sends a record, and flushes without waiting for it. Nobody else makes it due.
fn send_and_leave(rig: &Rig) -> thread::JoinHandle<()> {
    let producer = Arc::clone(&rig.producer);
    thread::spawn(move || {
        let future = producer.send(record(1)).unwrap();
        let _ = producer.flush_timeout(Duration::ZERO);
        future.get().unwrap();
    })
}

#[test]
fn what_a_flush_leaves_when_its_time_is_up_does_not_linger() {
    check(2, &[Defect::FlushLeavesLate], || {
        let mut rig = lingering();
        let sends = send_and_leave(&rig);
        run_until(&mut rig, 1);
        sends.join().unwrap();
        end(rig);
    });
}

#[test]
fn what_a_flush_leaves_is_not_forgotten_with_what_an_earlier_one_left() {
    check(2, &[Defect::FlushForgetsOthers], || {
        let mut rig = lingering();
        let first = rig.producer.send(record(0)).unwrap();
        let _ = rig.producer.flush_timeout(Duration::ZERO);
        while !first.is_done() {
            rig.sender.step();
        }
        let sends = send_and_leave(&rig);
        run_until(&mut rig, 2);
        sends.join().unwrap();
        end(rig);
    });
}
