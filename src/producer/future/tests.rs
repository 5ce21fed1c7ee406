use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::*;
use crate::clock::{Clock, Deadline, SystemClock};
use crate::producer::callback_scope;
use crate::producer::instance::{Instance, InstanceId};
use crate::producer::produce_request_result::ResultOfPiece;
use crate::types::TopicPartition;
use crate::util::log::LogContext;
use crate::util::process::Process;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(1);

fn latch() -> Arc<ProduceRequestResult> {
    Arc::new(ProduceRequestResult::new(
        TopicPartition::new("t", 3),
        Instance::for_tests(),
    ))
}

fn record(result: &Arc<ProduceRequestResult>, index: u32) -> FutureRecordMetadata {
    FutureRecordMetadata::pending(RecordInBatch {
        result: Arc::clone(result),
        id: FutureId::first(index),
        facts: RecordFacts {
            timestamp_ms: 77,
            key_size: 2,
            value_size: -1,
        },
    })
}

const WRITTEN: BatchOutcome = BatchOutcome::Written {
    base_offset: 45,
    log_append_time_ms: -1,
};

fn failure() -> ProduceError {
    let partition = latch();
    ProduceErrorParts::new(
        ProduceErrorKind::Network,
        Delivery::MaybeWritten,
        Arc::clone(partition.topic_partition().shared_topic()),
        "lost",
    )
    .build()
}

fn done(result: &ProduceRequestResult, outcome: BatchOutcome) {
    result.publish(outcome);
    result.release_waiters();
}

/// Java: RecordSendTest#testTimeout
#[test]
fn get_timeout_returns_an_error_when_its_time_is_over_and_may_be_repeated() {
    let result = latch();
    let future = record(&result, 5);
    let error = future.get_timeout(SHORT).unwrap_err();
    assert_eq!(*error.kind(), ProduceErrorKind::Pending);
    assert!(error.is_retriable() && error.may_be_written() && !future.is_done());
    done(&result, WRITTEN);
    assert!(future.is_done());
    let metadata = future.get_timeout(SHORT).unwrap();
    assert_eq!((metadata.offset(), metadata.partition()), (50, 3));
}

/// Java: RecordSendTest#testError
#[test]
fn a_failed_batch_fails_its_records() {
    let result = latch();
    done(&result, BatchOutcome::Failed(failure()));
    assert_eq!(record(&result, 5).get().unwrap_err(), failure());
}

/// Java: RecordSendTest#testBlocking, FutureRecordMetadataTest#testFutureGetWithSeconds
#[test]
fn waiting_threads_are_released_by_the_outcome() {
    let result = latch();
    std::thread::scope(|scope| {
        let waiters = [None, Some(LONG)].map(|timeout| {
            let future = record(&result, 1);
            scope.spawn(move || match timeout {
                None => future.get(),
                Some(timeout) => future.get_timeout(timeout),
            })
        });
        done(&result, WRITTEN);
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap().unwrap().offset(), 46);
        }
    });
}

/// A record's offset is its batch's base offset plus its index, or unknown if the broker returned none (PB-17). Its
/// timestamp is the log append time if the broker returned one, else the record's own (PB-18).
#[test]
fn a_record_gets_the_brokers_time_if_there_is_one_and_no_offset_if_none_is_known() {
    for (base_offset, append_time, offset, timestamp) in
        [(10, -1, 12, 77), (10, 500, 12, 500), (-1, -1, -1, 77)]
    {
        let result = latch();
        let outcome = BatchOutcome::Written {
            base_offset,
            log_append_time_ms: append_time,
        };
        done(&result, outcome);
        let metadata = record(&result, 2).get().unwrap();
        assert_eq!(
            (metadata.offset(), metadata.timestamp()),
            (offset, timestamp)
        );
    }
}

/// The future of a record that failed at once is done, and returns the same error each time (KP-32).
#[test]
fn a_record_that_failed_at_once_is_done_and_returns_the_same_error_each_time() {
    let future = FutureRecordMetadata::failed(failure());
    assert!(future.is_done());
    assert_eq!(future.get().unwrap_err(), failure());
    assert_eq!(future.get_timeout(Duration::ZERO).unwrap_err(), failure());
}

#[test]
fn waiting_inside_a_callback_of_the_same_producer_is_refused() {
    let (result, other) = (latch(), latch());
    let scope = callback_scope::enter(result.instance().id());
    let error = record(&result, 0).get().unwrap_err();
    assert_eq!(*error.kind(), ProduceErrorKind::Misuse);
    // Another producer's record can be waited for.
    let error = record(&other, 0).get_timeout(SHORT).unwrap_err();
    assert_eq!(*error.kind(), ProduceErrorKind::Pending);
    // The outcome of a batch that is being completed is published already.
    result.publish(WRITTEN);
    assert_eq!(record(&result, 0).get().unwrap().offset(), 45);
    drop(scope);
    let error = record(&result, 0).get_timeout(SHORT).unwrap_err();
    assert_eq!(
        *error.kind(),
        ProduceErrorKind::Pending,
        "callbacks still run"
    );
}

#[derive(Default)]
struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_task_is_woken_once_after_the_callbacks_have_run() {
    let result = latch();
    let counting = Arc::new(Counting::default());
    let waker = Waker::from(Arc::clone(&counting));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(record(&result, 1));
    assert!(future.as_mut().poll(&mut context).is_pending());
    assert!(future.as_mut().poll(&mut context).is_pending());
    result.publish(WRITTEN);
    assert!(
        future.as_mut().poll(&mut context).is_pending(),
        "callbacks have not run"
    );
    assert_eq!(counting.0.load(Ordering::SeqCst), 0);
    result.release_waiters();
    assert_eq!(counting.0.load(Ordering::SeqCst), 1);
    let Poll::Ready(answer) = future.as_mut().poll(&mut context) else {
        panic!("not ready")
    };
    assert_eq!(answer.unwrap().offset(), 46);
}

/// The result of a batch whose producer was built before a fork, in the parent process.
fn latch_of_parent() -> Arc<ProduceRequestResult> {
    Arc::new(ProduceRequestResult::new(
        TopicPartition::new("t", 3),
        Instance::new(
            InstanceId::built_in(Process::other()),
            Arc::new(SystemClock::new()),
            LogContext::for_tests(),
        ),
    ))
}

#[test]
fn a_task_in_a_forked_process_gets_an_error_instead_of_waiting_for_ever() {
    let result = latch_of_parent();
    let counting = Arc::new(Counting::default());
    let waker = Waker::from(Arc::clone(&counting));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(record(&result, 1));
    for _ in 0..2 {
        let Poll::Ready(answer) = future.as_mut().poll(&mut context) else {
            panic!("no thread is there to wake it")
        };
        let error = answer.unwrap_err();
        assert_eq!(*error.kind(), ProduceErrorKind::Misuse);
        assert_eq!(error, record(&result, 1).get().unwrap_err());
    }
    assert_eq!(result.waiting_tasks(), 0, "nothing would drop the task");
    // A result that was known before the fork is still returned.
    done(&result, WRITTEN);
    let Poll::Ready(answer) = future.as_mut().poll(&mut context) else {
        panic!("not ready")
    };
    assert_eq!(answer.unwrap().offset(), 46);
}

fn poll_once(future: &mut FutureRecordMetadata, waker: &Waker) -> bool {
    let mut context = Context::from_waker(waker);
    Pin::new(future).poll(&mut context).is_ready()
}

#[test]
fn a_dropped_future_removes_its_waker() {
    let result = latch();
    let counting = Arc::new(Counting::default());
    let waker = Waker::from(Arc::clone(&counting));
    let mut futures: Vec<_> = (0..3).map(|index| record(&result, index)).collect();
    for future in &mut futures {
        assert!(!poll_once(future, &waker));
    }
    drop(waker);
    assert_eq!(Arc::strong_count(&counting), 4);
    drop(futures.remove(1));
    assert_eq!(Arc::strong_count(&counting), 3);
    drop(futures);
    assert_eq!(
        (Arc::strong_count(&counting), result.waiting_tasks()),
        (1, 0)
    );
    done(&result, WRITTEN);
    assert_eq!(counting.0.load(Ordering::SeqCst), 0);
}

#[test]
fn a_replaced_waker_is_dropped_with_no_lock_held() {
    let result = latch();
    let wakers = [(); 2].map(|()| Arc::new(Counting::default()));
    let mut future = record(&result, 0);
    for waker in &wakers {
        assert!(!poll_once(&mut future, &Waker::from(Arc::clone(waker))));
    }
    assert_eq!(wakers.each_ref().map(Arc::strong_count), [1, 2]);
    done(&result, WRITTEN);
    let woken = wakers.map(|waker| waker.0.load(Ordering::SeqCst));
    assert_eq!(woken, [0, 1]);
}

/// If the waker were dropped with the lock held, its destructor would deadlock.
#[test]
fn the_destructor_of_a_waker_may_lock_its_batch() {
    struct Nosy(Arc<ProduceRequestResult>);
    impl Wake for Nosy {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Nosy {
        fn drop(&mut self) {
            self.0.waiting_tasks();
        }
    }
    let result = latch();
    let mut future = record(&result, 0);
    let nosy = Waker::from(Arc::new(Nosy(Arc::clone(&result))));
    assert!(!poll_once(&mut future, &nosy));
    drop(nosy);
    assert!(!poll_once(&mut future, Waker::noop()));
    done(&result, WRITTEN);
    assert!(poll_once(&mut future, Waker::noop()));
}

#[test]
fn a_panic_in_the_destructor_of_a_waker_is_caught() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("planted");
        }
    }
    let result = latch();
    let mut futures = [0, 1].map(|index| record(&result, index));
    for future in &mut futures {
        assert!(!poll_once(future, &Waker::from(Arc::new(Bomb))));
    }
    let [first, second] = futures;
    drop(first);
    assert_eq!(result.waiting_tasks(), 1);
    done(&result, WRITTEN);
    assert!(second.is_done());
}

/// When a batch is split, a waiting future registers its waker with the piece that contains its record (PB-20).
#[test]
fn a_dropped_future_removes_its_waker_from_the_piece_of_a_split_batch() {
    let whole = latch();
    let counting = Arc::new(Counting::default());
    let waker = Waker::from(Arc::clone(&counting));
    let mut future = record(&whole, 2);
    let mut never_asked_again = record(&whole, 1);
    assert!(!poll_once(&mut future, &waker) && !poll_once(&mut never_asked_again, &waker));
    let [_, piece] = split_in_two(&whole, 1);
    assert!(!poll_once(&mut future, &waker));
    assert_eq!((whole.waiting_tasks(), piece.waiting_tasks()), (0, 1));
    drop(never_asked_again);
    assert_eq!(piece.waiting_tasks(), 1, "that is another record's");
    drop(future);
    assert_eq!(piece.waiting_tasks(), 0);
}

#[test]
fn a_task_is_woken_once_for_consecutive_records() {
    let result = latch();
    let countings = [(); 2].map(|()| Arc::new(Counting::default()));
    let wakers = countings.clone().map(Waker::from);
    let mut futures: Vec<_> = (0..6).map(|index| record(&result, index)).collect();
    for (future, of) in futures.iter_mut().zip([0, 0, 0, 1, 1, 0]) {
        assert!(!poll_once(future, &wakers[of]));
    }
    done(&result, WRITTEN);
    let woken = countings.map(|counting| counting.0.load(Ordering::SeqCst));
    assert_eq!(woken, [2, 1]);
}

#[test]
fn every_clone_gets_the_result() {
    let result = latch();
    let future = record(&result, 1);
    let early = future.clone();
    done(&result, WRITTEN);
    let late = early.clone();
    drop(future);
    for clone in [early, late] {
        assert_eq!(clone.get().unwrap().offset(), 46);
    }
    let failed = FutureRecordMetadata::failed(failure());
    assert_eq!(failed.clone().get(), failed.get());
}

/// The poll and the drop of another clone leave a task's waker alone, whether the batch is split before the clone is
/// made or after it.
#[test]
fn each_clone_may_be_awaited_by_a_task_of_its_own() {
    for (splits_before, splits_after) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let mut holder = latch();
        let split = |holder: &mut Arc<ProduceRequestResult>, times: usize| {
            for _ in 0..times {
                let [_, piece] = split_in_two(holder, 1);
                *holder = piece;
            }
        };
        let countings = [(); 3].map(|()| Arc::new(Counting::default()));
        let [one, two, other] = countings.clone().map(Waker::from);
        let mut first = record(&holder, 4);
        split(&mut holder, splits_before);
        assert!(!poll_once(&mut first, &one));
        let mut second = first.clone();
        assert!(!poll_once(&mut second, &two));
        split(&mut holder, splits_after);
        assert!(!poll_once(&mut first, &one) && !poll_once(&mut second, &two));
        // A clone of a clone, and one that is dropped without a poll.
        let mut dropped = second.clone();
        assert!(!poll_once(&mut dropped, &other));
        drop(first.clone());
        assert_eq!(holder.waiting_tasks(), 3);
        drop(dropped);
        assert_eq!(holder.waiting_tasks(), 2);
        done(&holder, WRITTEN);
        let woken = countings.each_ref().map(|it| it.0.load(Ordering::SeqCst));
        let expected = [1 + splits_after, 1 + splits_after, 0];
        assert_eq!(
            woken, expected,
            "{splits_before} splits, then {splits_after}"
        );
        assert!(poll_once(&mut first, &other) && poll_once(&mut second, &other));
        assert_eq!(holder.waiting_tasks(), 0);
    }
}

/// A program may poll a new clone in every iteration of a loop.
#[test]
fn a_clone_that_is_polled_and_dropped_leaves_nothing_behind() {
    let result = latch();
    let future = record(&result, 0);
    for _ in 0..100 {
        let counting = Arc::new(Counting::default());
        let waker = Waker::from(Arc::clone(&counting));
        assert!(!poll_once(&mut future.clone(), &waker));
        drop(waker);
        assert_eq!(
            (Arc::strong_count(&counting), result.waiting_tasks()),
            (1, 0)
        );
    }
}

/// As with [`a_task_is_woken_once_for_consecutive_records`].
#[test]
fn two_tasks_that_each_wait_for_a_clone_of_every_record_are_woken_once() {
    let result = latch();
    let countings = [(); 2].map(|()| Arc::new(Counting::default()));
    let wakers = countings.clone().map(Waker::from);
    let mut futures: Vec<_> = (0..3).map(|index| record(&result, index)).collect();
    let mut clones = futures.clone();
    for (future, clone) in futures.iter_mut().zip(&mut clones) {
        assert!(!poll_once(future, &wakers[0]) && !poll_once(clone, &wakers[1]));
    }
    done(&result, WRITTEN);
    assert_eq!(
        countings.map(|counting| counting.0.load(Ordering::SeqCst)),
        [1, 1]
    );
}

/// Comparing each task with all others would take 20 billion comparisons.
#[test]
fn the_time_to_register_tasks_with_a_batch_is_not_quadratic() {
    const TASKS: u32 = 200_000;
    let result = latch();
    let counting = Arc::new(Counting::default());
    let clock = SystemClock::new();
    let patience = Deadline::after(clock.now(), Duration::from_secs(10));
    let futures: Vec<_> = (0..TASKS)
        .map(|index| {
            let mut future = record(&result, index);
            // Each is a task of its own.
            let task = Arc::new(Task(Arc::clone(&counting)));
            assert!(!poll_once(&mut future, &Waker::from(task)));
            future
        })
        .collect();
    done(&result, WRITTEN);
    assert!(!patience.is_over(clock.now()), "more than 10 s");
    assert_eq!(counting.0.load(Ordering::SeqCst), TASKS as usize);
    drop(futures);
}

struct Task(Arc<Counting>);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A program may keep the handles of a million records in flight.
#[test]
#[cfg(target_pointer_width = "64")]
fn the_handle_of_a_record_is_small() {
    assert!(size_of::<FutureRecordMetadata>() <= 32);
}

fn split_in_two(whole: &ProduceRequestResult, first: u32) -> [Arc<ProduceRequestResult>; 2] {
    let pieces = [latch(), latch()];
    let result = |(records_before, piece): (u32, &Arc<ProduceRequestResult>)| ResultOfPiece {
        records_before,
        result: Arc::clone(piece),
    };
    whole.publish_split([0, first].into_iter().zip(&pieces).map(result).collect());
    whole.release_waiters();
    pieces
}

/// A wait continues with the pieces of a batch that is split (PB-20).
#[test]
fn a_future_follows_its_record_through_every_split() {
    let whole = latch();
    let futures: Vec<_> = (0..4).map(|index| record(&whole, index)).collect();
    let [front, back] = split_in_two(&whole, 3);
    let [zero, middle] = split_in_two(&front, 1);
    assert!(futures.iter().all(|future| !future.is_done()));
    assert!(!whole.is_done());
    done(&back, WRITTEN);
    assert_eq!(futures[3].get().unwrap().offset(), 45);
    done(&middle, WRITTEN);
    assert_eq!(futures[1].get().unwrap().offset(), 45);
    assert_eq!(futures[2].get().unwrap().offset(), 46);
    assert!(!futures[0].is_done() && !whole.is_done());
    assert!(std::ptr::eq(whole.undone().unwrap(), Arc::as_ptr(&zero)));
    done(&zero, BatchOutcome::Failed(failure()));
    assert_eq!(futures[0].get().unwrap_err(), failure());
    assert!(whole.is_done());
}

/// A wait continues with the pieces of a batch that is split (PB-20).
#[test]
fn a_thread_and_a_task_that_wait_for_a_batch_go_on_to_wait_for_its_piece() {
    let whole = latch();
    let future = record(&whole, 2);
    let counter = Arc::new(Counting::default());
    let waker = Waker::from(Arc::clone(&counter));
    let mut task = pin!(record(&whole, 2));
    assert!(
        task.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    std::thread::scope(|scope| {
        let waiter = scope.spawn(move || future.get());
        let [_, piece] = split_in_two(&whole, 1);
        assert_eq!(counter.0.load(Ordering::SeqCst), 1);
        assert!(
            task.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        done(&piece, WRITTEN);
        assert_eq!(counter.0.load(Ordering::SeqCst), 2);
        assert_eq!(waiter.join().unwrap().unwrap().offset(), 46);
        assert!(matches!(
            task.as_mut().poll(&mut Context::from_waker(&waker)),
            Poll::Ready(Ok(metadata)) if metadata.offset() == 46
        ));
    });
}
