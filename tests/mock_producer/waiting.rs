//! Calls that send and wait, `try_send` with a callback, and the state of a producer.

use std::error::Error as StdError;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kafka_producer::testing::MockProducer;
use kafka_producer::{
    Error, ErrorCode, FutureRecordMetadata, LifecycleState, ProduceError, ProduceErrorKind,
    ProducerRecord, RecordMetadata, SendError, TrySendReason,
};

use super::{Producer, Rig, TOPIC, record};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);

fn kind(error: &Error) -> ProduceErrorKind {
    match error {
        Error::Produce(error) => error.kind().clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn send_sync_returns_the_result_of_the_record() {
    let rig = Rig::new(true);
    let metadata = rig.producer.send_sync(record("key"), LONG).unwrap();
    assert_eq!((metadata.topic(), metadata.offset()), (TOPIC, 0));
    rig.producer.close().unwrap();
    let error = rig.producer.send_sync(record("key"), LONG).unwrap_err();
    assert!(matches!(error, Error::Send(SendError::Closed)), "{error}");
}

#[test]
fn send_sync_gives_up_after_its_timeout_and_the_record_is_under_way() {
    let rig = Rig::new(false);
    let error = rig.producer.send_sync(record("key"), SHORT).unwrap_err();
    assert_eq!(kind(&error), ProduceErrorKind::Pending);
    assert!(error.may_be_written() && error.is_retriable());
    assert_eq!(rig.history(), ["key"]);
}

#[test]
fn an_error_has_the_code_of_the_broker() {
    let (producer, _mock) = MockProducer::builder()
        .only_named_topics()
        .build::<str, str>()
        .unwrap();
    let error = producer.send_sync(record("key"), SHORT).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
    let reason = producer.try_send(record("key")).unwrap_err().into_reason();
    for error in [Error::TrySend(reason.clone()), Error::from(reason)] {
        assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
        assert!(error.is_retriable() && !error.may_be_written());
    }
    let error = Error::from(producer.partitions_for(TOPIC).unwrap_err());
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
    producer.close().unwrap();
    let error = Error::from(producer.send(record("key")).unwrap_err());
    assert_eq!(error.code(), None);
}

#[test]
fn an_error_made_of_the_reason_of_a_refused_record_has_the_facts_of_the_record() {
    let rig = Rig::new(false);
    let pending = rig.send("key").get_timeout(Duration::ZERO).unwrap_err();
    let error = Error::TrySend(TrySendReason::Record(pending));
    assert!(error.may_be_written() && error.is_retriable());
    let error = Error::TrySend(TrySendReason::Call(SendError::Closed));
    assert!(!error.may_be_written() && !error.is_retriable());
    assert_eq!(error.code(), None);
}

/// Only waits for metadata that will not come are skipped.
#[test]
fn the_wait_for_a_missing_topic_shortens_no_later_wait() {
    let builder = MockProducer::builder().topic(TOPIC, 1).only_named_topics();
    let (producer, _mock) = builder.auto_complete(false).build::<str, str>().unwrap();
    let began = Instant::now();
    for timeout in [LONG, SHORT] {
        let missing = ProducerRecord::new("missing", "v");
        let error = producer.send_sync(missing, timeout).unwrap_err();
        assert_eq!(kind(&error), ProduceErrorKind::UnknownTopicOrPartition);
        let left = format!(
            "within the {} ms left of the call's timeout",
            timeout.as_millis()
        );
        assert!(error.to_string().contains(&left), "{error}");
    }
    assert!(began.elapsed() < LONG);
    let future = producer.send(record("key")).unwrap();
    let began = Instant::now();
    let error = future.get_timeout(SHORT).unwrap_err();
    assert_eq!(*error.kind(), ProduceErrorKind::Pending);
    assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
}

#[test]
fn wait_all_takes_futures_of_records_with_callbacks() {
    let rig = Rig::new(true);
    let send = |key| {
        rig.producer
            .send_with_callback(record(key), |_| {})
            .unwrap()
    };
    let futures = vec![send("a"), send("b")];
    let offsets = |results: Vec<Result<RecordMetadata, ProduceError>>| -> Vec<i64> {
        let written = results.iter().map(|result| result.as_ref().unwrap());
        written.map(RecordMetadata::offset).collect()
    };
    assert_eq!(
        offsets(FutureRecordMetadata::wait_all(&futures, LONG)),
        [0, 1]
    );
    assert_eq!(
        offsets(FutureRecordMetadata::wait_all([&futures[1]], LONG)),
        [1]
    );
    assert_eq!(
        offsets(FutureRecordMetadata::wait_all(futures, LONG)),
        [0, 1]
    );
}

#[test]
fn send_all_returns_a_result_for_each_record_in_their_order() {
    let builder = MockProducer::builder().topic(TOPIC, 1).only_named_topics();
    let (producer, mock) = builder.build::<str, str>().unwrap();
    let missing = ProducerRecord::new("missing", "v");
    let records = [record("a"), missing, record("b")];
    let results = producer.send_all(records, LONG);
    let offsets: Vec<_> = results
        .iter()
        .map(|result| result.as_ref().map(RecordMetadata::offset).ok())
        .collect();
    assert_eq!(offsets, [Some(0), None, Some(1)]);
    let error = results.into_iter().find_map(Result::err).unwrap();
    assert_eq!(kind(&error), ProduceErrorKind::UnknownTopicOrPartition);
    assert_eq!(mock.history().len(), 2);
}

#[test]
fn one_timeout_is_for_all_records() {
    // Time-outs that are added up take 50 s.
    const COUNT: usize = 500;
    let in_time = SHORT..LONG;
    let rig = Rig::new(false);
    let futures: Vec<_> = (0..COUNT).map(|_| rig.send("key")).collect();
    let began = Instant::now();
    let results = FutureRecordMetadata::wait_all(&futures, SHORT);
    assert!(in_time.contains(&began.elapsed()));
    for result in results {
        assert_eq!(*result.unwrap_err().kind(), ProduceErrorKind::Pending);
    }
    let began = Instant::now();
    let records = (0..COUNT).map(|_| record("key"));
    let results = rig.producer.send_all(records, SHORT);
    assert!(in_time.contains(&began.elapsed()));
    for result in results {
        assert_eq!(kind(&result.unwrap_err()), ProduceErrorKind::Pending);
    }
    assert_eq!(rig.history().len(), 2 * COUNT);
    rig.producer.flush().unwrap();
    let results = FutureRecordMetadata::wait_all(futures, Duration::ZERO);
    assert!(results.iter().all(Result::is_ok));
}

#[test]
fn a_callback_is_called_for_an_accepted_record_and_returned_with_a_refused_one() {
    let builder = MockProducer::builder().topic(TOPIC, 1).only_named_topics();
    let (producer, _mock) = builder.build::<str, str>().unwrap();
    let (responder, response) = mpsc::channel();
    let respond = |responder: mpsc::Sender<bool>| {
        move |outcome: Result<&_, &_>| responder.send(outcome.is_ok()).unwrap()
    };
    producer
        .try_send_with_callback(record("key"), respond(responder.clone()))
        .unwrap();
    assert_eq!(response.try_recv(), Ok(true));

    let missing = ProducerRecord::new("missing", "v");
    let refused = producer
        .try_send_with_callback(missing.clone(), respond(responder))
        .unwrap_err();
    let is_it = matches!(refused.reason(), TrySendReason::Record(_));
    assert!(is_it, "{refused}");
    let (record, respond) = refused.into_parts();
    assert_eq!(record, missing);
    assert!(response.try_recv().is_err(), "not called, and not dropped");
    let error = producer.send(record).unwrap().get().unwrap_err();
    respond(Err(&error));
    assert_eq!(response.try_recv(), Ok(false));
}

/// The record borrows what lives shorter than the error.
#[test]
fn a_refused_record_is_an_error_of_any_function() {
    fn boxed(producer: &Producer, key: &str) -> Result<(), Box<dyn StdError>> {
        let _future = producer.try_send(record(key))?;
        Ok(())
    }
    fn shared(producer: &Producer, key: &str) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let _future = producer.try_send(record(key))?;
        Ok(())
    }
    fn umbrella(producer: &Producer, key: &str) -> Result<(), Error> {
        let _future = producer.try_send(record(key))?;
        Ok(())
    }
    fn reason(producer: &Producer, key: &str) -> Result<(), TrySendReason> {
        let _future = producer.try_send(record(key))?;
        Ok(())
    }
    let rig = Rig::new(true);
    rig.producer.close().unwrap();
    let key = String::from("key");
    let error = boxed(&rig.producer, &key).unwrap_err();
    let is_it = matches!(
        error.downcast_ref(),
        Some(TrySendReason::Call(SendError::Closed))
    );
    assert!(is_it, "{error}");
    assert!(
        shared(&rig.producer, &key)
            .unwrap_err()
            .is::<TrySendReason>()
    );
    let error = umbrella(&rig.producer, &key).unwrap_err();
    assert!(matches!(error, Error::Send(SendError::Closed)), "{error}");
    let error = reason(&rig.producer, &key).unwrap_err();
    assert!(matches!(error, TrySendReason::Call(SendError::Closed)));
    assert!(Error::from(TrySendReason::MemoryFull).is_retriable());
}

#[test]
fn the_state_shows_whether_a_producer_takes_records() {
    let rig = Rig::new(true);
    assert_eq!(rig.producer.state(), LifecycleState::Running);
    rig.producer.close().unwrap();
    assert_eq!(rig.producer.state(), LifecycleState::Closed);
    assert!(!rig.producer.state().is_running());
}

#[test]
fn the_state_of_a_fenced_producer_has_the_error_of_its_transactions() {
    let rig = Rig::begun(true);
    assert!(rig.producer.state().is_running());
    rig.mock.fence_producer().unwrap();
    let state = rig.producer.state();
    match &state {
        LifecycleState::TransactionsFailed(error) => assert!(error.is_fenced(), "{error}"),
        other => panic!("{other:?}"),
    }
    let SendError::Transaction(error) = rig.producer.send(record("key")).unwrap_err() else {
        panic!("a fenced producer takes no record");
    };
    assert_eq!(state.to_string(), error.to_string());
    let _ = rig.producer.close();
    assert_eq!(rig.producer.state(), LifecycleState::Closed);
}

#[test]
fn the_state_of_a_producer_that_a_test_fails_has_the_message() {
    let rig = Rig::new(false);
    let future = rig.send("key");
    assert!(rig.mock.fail_producer("out of luck"));
    let LifecycleState::Failed(failure) = rig.producer.state() else {
        panic!("{:?}", rig.producer.state());
    };
    assert_eq!(failure.panic_message(), "out of luck");
    assert!(rig.mock.closed());

    let error = future.get().unwrap_err();
    assert_eq!(*error.kind(), ProduceErrorKind::ProducerFailed);
    assert!(error.to_string().contains("out of luck"), "{error}");
    let refused = rig.producer.send(record("key")).unwrap_err();
    assert!(
        matches!(&refused, SendError::ProducerFailed(it) if *it == failure),
        "{refused}"
    );
    // Nothing is left to wait for.
    rig.producer.flush().unwrap();
    // The failure stays after a close, and is not replaced.
    assert!(!rig.mock.fail_producer("another"));
    let _ = rig.producer.close();
    assert_eq!(rig.producer.state(), LifecycleState::Failed(failure));
}

#[test]
fn a_thread_that_waits_for_a_record_returns_when_a_test_fails_the_producer() {
    for transactional in [false, true] {
        let rig = if transactional {
            Rig::begun(false)
        } else {
            Rig::new(false)
        };
        let future = rig.send("key");
        let failed = std::thread::scope(|scope| {
            let waits = scope.spawn(|| future.get());
            assert!(rig.mock.fail_producer("out of luck"));
            waits.join().unwrap()
        });
        assert_eq!(
            *failed.unwrap_err().kind(),
            ProduceErrorKind::ProducerFailed
        );
        assert!(!rig.producer.state().is_running());
    }
}

/// A callback runs inside a step of the sender, which cannot end there: the producer fails right after it.
#[test]
fn a_callback_can_fail_the_producer() {
    let rig = Rig::new(true);
    let mock = rig.mock.clone();
    let callback = move |_: Result<&RecordMetadata, &ProduceError>| {
        mock.fail_producer("in a callback");
    };
    let sent = rig.producer.send_with_callback(record("key"), callback);
    sent.unwrap().get().unwrap();
    let state = rig.producer.state();
    assert!(matches!(state, LifecycleState::Failed(_)), "{state}");
}

#[test]
fn a_closed_producer_does_not_fail() {
    let rig = Rig::new(true);
    rig.producer.close().unwrap();
    assert!(!rig.mock.fail_producer("too late"));
    assert_eq!(rig.producer.state(), LifecycleState::Closed);
}
