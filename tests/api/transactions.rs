//! Transactions, with real threads, against the coordinators of the embedded cluster.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_producer::testing::{Api, Rule, TestCluster, TopicOptions, TransactionState};
use kafka_producer::{
    BoxError, CloseError, ConsumerGroupMetadata, ErrorCode, Headers, Misuse, OffsetAndMetadata,
    ProduceErrorKind, ProducerInterceptor, ProducerRecord, SendError, Serialized, Serializer,
    TopicPartition, Transaction, TransactionErrorKind, TransactionRunError, TrySendReason,
};

use super::support::{BLOCK, LONG, Text, config, producer, record};

const ID: &str = "payments-1";

fn cluster(partitions: usize) -> TestCluster {
    let topics = TestCluster::builder().topic("t", partitions);
    topics.topic("input", 1).start().unwrap()
}

fn transactional(cluster: &TestCluster) -> Text {
    let producer = producer(config(cluster).transactional_id(ID));
    producer.init_transactions().unwrap();
    producer
}

fn committed(cluster: &TestCluster) -> Vec<String> {
    let text = |value: Option<Vec<u8>>| String::from_utf8(value.unwrap()).unwrap();
    let records = (0..3).flat_map(|partition| cluster.read_committed("t", partition));
    let mut values: Vec<String> = records.map(|record| text(record.value)).collect();
    values.sort();
    values
}

fn state(cluster: &TestCluster) -> TransactionState {
    cluster.transaction(ID).unwrap().state
}

fn input(offset: i64) -> [(TopicPartition, OffsetAndMetadata); 1] {
    [(TopicPartition::new("input", 0), offset.into())]
}

#[test]
fn committed_records_and_offsets_are_visible_and_aborted_ones_never_are() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    for round in 0..4 {
        let commits = round % 2 == 0;
        producer.begin_transaction().unwrap();
        for n in 0..10 {
            let value = format!("{round}-{n}");
            let record = record(&value).with_partition(n % 3);
            drop(producer.send(record).unwrap());
        }
        let group = ConsumerGroupMetadata::new("readers");
        producer
            .send_offsets_to_transaction(input(10 * (round + 1)), &group)
            .unwrap();
        if commits {
            producer.commit_transaction().unwrap();
        } else {
            producer.abort_transaction().unwrap();
        }
    }
    producer.close().unwrap();
    let mut expected: Vec<String> = [0, 2]
        .into_iter()
        .flat_map(|round| (0..10).map(move |n| format!("{round}-{n}")))
        .collect();
    expected.sort();
    assert_eq!(committed(&cluster), expected);
    let offsets = cluster.committed_offsets("readers");
    let offsets: BTreeMap<_, _> = offsets.iter().map(|(at, it)| (at, it.offset)).collect();
    assert_eq!(
        offsets,
        BTreeMap::from([(&TopicPartition::new("input", 0), 30)])
    );
    assert_eq!(state(&cluster), TransactionState::CompleteAbort);
}

#[test]
fn threads_that_share_a_producer_share_its_transaction() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    producer.begin_transaction().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let producer = &producer;
            scope.spawn(move || {
                for n in 0..500 {
                    let value = format!("{thread}-{n}");
                    drop(producer.send(record(&value)).unwrap());
                }
            });
        }
    });
    producer.commit_transaction().unwrap();
    assert_eq!(committed(&cluster).len(), 2000);
}

/// Records that other threads send while a transaction is being ended are part of that transaction or rejected; none is
/// part of the next transaction.
#[test]
fn a_record_that_is_sent_while_the_transaction_ends_is_part_of_it_or_refused() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    let is_over = AtomicBool::new(false);
    let taken = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let (producer, is_over) = (&producer, &is_over);
                scope.spawn(move || {
                    let mut taken = 0;
                    let mut n = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        let value = format!("{thread}-{n}");
                        n += 1;
                        match producer.send(record(&value)) {
                            Ok(future) => {
                                future.get().unwrap();
                                taken += 1;
                            }
                            Err(SendError::Transaction(error)) => {
                                assert_eq!(error.kind(), TransactionErrorKind::WrongState);
                                std::thread::yield_now();
                            }
                            Err(other) => panic!("{other}"),
                        }
                    }
                    taken
                })
            })
            .collect();
        for _ in 0..50 {
            producer.begin_transaction().unwrap();
            let until = Instant::now() + Duration::from_millis(5);
            while Instant::now() < until {
                std::thread::yield_now();
            }
            producer.commit_transaction().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        let taken = threads.into_iter().map(|it| it.join().unwrap());
        taken.sum::<usize>()
    });
    producer.close().unwrap();
    assert!(taken > 0);
    assert_eq!(committed(&cluster).len(), taken);
}

#[test]
fn a_second_producer_with_the_same_id_fences_the_first_for_good() {
    let cluster = cluster(3);
    let first = transactional(&cluster);
    first.begin_transaction().unwrap();
    first.send(record("first")).unwrap().get().unwrap();
    let second = transactional(&cluster);
    let error = first.commit_transaction().unwrap_err();
    assert!(error.is_fenced() && error.is_fatal(), "{error}");
    assert_eq!(error.code(), Some(ErrorCode::ProducerFenced));
    assert!(error.to_string().contains(ID), "{error}");
    for again in [
        first.abort_transaction(),
        first.begin_transaction(),
        first.init_transactions(),
    ] {
        assert!(again.unwrap_err().is_fenced());
    }
    assert!(matches!(first.send(record("late")), Err(SendError::Transaction(e)) if e.is_fenced()));
    second.begin_transaction().unwrap();
    drop(second.send(record("second")).unwrap());
    second.commit_transaction().unwrap();
    assert_eq!(committed(&cluster), ["second"]);
}

#[test]
fn init_transactions_ends_the_open_transaction_of_the_predecessor() {
    let cluster = cluster(3);
    let first = transactional(&cluster);
    first.begin_transaction().unwrap();
    first.send(record("left open")).unwrap().get().unwrap();
    assert_eq!(state(&cluster), TransactionState::Ongoing);
    let second = transactional(&cluster);
    assert_ne!(state(&cluster), TransactionState::Ongoing);
    second
        .run_transaction(|it| it.send(record("next")))
        .unwrap();
    assert_eq!(committed(&cluster), ["next"]);
}

#[test]
fn close_aborts_an_open_transaction() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    producer.begin_transaction().unwrap();
    producer.send(record("open")).unwrap().get().unwrap();
    producer.close().unwrap();
    assert_eq!(state(&cluster), TransactionState::CompleteAbort);
    assert_eq!(committed(&cluster), [""; 0]);
}

/// `close` waits for `max.block.ms` at most: the coordinator aborts the transaction after the transaction timeout.
#[test]
fn close_waits_for_the_coordinator_as_long_as_a_call_would() {
    let cluster = cluster(3);
    let producer = producer(config(&cluster).transactional_id(ID).max_block(BLOCK));
    producer.init_transactions().unwrap();
    producer.begin_transaction().unwrap();
    producer.send(record("open")).unwrap().get().unwrap();
    cluster
        .script(
            Rule::on(Api::EndTxn)
                .always()
                .fail(ErrorCode::CoordinatorLoadInProgress),
        )
        .unwrap();
    let began = Instant::now();
    let closed = producer.close();
    assert!(
        matches!(closed, Err(CloseError::TransactionOpen)),
        "{closed:?}"
    );
    assert!(began.elapsed() >= BLOCK && began.elapsed() < LONG);
    assert_eq!(state(&cluster), TransactionState::Ongoing);
}

// ---- timeouts

/// KAFKA-13412
#[test]
fn a_timed_out_commit_is_resumed_by_a_retry_and_requested_once() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    producer.begin_transaction().unwrap();
    producer.send(record("v")).unwrap().get().unwrap();
    let slow = cluster
        .script(
            Rule::on(Api::EndTxn)
                .times(1)
                .delay(Duration::from_millis(600)),
        )
        .unwrap();
    let error = producer
        .commit_transaction_timeout(Duration::from_millis(50))
        .unwrap_err();
    assert!(error.is_retriable() && error.may_be_committed(), "{error}");
    let other = producer.abort_transaction().unwrap_err();
    assert_eq!(other.kind(), TransactionErrorKind::WrongState, "{other}");
    assert!(other.may_be_committed(), "{other}");
    producer.commit_transaction().unwrap();
    assert_eq!(slow.fired(), 1);
    assert_eq!(cluster.request_count(Api::EndTxn), 1);
    assert_eq!(committed(&cluster), ["v"]);
    producer.begin_transaction().unwrap();
}

#[test]
fn init_transactions_without_a_coordinator_times_out_after_max_block() {
    let cluster = cluster(3);
    let producer = producer(config(&cluster).transactional_id(ID).max_block(BLOCK));
    let mute = cluster
        .script(
            Rule::on(Api::FindCoordinator)
                .always()
                .fail(ErrorCode::CoordinatorNotAvailable),
        )
        .unwrap();
    let began = Instant::now();
    let error = producer.init_transactions().unwrap_err();
    assert!(error.is_retriable(), "{error}");
    assert!(began.elapsed() >= BLOCK && began.elapsed() < LONG);
    let why = "COORDINATOR_NOT_AVAILABLE";
    assert!(error.to_string().contains(why), "{error}");
    mute.remove();
    producer.init_transactions().unwrap();
    producer.begin_transaction().unwrap();
}

/// The coordinator delays the markers: the next transaction waits for them, and nothing is lost.
#[test]
fn the_next_transaction_waits_for_the_markers_of_the_previous_one() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    cluster.delay_markers(Duration::from_millis(100));
    for n in 0..5 {
        let value = n.to_string();
        producer
            .run_transaction(|it| it.send(record(&value)))
            .unwrap();
    }
    cluster.delay_markers(Duration::ZERO);
    producer.close().unwrap();
    assert_eq!(committed(&cluster), ["0", "1", "2", "3", "4"]);
}

#[test]
fn a_transaction_that_exceeds_its_timeout_is_aborted_by_its_coordinator_and_the_producer_fenced() {
    let cluster = cluster(3);
    let timeout = Duration::from_millis(300);
    let slow = producer(
        config(&cluster)
            .transactional_id(ID)
            .transaction_timeout(timeout),
    );
    slow.init_transactions().unwrap();
    slow.begin_transaction().unwrap();
    slow.send(record("slow")).unwrap().get().unwrap();
    let until = Instant::now() + LONG;
    while state(&cluster) == TransactionState::Ongoing {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    let error = slow.commit_transaction().unwrap_err();
    assert!(error.is_fenced(), "{error}");
    assert_eq!(committed(&cluster), [""; 0]);
}

#[test]
fn a_transaction_timeout_above_the_limit_of_the_brokers_is_rejected_and_named() {
    let cluster = TestCluster::builder()
        .topic("t", 1)
        .transaction_max_timeout(Duration::from_secs(10))
        .start()
        .unwrap();
    let producer = producer(config(&cluster).transactional_id(ID));
    let error = producer.init_transactions().unwrap_err();
    assert!(error.is_fatal(), "{error}");
    assert_eq!(error.code(), Some(ErrorCode::InvalidTransactionTimeout));
    let text = error.to_string();
    assert!(text.contains("transaction.timeout.ms=60000"), "{text}");
    assert!(text.contains("transaction.max.timeout.ms"), "{text}");
}

// ---- failures

/// KAFKA-9279
#[test]
fn a_failed_record_makes_the_transaction_abortable_and_the_next_succeeds() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    cluster
        .script(
            Rule::on(Api::Produce)
                .times(1)
                .fail(ErrorCode::InvalidRecord),
        )
        .unwrap();
    producer.begin_transaction().unwrap();
    let failed = producer.send(record("refused")).unwrap();
    let error = failed.get().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::InvalidRecord));
    let error = producer.commit_transaction().unwrap_err();
    assert!(error.is_abortable(), "{error}");
    assert!(error.to_string().contains("INVALID_RECORD"), "{error}");
    producer.abort_transaction().unwrap();
    producer
        .run_transaction(|it| it.send(record("good")))
        .unwrap();
    assert_eq!(committed(&cluster), ["good"]);
    assert_eq!(cluster.transaction(ID).unwrap().producer_epoch, 1);
}

#[test]
fn a_record_too_large_makes_the_transaction_abortable() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    let huge = "x".repeat(2 << 20);
    let error = producer
        .run_transaction(|it| it.send(record(&huge)))
        .unwrap_err();
    let TransactionRunError::Transaction(error) = error else {
        panic!("{error}");
    };
    assert!(error.is_abortable(), "{error}");
    assert!(error.to_string().contains("max.request.size"), "{error}");
    producer
        .run_transaction(|it| it.send(record("good")))
        .unwrap();
    assert_eq!(committed(&cluster), ["good"]);
}

#[test]
fn offsets_of_a_fenced_consumer_are_rejected() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    cluster.set_group_members("readers", 8, &[("me", None)]);
    producer.begin_transaction().unwrap();
    drop(producer.send(record("v")).unwrap());
    let old = ConsumerGroupMetadata::new("readers").member("me", 7);
    let error = producer
        .send_offsets_to_transaction(input(5), old)
        .unwrap_err();
    assert!(error.is_abortable(), "{error}");
    assert_eq!(error.code(), Some(ErrorCode::IllegalGeneration));
    producer.abort_transaction().unwrap();
    let transaction = producer.transaction().unwrap();
    transaction.send(record("good")).unwrap();
    let now = ConsumerGroupMetadata::new("readers").member("me", 8);
    transaction.send_offsets(input(5), now).unwrap();
    transaction.commit().unwrap();
    assert_eq!(committed(&cluster), ["good"]);
}

/// For each API, a request is tested that was applied, and one that was not.
#[test]
fn a_lost_response_to_any_request_is_retried() {
    for applied in [true, false] {
        for api in [
            Api::FindCoordinator,
            Api::InitProducerId,
            Api::AddPartitionsToTxn,
            Api::Produce,
            Api::AddOffsetsToTxn,
            Api::TxnOffsetCommit,
            Api::EndTxn,
        ] {
            let cluster = cluster(3);
            let rule = Rule::on(api).times(1).close();
            let rule = if applied { rule.after_applying() } else { rule };
            let lost = cluster.script(rule).unwrap();
            let producer = transactional(&cluster);
            let transaction = producer.transaction().unwrap();
            transaction.send(record("v")).unwrap();
            transaction.send_offsets(input(5), "readers").unwrap();
            transaction.commit().unwrap();
            assert_eq!(lost.fired(), 1, "{api:?}");
            assert_eq!(committed(&cluster), ["v"], "{api:?}, applied: {applied}");
            let offsets = cluster.committed_offsets("readers");
            assert_eq!(offsets[&TopicPartition::new("input", 0)].offset, 5);
        }
    }
}

#[test]
fn a_coordinator_that_moves_is_found_again() {
    let cluster = TestCluster::builder()
        .nodes(3)
        .topic("t", 3)
        .topic("input", 1)
        .start()
        .unwrap();
    let producer = transactional(&cluster);
    for n in 0..9 {
        let value = n.to_string();
        let transaction = producer.transaction().unwrap();
        transaction.send(record(&value)).unwrap();
        cluster.move_transaction_coordinator(ID, n % 3).unwrap();
        cluster
            .move_group_coordinator("readers", (n + 1) % 3)
            .unwrap();
        transaction
            .send_offsets(input(n.into()), "readers")
            .unwrap();
        cluster
            .move_transaction_coordinator(ID, (n + 1) % 3)
            .unwrap();
        transaction.commit().unwrap();
    }
    assert_eq!(committed(&cluster).len(), 9);
}

/// The offsets are retried because the topic may be created later.
#[test]
fn offsets_of_a_topic_that_does_not_exist_are_retried_until_the_call_times_out() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let producer = transactional(&cluster);
    producer.begin_transaction().unwrap();
    let error = producer
        .send_offsets_to_transaction_timeout(input(5), "readers", BLOCK)
        .unwrap_err();
    assert!(error.is_retriable(), "{error}");
    let why = "UNKNOWN_TOPIC_OR_PARTITION";
    assert!(error.to_string().contains(why), "{error}");
    cluster
        .create_topic("input", &TopicOptions::new(1))
        .unwrap();
    producer
        .send_offsets_to_transaction(input(5), "readers")
        .unwrap();
    producer.commit_transaction().unwrap();
    assert_eq!(cluster.committed_offsets("readers").len(), 1);
}

// ---- the guard

#[test]
fn a_transaction_is_aborted_by_an_error_a_drop_and_a_panic() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    let error = producer
        .run_transaction(|transaction| {
            transaction.send(record("error")).unwrap();
            Err::<(), _>("no")
        })
        .unwrap_err();
    assert!(matches!(
        error,
        TransactionRunError::Work {
            error: "no",
            abort_error: None
        }
    ));
    let transaction = producer.transaction().unwrap();
    transaction.send(record("dropped")).unwrap();
    drop(transaction);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = producer.run_transaction(|transaction| -> Result<(), SendError> {
            transaction.send(record("panicked")).unwrap();
            panic!("on purpose");
        });
    }));
    assert!(panicked.is_err());
    producer
        .run_transaction(|it| it.send(record("good")))
        .unwrap();
    assert_eq!(committed(&cluster), ["good"]);
}

#[test]
fn a_transaction_cannot_be_begun_in_another() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    producer
        .run_transaction(|transaction| {
            let nested = transaction.producer().transaction().unwrap_err();
            assert_eq!(nested.kind(), TransactionErrorKind::WrongState, "{nested}");
            transaction.send(record("outer"))
        })
        .unwrap();
    assert_eq!(committed(&cluster), ["outer"]);
}

#[test]
fn an_unsent_record_of_an_aborted_transaction_fails_with_transaction_aborted() {
    let cluster = cluster(3);
    let producer = producer(
        config(&cluster)
            .transactional_id(ID)
            .linger(Duration::from_secs(10)),
    );
    producer.init_transactions().unwrap();
    producer.begin_transaction().unwrap();
    let future = producer.send(record("lingers")).unwrap();
    producer.abort_transaction().unwrap();
    let error = future.get().unwrap_err();
    assert_eq!(error.kind(), &ProduceErrorKind::TransactionAborted);
    assert!(!error.may_be_written(), "{error}");
}

#[test]
fn transactional_calls_inside_callbacks_are_refused() {
    let cluster = cluster(3);
    let producer = Arc::new(transactional(&cluster));
    producer.begin_transaction().unwrap();
    let (sender, receiver) = channel();
    let inner = Arc::clone(&producer);
    let future = producer
        .send_with_callback(record("v"), move |_| {
            let calls = [
                inner.commit_transaction(),
                inner.abort_transaction(),
                inner.init_transactions(),
                inner.send_offsets_to_transaction(input(1), "readers"),
            ];
            sender.send(calls).unwrap();
        })
        .unwrap();
    future.get().unwrap();
    for refused in receiver.recv_timeout(LONG).unwrap() {
        let kind = refused.unwrap_err().kind();
        assert_eq!(kind, TransactionErrorKind::Misuse(Misuse::InsideCallback));
    }
    producer.commit_transaction().unwrap();
}

/// No call may wait inside a callback, so a guard cannot end its transaction there. Nothing may commit it afterwards.
#[test]
fn a_transaction_whose_guard_ends_inside_a_callback_can_only_be_aborted() {
    type End = fn(Transaction<'_, str, str>);
    let ends: [(&str, End); 4] = [
        ("drop", |guard| drop(guard)),
        ("panic", |_guard| panic!("on purpose")),
        ("commit", |guard| {
            let kind = guard.commit().unwrap_err().kind();
            assert_eq!(kind, TransactionErrorKind::Misuse(Misuse::InsideCallback));
        }),
        ("abort", |guard| {
            let kind = guard.abort().unwrap_err().kind();
            assert_eq!(kind, TransactionErrorKind::Misuse(Misuse::InsideCallback));
        }),
    ];
    let cluster = cluster(3);
    // A guard borrows its producer, and a callback borrows nothing.
    let producer: &'static Text = Box::leak(Box::new(transactional(&cluster)));
    for (how, end) in ends {
        let guard = Mutex::new(Some(producer.transaction().unwrap()));
        let future = producer
            .send_with_callback(record("v"), move |_| {
                end(guard.lock().unwrap().take().unwrap());
            })
            .unwrap();
        future.get().unwrap();
        let offsets = producer.send_offsets_to_transaction(input(1), "readers");
        for refused in [
            producer.begin_transaction(),
            offsets,
            producer.commit_transaction(),
        ] {
            let error = refused.expect_err(how);
            assert!(error.is_abortable(), "{how}: {error}");
            let text = error.to_string();
            assert!(text.contains("call abort_transaction"), "{how}: {text}");
        }
        producer.abort_transaction().unwrap();
    }
    producer
        .run_transaction(|it| it.send(record("good")))
        .unwrap();
    assert_eq!(committed(&cluster), ["good"]);
    producer.close().unwrap();
}

/// Java: KafkaProducerTest#testTransactionalMethodThrowsWhenSenderClosed
#[test]
fn every_transactional_call_after_close_fails() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    producer.close().unwrap();
    for call in [
        producer.begin_transaction(),
        producer.commit_transaction(),
        producer.abort_transaction(),
        producer.init_transactions(),
        producer.send_offsets_to_transaction(input(1), "readers"),
    ] {
        assert_eq!(call.unwrap_err().kind(), TransactionErrorKind::Closed);
    }
}

/// The guard of a transaction that was ended by the producer's methods is invalid.
#[test]
fn the_guard_of_an_ended_transaction_does_not_affect_the_next_one() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    let stale = producer.transaction().unwrap();
    stale.send(record("first")).unwrap();
    producer.commit_transaction().unwrap();
    let next = producer.transaction().unwrap();
    next.send(record("second")).unwrap();
    let refused = stale.send(record("stray")).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("another transaction was begun"),
        "{refused}"
    );
    let refused = stale.send_offsets(input(1), "readers").unwrap_err();
    assert_eq!(refused.kind(), TransactionErrorKind::WrongState);
    drop(stale);
    next.commit().unwrap();
    let ended = producer.transaction().unwrap();
    producer.abort_transaction().unwrap();
    let refused = ended.commit().unwrap_err();
    assert_eq!(refused.kind(), TransactionErrorKind::WrongState);
    assert_eq!(committed(&cluster), ["first", "second"]);
}

/// A serializer and interceptor that blocks for records whose value starts with `held`.
#[derive(Clone)]
struct Slow {
    is_here: Sender<()>,
    go_on: Arc<Mutex<Receiver<()>>>,
}

impl Slow {
    fn look_at(&self, value: &str) {
        if value.starts_with("held") {
            self.is_here.send(()).unwrap();
            self.go_on.lock().unwrap().recv().unwrap();
        }
    }
}

impl Serializer<str> for Slow {
    fn serialize<'a>(
        &self,
        _: &str,
        _: &mut Headers,
        data: &'a str,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        self.look_at(data);
        if data.ends_with("refused") {
            return Err("it is refused".into());
        }
        Ok(Some(Serialized::Borrowed(data.as_bytes())))
    }
}

impl ProducerInterceptor<str, str> for Slow {
    fn on_send(&self, record: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        self.look_at(record.value().unwrap());
        Ok(())
    }
}

fn in_first(value: &str) -> ProducerRecord<'_, str, str> {
    record(value).with_partition(0)
}

/// Sends a record whose `send` blocks in user code until its transaction has ended and the next one has a record. The
/// blocked record is rejected, and the next transaction is not affected.
fn held_up(value: &str, in_serializer: bool, send: fn(&Text, &Transaction<'_, str, str>, &str)) {
    let cluster = cluster(3);
    let (is_here, held) = channel();
    let (go_on, goes_on) = channel();
    let slow = Slow {
        is_here,
        go_on: Arc::new(Mutex::new(goes_on)),
    };
    let config = config(&cluster).transactional_id(ID).build().unwrap();
    let builder = Text::builder(config).stock_serializers();
    let builder = if in_serializer {
        builder.value_serializer(slow)
    } else {
        builder.interceptor(slow)
    };
    let producer = builder.build().unwrap();
    producer.init_transactions().unwrap();
    for commits in [true, false] {
        let transaction = producer.transaction().unwrap();
        transaction.send(in_first("first")).unwrap();
        std::thread::scope(|scope| {
            let late = scope.spawn(|| send(&producer, &transaction, value));
            held.recv().unwrap();
            if commits {
                producer.commit_transaction().unwrap();
            } else {
                producer.abort_transaction().unwrap();
            }
            producer.begin_transaction().unwrap();
            producer.send(in_first("second")).unwrap().get().unwrap();
            go_on.send(()).unwrap();
            late.join().unwrap();
            producer.commit_transaction().unwrap();
        });
        drop(transaction);
    }
    assert_eq!(committed(&cluster), ["first", "second", "second"]);
}

#[test]
fn a_record_whose_send_is_delayed_until_the_next_transaction_is_refused() {
    for in_serializer in [true, false] {
        held_up("held", in_serializer, |producer, _, value| {
            let error = producer.send(in_first(value)).unwrap_err();
            assert!(matches!(error, SendError::Transaction(_)), "{error}");
        });
        held_up("held", in_serializer, |_, transaction, value| {
            let error = transaction.send(in_first(value)).unwrap_err();
            assert!(matches!(error, SendError::Transaction(_)), "{error}");
        });
        held_up("held", in_serializer, |producer, _, value| {
            let error = producer.try_send(in_first(value)).unwrap_err();
            let reason = error.reason();
            let is_it = matches!(reason, TrySendReason::Call(SendError::Transaction(_)));
            assert!(is_it, "{error}");
        });
    }
}

#[test]
fn a_record_that_fails_after_the_end_of_its_transaction_does_not_affect_the_next_one() {
    held_up("held and refused", true, |producer, _, value| {
        let error = producer.send(in_first(value)).unwrap_err();
        assert!(matches!(error, SendError::Serialization { .. }), "{error}");
    });
    held_up("held and refused", true, |_, transaction, value| {
        let error = transaction.send(in_first(value)).unwrap_err();
        assert!(matches!(error, SendError::Serialization { .. }), "{error}");
    });
}

#[test]
fn run_transaction_returns_the_outcome_if_the_closure_ends_the_transaction_itself() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    let committing = producer.run_transaction(|it| {
        it.send(record("kept"))?;
        it.producer().commit_transaction().unwrap();
        Ok::<_, SendError>(7)
    });
    assert_eq!(committing.unwrap(), 7);
    let aborting = producer.run_transaction(|it| {
        it.send(record("given up"))?;
        it.producer().abort_transaction().unwrap();
        Ok::<_, SendError>(7)
    });
    let TransactionRunError::Transaction(error) = aborting.unwrap_err() else {
        panic!("it was no error of the work");
    };
    assert_eq!(error.kind(), TransactionErrorKind::WrongState);
    assert!(!error.may_be_committed());
    assert_eq!(committed(&cluster), ["kept"]);
}

/// This also holds if the producer has begun another transaction since, or is closed.
#[test]
fn a_guard_whose_transaction_was_committed_by_another_call_reports_that_it_may_be_committed() {
    type Next = fn(&Text);
    let nexts: [Next; 3] = [
        |_| {},
        |producer| producer.begin_transaction().unwrap(),
        |producer| producer.close().unwrap(),
    ];
    for commits in [true, false] {
        for (at, next) in nexts.into_iter().enumerate() {
            for call in ["commit", "abort", "send", "offsets"] {
                let cluster = cluster(3);
                let producer = transactional(&cluster);
                let guard = producer.transaction().unwrap();
                guard.send(record("v")).unwrap();
                if commits {
                    producer.commit_transaction().unwrap();
                } else {
                    producer.abort_transaction().unwrap();
                }
                next(&producer);
                let error = match call {
                    "commit" => guard.commit().unwrap_err(),
                    "abort" => guard.abort().unwrap_err(),
                    "offsets" => guard.send_offsets(input(1), "readers").unwrap_err(),
                    _ => match guard.send(record("late")) {
                        Err(SendError::Transaction(error)) => error,
                        Err(SendError::Closed) => continue,
                        other => panic!("{other:?}"),
                    },
                };
                assert_eq!(error.may_be_committed(), commits, "{call} {at}: {error}");
            }
        }
    }
}

#[test]
fn work_that_fails_after_it_has_committed_its_transaction_reports_that_it_may_be_committed() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    let failed = producer.run_transaction(|it| {
        it.send(record("kept")).unwrap();
        it.producer().commit_transaction().unwrap();
        Err::<(), _>("no")
    });
    let Err(TransactionRunError::Work { abort_error, .. }) = failed else {
        panic!("{failed:?}");
    };
    let abort = abort_error.expect("there is nothing to abort");
    assert!(abort.may_be_committed(), "{abort}");
    assert_eq!(committed(&cluster), ["kept"]);
}

/// The request may be carried out at any moment, and the transaction is then open.
#[test]
fn a_close_reports_a_transaction_whose_first_request_is_not_answered() {
    let cluster = cluster(3);
    let limit = Duration::from_millis(300);
    let producer = producer(config(&cluster).transactional_id(ID).max_block(limit));
    producer.init_transactions_timeout(LONG).unwrap();
    while producer.partitions_for("t").is_err() {}
    let late = cluster
        .script(
            Rule::on(Api::AddPartitionsToTxn)
                .never_answer()
                .after_applying(),
        )
        .unwrap();
    producer.begin_transaction().unwrap();
    drop(producer.send(record("v")).unwrap());
    let began = Instant::now();
    while late.fired() == 0 {
        assert!(began.elapsed() < LONG);
        std::thread::yield_now();
    }
    let closed = producer.close();
    assert!(
        matches!(closed, Err(CloseError::TransactionOpen)),
        "{closed:?}"
    );
    assert_eq!(state(&cluster), TransactionState::Ongoing);
}

#[test]
fn the_closure_of_run_transaction_may_fail_with_any_error_type() {
    fn passed_on(producer: &Text) -> Result<(), Box<dyn std::error::Error>> {
        producer.run_transaction(|it| -> Result<(), Box<dyn std::error::Error>> {
            it.send(record("v"))?;
            it.send_offsets(input(3), "readers")?;
            Err("no".into())
        })?;
        Ok(())
    }
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    let error = passed_on(&producer).unwrap_err();
    assert_eq!(error.to_string(), "the transaction was aborted: no");
    assert!(error.source().is_none(), "its text would be repeated");
}

#[test]
fn a_close_without_a_response_of_the_coordinator_reports_the_open_transaction() {
    for timeout in [None, Some(Duration::ZERO)] {
        let cluster = cluster(3);
        let producer = producer(
            config(&cluster)
                .transactional_id(ID)
                .max_block(Duration::from_millis(300)),
        );
        producer.init_transactions_timeout(LONG).unwrap();
        producer.begin_transaction().unwrap();
        producer.send(record("v")).unwrap().get().unwrap();
        for node in cluster.node_ids() {
            cluster.hang_node(node);
        }
        let closed = match timeout {
            None => producer.close(),
            Some(timeout) => producer.close_timeout(timeout),
        };
        let error = closed.unwrap_err();
        assert!(matches!(error, CloseError::TransactionOpen), "{error}");
        assert!(error.leaves_transaction_open());
        assert_eq!(state(&cluster), TransactionState::Ongoing);
    }
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    producer.begin_transaction().unwrap();
    producer.send(record("v")).unwrap().get().unwrap();
    for node in cluster.node_ids() {
        cluster.hang_node(node);
    }
    let _future = producer.send(record("v")).unwrap();
    let error = producer.close_timeout(Duration::ZERO).unwrap_err();
    let both = matches!(
        error,
        CloseError::Undelivered {
            records: 1,
            transaction_open: true
        }
    );
    assert!(both && error.leaves_transaction_open(), "{error}");
    assert!(error.to_string().contains("transaction"), "{error}");
    assert_eq!(state(&cluster), TransactionState::Ongoing);
    let cluster = self::cluster(3);
    let producer = transactional(&cluster);
    producer.begin_transaction().unwrap();
    producer.send(record("v")).unwrap().get().unwrap();
    producer.close().unwrap();
    assert_eq!(committed(&cluster), [] as [&str; 0]);
}

#[test]
fn the_first_call_of_a_producer_without_a_broker_fails_with_the_reason() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let config = kafka_producer::ProducerConfig::builder()
        .bootstrap_servers([address.as_str()])
        .transactional_id(ID);
    let producer = producer(config);
    let error = producer.init_transactions_timeout(BLOCK).unwrap_err();
    assert_eq!(error.kind(), TransactionErrorKind::TimedOut);
    let text = error.to_string();
    assert_eq!(text.matches(&address).count(), 1, "{text}");
}

/// `try_send` fails as soon as the brokers have responded, with the error that `send` returns after `max.block.ms`.
#[test]
fn try_send_to_a_missing_topic_or_partition_makes_the_transaction_abortable() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    for absent in [
        ProducerRecord::new("nosuch", "v"),
        record("v").with_partition(77),
    ] {
        producer.begin_transaction().unwrap();
        let began = Instant::now();
        loop {
            let error = producer.try_send(absent.clone()).unwrap_err();
            if !error.reason().would_block() {
                break;
            }
            assert!(began.elapsed() < LONG, "{error}");
            std::thread::yield_now();
        }
        let error = producer.commit_transaction().unwrap_err();
        assert!(error.is_abortable(), "{error}");
        producer.abort_transaction().unwrap();
    }
    producer
        .run_transaction(|it| it.send(record("kept")))
        .unwrap();
    assert_eq!(committed(&cluster), ["kept"]);
}

#[test]
fn invalid_offsets_are_rejected_and_the_transaction_can_still_be_committed() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    producer.begin_transaction().unwrap();
    drop(producer.send(record("v")).unwrap());
    let long = "x".repeat(40_000);
    let readers = || ConsumerGroupMetadata::new("readers");
    let at = |topic: &str, partition| TopicPartition::new(topic, partition);
    let plain = OffsetAndMetadata::new(1);
    let noted = OffsetAndMetadata::new(1).metadata(long.as_str());
    for (name, offset, group, culprit) in [
        (at("", 0), plain.clone(), readers(), "no topic"),
        (at("a b", 0), plain.clone(), readers(), "a b"),
        (at("input", -1), plain.clone(), readers(), "-1"),
        (at("input", 0), noted, readers(), "input-0"),
        (
            at("input", 0),
            plain.clone(),
            long.as_str().into(),
            "the group's name",
        ),
        (
            at("input", 0),
            plain.clone(),
            readers().member(long.as_str(), 3),
            "the member's id",
        ),
        (
            at("input", 0),
            plain,
            readers().member("m", 3).group_instance_id(long.as_str()),
            "group.instance.id",
        ),
    ] {
        let error = producer
            .send_offsets_to_transaction([(name, offset)], group)
            .unwrap_err();
        assert_eq!(
            error.kind(),
            TransactionErrorKind::InvalidOffsets,
            "{error}"
        );
        assert!(error.to_string().contains(culprit), "{error}");
    }
    producer.commit_transaction().unwrap();
    assert_eq!(committed(&cluster), ["v"]);
}

/// Regression: the transaction could neither be committed nor aborted.
#[test]
fn a_transaction_with_offsets_of_a_missing_partition_cannot_be_committed_but_aborted() {
    let cluster = cluster(3);
    let producer = transactional(&cluster);
    producer.begin_transaction().unwrap();
    drop(producer.send(record("v")).unwrap());
    let nowhere = [(TopicPartition::new("input", 9), OffsetAndMetadata::new(1))];
    let error = producer
        .send_offsets_to_transaction_timeout(nowhere, "readers", BLOCK)
        .unwrap_err();
    assert_eq!(error.kind(), TransactionErrorKind::TimedOut, "{error}");
    let error = producer.commit_transaction().unwrap_err();
    assert!(error.is_abortable(), "{error}");
    assert!(error.to_string().contains("input-9"), "{error}");
    producer.abort_transaction().unwrap();
    producer
        .run_transaction(|it| it.send(record("good")))
        .unwrap();
    assert_eq!(committed(&cluster), ["good"]);
}

/// Batches that are being compressed are not in their queues while the transaction ends.
#[test]
fn transactions_of_compressed_records_end_while_another_thread_keeps_sending() {
    let cluster = cluster(3);
    let producer = producer(
        config(&cluster)
            .transactional_id(ID)
            .set("compression.type", "lz4")
            .max_block(LONG),
    );
    producer.init_transactions().unwrap();
    let is_over = AtomicBool::new(false);
    let value = "v".repeat(300);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if producer.send(record(&value)).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        for round in 0..60 {
            producer.begin_transaction().unwrap();
            std::thread::sleep(Duration::from_millis(5));
            let began = Instant::now();
            let ended = if round % 2 == 0 {
                producer.commit_transaction()
            } else {
                producer.abort_transaction()
            };
            let ended = ended.map_err(|error| error.to_string());
            assert_eq!(ended, Ok(()), "round {round} after {:?}", began.elapsed());
        }
        is_over.store(true, Ordering::Relaxed);
    });
}
