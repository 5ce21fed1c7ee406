//! Threads that wait on a mock clock: their waits time out by that clock.

use super::*;

/// Advances the clock until the call has returned.
fn until_time_is_up<T: Send>(clock: &MockClock, call: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let waiter = scope.spawn(call);
        while !waiter.is_finished() {
            clock.advance(MS(1));
            std::thread::yield_now();
        }
        waiter.join().expect("no panic")
    })
}

/// Regression: the thread slept in real time, but its time-out was measured on the producer's clock, which stood still.
#[test]
fn a_wait_for_memory_times_out_by_the_producers_clock() {
    let mut stepped = ProducerRig::short_of_memory();
    let _first = stepped.producer.send(record(TOPIC)).unwrap();
    stepped.rig.run();
    let began = stepped.rig.now();
    let failed = until_time_is_up(&stepped.rig.clock, || stepped.producer.send(record(TOPIC)));
    assert_eq!(
        *error(&failed.unwrap()).kind(),
        ProduceErrorKind::BufferExhausted
    );
    assert!(stepped.rig.now() - began >= MAX_BLOCK);
}

#[test]
fn all_other_waits_time_out_by_the_producers_clock() {
    let stepped = ProducerRig::start(Setup::default());
    let (producer, clock) = (&stepped.producer, &*stepped.rig.clock);
    let future = producer.send(record(TOPIC)).unwrap();
    let pending = until_time_is_up(clock, || future.get_timeout(MS(200)));
    assert_eq!(*pending.unwrap_err().kind(), ProduceErrorKind::Pending);
    let failed = until_time_is_up(clock, || producer.send(record("new")));
    assert_eq!(
        *error(&failed.unwrap()).kind(),
        ProduceErrorKind::MetadataTimeout
    );
    assert!(until_time_is_up(clock, || producer.partitions_for("new")).is_err());
    assert!(until_time_is_up(clock, || producer.flush_timeout(MS(200))).is_err());
    // The close is forced after its time-out, and gives up after a grace period of 10 s.
    let error = until_time_is_up(clock, || producer.close_timeout(MS(200))).unwrap_err();
    assert!(error.to_string().contains("did not end"), "{error}");
    drop(stepped.running);
}

/// A wait without a time-out does not depend on the clock.
#[test]
fn a_thread_that_waits_without_a_timeout_is_woken_by_its_event() {
    let mut stepped = ProducerRig::start(Setup::default());
    let future = stepped.producer.send(record(TOPIC)).unwrap();
    let producer = &stepped.producer;
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| producer.flush());
        let get = scope.spawn(|| future.get());
        while !stepped.rig.shared.accumulator.sends_everything() {
            std::thread::yield_now();
        }
        stepped.rig.run();
        acknowledge(&mut stepped.rig, 9);
        assert!(flush.join().expect("no panic").is_ok());
        assert_eq!(get.join().expect("no panic").unwrap().offset(), 9);
        let close = scope.spawn(|| producer.close());
        while stepped.rig.shared.control.is_running() {
            std::thread::yield_now();
        }
        end(stepped.rig, stepped.running);
        assert!(close.join().expect("no panic").is_ok());
    });
}
