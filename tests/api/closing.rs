//! Flush, close, drop, and calls that do not block.

use std::time::{Duration, Instant};

use kafka_producer::testing::TestCluster;
use kafka_producer::{
    BoxError, CloseError, Delivery, FlushError, Headers, KafkaProducer, LifecycleState,
    ProduceErrorKind, ProducerInterceptor, ProducerRecord, SendError, Serialized, Serializer,
    TrySendReason, WaitCause,
};

use crate::support::{BLOCK, LONG, cluster, config, producer, record, values};

/// A flush waits for every batch that was incomplete when it was called; meanwhile no batch lingers (KP-44).
#[test]
fn a_flush_sends_lingering_batches_and_waits_for_them() {
    let cluster = cluster(4);
    let producer = producer(config(&cluster).linger(Duration::from_secs(60)));
    let futures: Vec<_> = (0..100)
        .map(|_| producer.send(record("v")).unwrap())
        .collect();
    producer.flush().unwrap();
    assert!(
        futures
            .iter()
            .all(kafka_producer::FutureRecordMetadata::is_done)
    );
    assert_eq!(cluster.record_count("t"), 100);
}

#[test]
fn a_flush_that_times_out_returns_the_number_of_incomplete_batches() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster));
    producer.partitions_for("t").unwrap();
    cluster.stop_node(cluster.node_ids().next().unwrap());
    let future = producer.send(record("v")).unwrap();
    let error = producer
        .flush_timeout(Duration::from_millis(50))
        .unwrap_err();
    assert!(
        matches!(error, FlushError::TimedOut { batches: 1 }),
        "{error}"
    );
    cluster
        .start_node(cluster.node_ids().next().unwrap())
        .unwrap();
    producer.flush_timeout(LONG).unwrap();
    assert_eq!(future.get().unwrap().offset(), 0);
}

/// A close with timeout zero fails incomplete batches at once, as a forced close does (KP-52).
#[test]
fn a_forced_close_fails_incomplete_records_and_counts_them() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster));
    producer.partitions_for("t").unwrap();
    cluster.stop_node(cluster.node_ids().next().unwrap());
    let futures: Vec<_> = (0..10)
        .map(|_| producer.send(record("v")).unwrap())
        .collect();
    let error = producer.close_timeout(Duration::ZERO).unwrap_err();
    assert!(
        matches!(
            error,
            CloseError::Undelivered {
                records: 10,
                transaction_open: false
            }
        ),
        "{error}"
    );
    for future in futures {
        assert_eq!(future.get().unwrap_err().kind(), &ProduceErrorKind::Closed);
    }
}

/// A graceful close sends queued batches without letting them linger, and waits until they are complete (KP-50).
#[test]
fn close_delivers_queued_records() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).linger(Duration::from_secs(60)));
    let future = producer.send(record("v")).unwrap();
    producer.close().unwrap();
    assert_eq!(future.get().unwrap().offset(), 0);
}

/// Close may be called while other threads send: each record that `send` accepts is sent, and later sends fail (KP-55).
#[test]
fn close_during_sends_loses_no_accepted_record() {
    let cluster = cluster(4);
    let producer = producer(config(&cluster));
    let taken: usize = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut futures = Vec::new();
                    loop {
                        match producer.send(record("v")) {
                            Ok(future) => futures.push(future),
                            Err(SendError::Closed) => break,
                            Err(error) => panic!("{error}"),
                        }
                    }
                    futures.iter().filter(|future| future.get().is_ok()).count()
                })
            })
            .collect();
        let deadline = Instant::now() + LONG;
        while producer.snapshot().records_acknowledged < 1000 {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        producer.close().unwrap();
        senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .sum()
    });
    assert_eq!(cluster.record_count("t"), taken as u64);
    assert_eq!(producer.snapshot().records_acknowledged, taken as u64);
}

#[test]
fn dropping_the_producer_delivers_queued_records() {
    let cluster = cluster(1);
    let dropped = producer(config(&cluster).linger(Duration::from_secs(60)));
    let future = dropped.send(record("v")).unwrap();
    drop(dropped);
    assert_eq!(future.get().unwrap().offset(), 0);
}

/// Our decision: the error of an expired record names the cause of the delay, and shows that the record was not
/// written.
#[test]
fn a_record_whose_broker_is_stopped_times_out_unwritten_with_the_reason() {
    let cluster = cluster(1);
    let producer = producer(
        config(&cluster)
            .delivery_timeout(Duration::from_millis(500))
            .request_timeout(Duration::from_millis(200)),
    );
    producer.partitions_for("t").unwrap();
    cluster.stop_node(cluster.node_ids().next().unwrap());
    let began = Instant::now();
    let error = producer
        .send(record("v"))
        .unwrap()
        .get_timeout(LONG)
        .unwrap_err();
    assert!(
        began.elapsed() < Duration::from_millis(1500),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(error.kind(), &ProduceErrorKind::DeliveryTimeout, "{error}");
    assert_eq!(error.delivery(), Delivery::NotWritten, "{error}");
    assert!(
        matches!(error.cause(), Some(WaitCause::NotConnected { .. })),
        "{error}"
    );
}

/// A wait for memory that times out fails, and the thread is no longer counted as waiting (BP-8). Once the batches are
/// complete, all memory is back in the pool.
#[test]
fn exhausted_memory_blocks_send_fails_try_send_and_is_returned() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).buffer_memory(64 * 1024).max_block(BLOCK));
    producer.partitions_for("t").unwrap();
    cluster.stop_node(cluster.node_ids().next().unwrap());
    let value = "v".repeat(1000);
    let mut taken = 0;
    let reason = loop {
        match producer.try_send(record(&value)) {
            Ok(_) => taken += 1,
            Err(refused) => break refused.reason().clone(),
        }
    };
    assert!(matches!(reason, TrySendReason::MemoryFull), "{reason}");
    let began = Instant::now();
    let error = producer.send(record(&value)).unwrap().get().unwrap_err();
    assert_eq!(error.kind(), &ProduceErrorKind::BufferExhausted);
    assert!(began.elapsed() >= BLOCK);
    assert_eq!(producer.snapshot().threads_waiting_for_memory, 0);
    cluster
        .start_node(cluster.node_ids().next().unwrap())
        .unwrap();
    producer.flush().unwrap();
    let snapshot = producer.snapshot();
    assert_eq!(snapshot.memory_free_bytes, 64 * 1024);
    assert_eq!(snapshot.records_acknowledged, taken);
    // Only the record of `send` has failed; a record that `try_send` returns does not count as failed.
    assert_eq!(snapshot.records_failed, 1);
}

struct Stamps;

impl ProducerInterceptor<str, str> for Stamps {
    fn on_send(&self, record: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        record.set_value("changed");
        Ok(())
    }
}

struct AddsHeader;

impl Serializer<str> for AddsHeader {
    fn serialize<'a>(
        &self,
        _: &str,
        headers: &mut Headers,
        data: &'a str,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        headers.add("added", "by the serializer")?;
        Ok(Some(Serialized::Borrowed(data.as_bytes())))
    }
}

#[test]
fn try_send_returns_a_rejected_record_unchanged() {
    let cluster = cluster(1);
    let producer = KafkaProducer::<str, str>::builder(config(&cluster).build().unwrap())
        .key_serializer(AddsHeader)
        .value_serializer(AddsHeader)
        .interceptor(Stamps)
        .build()
        .unwrap();
    let given = record("as it was").with_header("mine", "1");
    let refused = producer.try_send(given.clone()).unwrap_err();
    assert!(
        refused.reason().would_block() && matches!(refused.reason(), TrySendReason::TopicNotKnown)
    );
    let back = refused.into_record();
    assert_eq!(back, given);
    producer.partitions_for("t").unwrap();
    producer.try_send(back).unwrap().get_timeout(LONG).unwrap();
    assert_eq!(values(&cluster, 0), ["changed"]);
    assert_eq!(cluster.records("t", 0)[0].headers.len(), 2);
}

/// `close` waits for a record whose broker is down.
#[test]
fn a_producer_that_delivers_its_last_records_is_closing() {
    let cluster = cluster(1);
    let node = cluster.node_ids().next().unwrap();
    let producer = producer(config(&cluster));
    producer.partitions_for("t").unwrap();
    cluster.stop_node(node);
    let future = producer.send(record("last")).unwrap();
    assert_eq!(producer.state(), LifecycleState::Running);
    std::thread::scope(|scope| {
        let close = scope.spawn(|| producer.close_timeout(LONG));
        // `send` is refused from the moment at which the state changes.
        while producer.state().is_running() {
            std::thread::yield_now();
        }
        assert_eq!(producer.state(), LifecycleState::Closing);
        assert!(!future.is_done());
        let refused = producer.send(record("late"));
        assert!(matches!(refused, Err(SendError::Closed)));
        cluster.start_node(node).unwrap();
        close.join().unwrap().unwrap();
    });
    assert_eq!(producer.state(), LifecycleState::Closed);
    assert_eq!(future.get().unwrap().offset(), 0);
}

/// The sender loop of an idle producer runs at most five times in a second. The sleep is the duration of the
/// measurement.
#[test]
fn an_idle_producer_does_nothing() {
    let cluster = cluster(3);
    let producer = producer(config(&cluster));
    producer.send(record("v")).unwrap().get().unwrap();
    // The sender may spin for a moment after the record.
    std::thread::sleep(Duration::from_millis(50));
    let before = producer.snapshot().sender_loops;
    std::thread::sleep(Duration::from_secs(1));
    let turns = producer.snapshot().sender_loops - before;
    assert!(turns <= 5, "{turns} turns in a second");
}

/// How the producer is closed while other threads send.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Close,
    CloseSoon,
    CloseNow,
}

/// `CLOSE_ROUNDS=100000 cargo test --release --test api closing::every` is the long version.
#[test]
fn every_record_sent_during_close_completes() {
    const THREADS: usize = 3;
    let rounds = std::env::var("CLOSE_ROUNDS").ok();
    let rounds: u64 = rounds.and_then(|it| it.parse().ok()).unwrap_or(300);
    let cluster = TestCluster::builder()
        .topic("t", 2)
        .retain(false)
        .start()
        .unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    for round in 0..rounds {
        if round > 0 && round % 5000 == 0 {
            println!("{round} rounds");
        }
        let ending = match round % 4 {
            0 | 1 => Ending::Close,
            2 => Ending::CloseSoon,
            _ => Ending::CloseNow,
        };
        let linger = Duration::from_millis(random.u64(..2) * 1000);
        let producer = producer(config(&cluster).linger(linger).set("batch.size", "200"));
        producer.partitions_for("t").unwrap();
        let spins = random.u32(..20_000);
        let (sent, closed) = std::thread::scope(|scope| {
            let send = || {
                let mut futures = Vec::new();
                loop {
                    match producer.send(record("a record that fills a batch with a few others")) {
                        Ok(future) => futures.push(future),
                        Err(SendError::Closed) => return futures,
                        Err(other) => panic!("{other}"),
                    }
                }
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(send)).collect();
            for _ in 0..spins {
                std::hint::spin_loop();
            }
            let closed = match ending {
                Ending::Close => producer.close(),
                Ending::CloseSoon => producer.close_timeout(Duration::from_micros(200)),
                Ending::CloseNow => producer.close_timeout(Duration::ZERO),
            };
            let sent: Vec<_> = threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect();
            (sent, closed)
        });
        let unresolved = sent.iter().filter(|future| !future.is_done()).count();
        assert_eq!(unresolved, 0, "round {round}, {ending:?}: {closed:?}");
        let failed = sent.iter().filter(|future| future.get().is_err()).count() as u64;
        match closed {
            Ok(()) => assert_eq!(failed, 0, "round {round}, {ending:?}"),
            Err(CloseError::Undelivered { records, .. }) => {
                assert_eq!(records, failed, "round {round}, {ending:?}");
            }
            Err(other) => panic!("round {round}, {ending:?}: {other}"),
        }
    }
}

#[test]
fn batches_of_a_timed_out_flush_do_not_linger() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).linger(Duration::from_secs(60)));
    producer.partitions_for("t").unwrap();
    for timeout in [Duration::ZERO, Duration::from_nanos(1)] {
        let future = producer.send(record("v")).unwrap();
        match producer.flush_timeout(timeout) {
            Ok(()) | Err(FlushError::TimedOut { batches: 1 }) => {}
            other => panic!("{other:?}"),
        }
        future.get_timeout(LONG / 2).unwrap();
    }
    cluster.hang_node(cluster.node_ids().next().unwrap());
    let future = producer.send(record("v")).unwrap();
    producer
        .flush_timeout(Duration::from_millis(50))
        .unwrap_err();
    cluster.resume_node(cluster.node_ids().next().unwrap());
    future.get_timeout(LONG / 2).unwrap();
}

/// A plug-in whose close takes time.
struct SlowToClose(std::sync::mpsc::Sender<()>, Duration);

impl ProducerInterceptor<str, str> for SlowToClose {
    fn on_send(&self, _: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        Ok(())
    }

    fn close(&self) -> Result<(), BoxError> {
        self.0.send(()).unwrap();
        std::thread::sleep(self.1);
        Ok(())
    }
}

#[test]
fn every_concurrent_close_waits_for_the_plug_ins() {
    let cluster = cluster(1);
    let (begun, begins) = std::sync::mpsc::channel();
    let takes = Duration::from_millis(300);
    let producer = KafkaProducer::<str, str>::builder(config(&cluster).build().unwrap())
        .stock_serializers()
        .interceptor(SlowToClose(begun, takes))
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| producer.close().unwrap());
        begins.recv_timeout(LONG).unwrap();
        let began = Instant::now();
        producer.close_timeout(Duration::from_millis(1)).unwrap();
        assert!(began.elapsed() > takes / 2, "{:?}", began.elapsed());
    });
    producer.close().unwrap();
}
