//! The result of a batch: every thread and task that waits for it gets it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::thread;

use super::check;
use crate::clock::mock::MockClock;
use crate::planted::Defect;
use crate::producer::future::{FutureRecordMetadata, RecordInBatch};
use crate::producer::instance::Instance;
use crate::producer::produce_request_result::{
    BatchOutcome, FutureId, ProduceRequestResult, ResultOfPiece,
};
use crate::producer::record_metadata::RecordFacts;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex, Rank};
use crate::types::TopicPartition;

fn result() -> Arc<ProduceRequestResult> {
    let instance = Instance::on_clock(Arc::new(MockClock::new()));
    let partition = TopicPartition::new("t", 0);
    Arc::new(ProduceRequestResult::new(partition, instance))
}

fn record(result: &Arc<ProduceRequestResult>, index: u32) -> FutureRecordMetadata {
    FutureRecordMetadata::pending(RecordInBatch {
        result: Arc::clone(result),
        id: FutureId::first(index),
        facts: RecordFacts {
            timestamp_ms: 0,
            key_size: -1,
            value_size: -1,
        },
    })
}

fn written(base_offset: i64) -> BatchOutcome {
    BatchOutcome::Written {
        base_offset,
        log_append_time_ms: -1,
    }
}

/// A task on a thread of its own.
struct Task {
    is_woken: Mutex<bool>,
    changed: Condvar,
}

impl Task {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            is_woken: Mutex::new(Rank::LEAF, false),
            changed: Condvar::new(),
        })
    }

    /// Polls the future until it is ready, and returns the record's offset.
    fn run(self: &Arc<Self>, future: FutureRecordMetadata) -> i64 {
        let waker = Waker::from(Arc::clone(self));
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(result) => return result.expect("it was written").offset(),
                Poll::Pending => self.sleep(),
            }
        }
    }

    fn sleep(&self) {
        let mut is_woken = self.is_woken.lock();
        while !std::mem::take(&mut *is_woken) {
            self.changed.wait(&mut is_woken);
        }
    }

    /// Asserts that all wakers of the task were dropped.
    fn assert_no_waker_is_left(self: &Arc<Self>) {
        assert_eq!(Arc::strong_count(self), 1);
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        *self.is_woken.lock() = true;
        self.changed.notify_one();
    }
}

#[test]
fn waiting_threads_get_the_outcome_after_the_callback_has_run() {
    let defects = [Defect::ReleasesUnlocked, Defect::ReleasesRelaxed];
    check(3, &defects, || {
        let result = result();
        let called_back = Arc::new(AtomicBool::new(false));
        let waiters = [0, 1].map(|index| {
            let (future, called_back) = (record(&result, index), Arc::clone(&called_back));
            thread::spawn(move || {
                let metadata = future.get().expect("it was written");
                assert_eq!(metadata.offset(), 7 + i64::from(index));
                assert!(called_back.load(Ordering::Relaxed));
            })
        });
        result.publish(written(7));
        called_back.store(true, Ordering::Relaxed);
        result.release_waiters();
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

#[test]
fn a_task_is_woken_and_its_wakers_dropped_while_another_future_is_dropped() {
    check(3, &[Defect::RegistersBlindly], || {
        let result = result();
        let (first, second) = (Task::new(), Task::new());
        let (waiting, polled) = (record(&result, 0), record(&result, 1));
        let task = Arc::clone(&first);
        let waits = thread::spawn(move || task.run(waiting));
        let task = Arc::clone(&second);
        let drops = thread::spawn(move || {
            let waker = Waker::from(task);
            let mut future = Box::pin(polled);
            let _ = future.as_mut().poll(&mut Context::from_waker(&waker));
        });
        result.publish(written(7));
        result.release_waiters();
        assert_eq!(waits.join().unwrap(), 7);
        drops.join().unwrap();
        first.assert_no_waker_is_left();
        second.assert_no_waker_is_left();
    });
}

#[test]
fn tasks_that_wait_for_clones_are_woken_while_further_clones_are_made_and_dropped() {
    check(
        3,
        &[Defect::RegistersBlindly, Defect::CloneSharesWaker],
        || {
            let result = result();
            let (first, second, gone) = (Task::new(), Task::new(), Task::new());
            let waiting = record(&result, 0);
            let clone = waiting.clone();
            let task = Arc::clone(&first);
            let waits = thread::spawn(move || task.run(waiting));
            let (task, of_dropped) = (Arc::clone(&second), Waker::from(Arc::clone(&gone)));
            let clones = thread::spawn(move || {
                let mut dropped = Box::pin(clone.clone());
                let _ = dropped.as_mut().poll(&mut Context::from_waker(&of_dropped));
                drop(dropped);
                task.run(clone)
            });
            result.publish(written(7));
            result.release_waiters();
            assert_eq!(waits.join().unwrap(), 7);
            assert_eq!(clones.join().unwrap(), 7);
            for task in [first, second, gone] {
                task.assert_no_waker_is_left();
            }
        },
    );
}

/// Splits a batch of two records into two pieces, and completes the second.
fn split(whole: &ProduceRequestResult) {
    let pieces = [0, 1].map(|_| result());
    let of_piece = |(records_before, result): (u32, &Arc<_>)| ResultOfPiece {
        records_before,
        result: Arc::clone(result),
    };
    whole.publish_split((0..).zip(&pieces).map(of_piece).collect());
    whole.release_waiters();
    let [_, second] = pieces;
    second.publish(written(7));
    second.release_waiters();
}

#[test]
fn a_thread_that_waits_for_a_split_batch_gets_the_result_of_its_piece() {
    let defects = [Defect::ReleasesBeforePieces, Defect::ReleasesUnlocked];
    check(3, &defects, || {
        let whole = result();
        let waited = record(&whole, 1);
        let waits = thread::spawn(move || waited.get().expect("it was written").offset());
        split(&whole);
        assert_eq!(waits.join().unwrap(), 7);
    });
}

#[test]
fn a_task_that_waits_for_a_split_batch_gets_the_result_of_its_piece() {
    let defects = [Defect::ReleasesBeforePieces, Defect::RegistersBlindly];
    check(3, &defects, || {
        let whole = result();
        let task = Task::new();
        let (running, polled) = (Arc::clone(&task), record(&whole, 1));
        let runs = thread::spawn(move || running.run(polled));
        split(&whole);
        assert_eq!(runs.join().unwrap(), 7);
        task.assert_no_waker_is_left();
    });
}
