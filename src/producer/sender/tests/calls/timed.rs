//! Metrics of calls: the waiting time, and the errors that are counted.

use super::*;
use crate::error::{FlushError, TransactionErrorKind};
use crate::metrics::Metrics;

fn number(stepped: &ProducerRig, name: &str) -> f64 {
    stepped
        .producer
        .metrics()
        .number("producer-metrics", name, &[])
}

fn nanos(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}

#[track_caller]
fn assert_same(left: f64, right: f64) {
    assert!((left - right).abs() < 1e-9, "{left} is not {right}");
}

/// Java: BufferPoolTest#testStressfulSituation and others (bufferpool-wait-time), `RecordAccumulator`
/// (buffer-exhausted)
#[test]
fn the_wait_for_memory_is_recorded_when_it_ends_with_or_without_memory() {
    let mut stepped = ProducerRig::short_of_memory();
    let records = [(); 3].map(|()| record(TOPIC));
    let _first = stepped.producer.send(records[0].clone()).unwrap();
    stepped.rig.run();
    let mut send = stepped
        .producer
        .send_call(&records[1], Headers::new(), None);
    assert!(step(&mut send).is_none());
    assert_same(number(&stepped, "waiting-threads"), 1.0);
    stepped.rig.advance(MS(40));
    assert!(step(&mut send).is_none());
    assert_same(number(&stepped, "bufferpool-wait-time-total"), 0.0);
    acknowledge(&mut stepped.rig, 0);
    assert!(step(&mut send).expect("it is over").is_ok());
    drop(send);
    assert_same(
        number(&stepped, "bufferpool-wait-time-total"),
        nanos(MS(40)),
    );
    assert_same(
        number(&stepped, "bufferpool-wait-time-ns-total"),
        nanos(MS(40)),
    );
    assert_same(number(&stepped, "buffer-exhausted-total"), 0.0);
    stepped.rig.run();
    let mut denied = stepped
        .producer
        .send_call(&records[2], Headers::new(), None);
    assert!(step(&mut denied).is_none());
    stepped.rig.advance(MAX_BLOCK);
    assert!(step(&mut denied).expect("it is over").is_ok());
    drop(denied);
    let both = nanos(MS(40) + MAX_BLOCK);
    assert_same(number(&stepped, "bufferpool-wait-time-total"), both);
    // The ratio refers to 30 s and the 500 ms that have passed since the first value.
    let ratio = number(&stepped, "bufferpool-wait-ratio");
    assert_same(ratio, both / nanos(MS(30_000) + MAX_BLOCK));
    assert_same(number(&stepped, "buffer-exhausted-total"), 1.0);
    assert_same(number(&stepped, "record-error-total"), 1.0);
}

/// The wait-time metric of the metadata (KIP-761, KAFKA-13692).
#[test]
fn the_wait_for_metadata_is_recorded_even_if_it_times_out() {
    let stepped = ProducerRig::start(Setup::default());
    let record = record("new");
    let mut send = stepped.producer.send_call(&record, Headers::new(), None);
    assert!(step(&mut send).is_none());
    stepped.rig.advance(MS(40));
    assert!(step(&mut send).is_none());
    stepped.rig.show(vec![topic("new", &[0])]);
    assert!(step(&mut send).is_some());
    assert_same(
        number(&stepped, "metadata-wait-time-ns-total"),
        nanos(MS(40)),
    );
    let mut ask = stepped.producer.partitions_for_call("never");
    assert!(step(&mut ask).is_none());
    stepped.rig.advance(MAX_BLOCK);
    assert!(step(&mut ask).is_some());
    let both = nanos(MS(40) + MAX_BLOCK);
    assert_same(number(&stepped, "metadata-wait-time-ns-total"), both);
    assert_same(number(&stepped, "record-error-total"), 0.0);
}

/// Java: `KafkaProducerMetricsTest`
#[test]
fn calls_are_recorded_with_the_time_they_take() {
    let stepped = ProducerRig::start(Setup::default());
    let clock = Arc::clone(&stepped.rig.clock);
    let _unsent = stepped.producer.send(record(TOPIC)).unwrap();
    // A call that waits on this clock times out when the clock is advanced.
    let waits = std::thread::scope(|scope| {
        let flush = scope.spawn(|| stepped.producer.flush_timeout(MS(30)));
        while !flush.is_finished() {
            clock.advance(MS(1));
            std::thread::yield_now();
        }
        flush.join().unwrap()
    });
    assert!(
        matches!(waits, Err(FlushError::TimedOut { .. })),
        "{waits:?}"
    );
    let took = number(&stepped, "flush-time-ns-total");
    assert!(took >= nanos(MS(30)), "{took}");
    let refused = stepped.producer.begin_transaction().unwrap_err();
    assert_eq!(refused.kind(), TransactionErrorKind::WrongState);
    assert_same(number(&stepped, "txn-begin-time-ns-total"), 0.0);
}

/// Java: KafkaProducer#doSend, the exceptions that it counts.
#[test]
fn refused_records_are_counted_unless_the_caller_or_user_code_caused_the_error() {
    let stepped = ProducerRig::start(Setup::default());
    let send = |record: ProducerRecord<'_, str, str>| {
        let _ = stepped.producer.send(record);
        Metrics::new(Arc::clone(&stepped.rig.shared.metrics))
    };
    let errors = |metrics: Metrics| metrics.number("producer-metrics", "record-error-total", &[]);
    let value = "v".repeat(2 << 20);
    assert_same(errors(send(ProducerRecord::new(TOPIC, &*value))), 1.0);
    let outside = ProducerRecord::new(TOPIC, "v").with_partition(-1);
    assert_same(errors(send(outside)), 1.0);
    let unnamed = ProducerRecord::new("no/name", "v");
    assert_same(errors(send(unnamed)), 2.0);
    // `try_send` counts the same errors, except those that a wait could avoid: then the record is returned for a retry.
    let try_send = |record: ProducerRecord<'_, str, str>| {
        let refused = stepped
            .producer
            .try_send(record)
            .expect_err("it is refused");
        let metrics = Metrics::new(Arc::clone(&stepped.rig.shared.metrics));
        (refused.reason().would_block(), errors(metrics))
    };
    let unknown = try_send(ProducerRecord::new("new", "v"));
    assert_eq!(unknown, (true, 2.0));
    assert_eq!(try_send(ProducerRecord::new(TOPIC, &*value)), (false, 3.0));
    assert_eq!(try_send(ProducerRecord::new("no/name", "v")), (false, 4.0));
    let outside = ProducerRecord::new(TOPIC, "v").with_partition(-1);
    assert_eq!(try_send(outside), (false, 4.0));
    stepped.rig.shared.accumulator.close();
    assert_same(errors(send(ProducerRecord::new(TOPIC, "v"))), 4.0);
}
