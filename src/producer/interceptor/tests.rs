use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::error::{Delivery, ProduceErrorKind, ProduceErrorParts};
use crate::producer::instance::Instance;
use crate::sync::{Mutex, Rank};

type Record<'a> = ProducerRecord<'a, i32, str>;

#[derive(Clone, Copy, Default, PartialEq)]
enum Fault {
    #[default]
    None,
    Error,
    Panic,
}

impl Fault {
    fn happen(self) -> Result<(), BoxError> {
        match self {
            Self::None => Ok(()),
            Self::Error => Err("injected error".into()),
            Self::Panic => panic!("injected panic"),
        }
    }
}

/// The calls that the interceptors of a chain have received.
#[derive(Default)]
struct Seen {
    sent: AtomicUsize,
    closed: AtomicUsize,
    acknowledged: Option<Mutex<Vec<(RecordMetadata, bool)>>>,
}

impl Seen {
    fn new() -> Arc<Self> {
        let acknowledged = Some(Mutex::new(Rank::LEAF, Vec::new()));
        Arc::new(Self {
            acknowledged,
            ..Self::default()
        })
    }

    fn acknowledged(&self) -> Vec<(RecordMetadata, bool)> {
        self.acknowledged.as_ref().unwrap().lock().clone()
    }
}

/// Appends to the value, then fails as configured.
struct Append {
    suffix: &'static str,
    fault: Fault,
    seen: Arc<Seen>,
}

impl ProducerInterceptor<i32, str> for Append {
    fn on_send(&self, record: &mut Record<'_>) -> Result<(), BoxError> {
        self.seen.sent.fetch_add(1, Ordering::Relaxed);
        let value = record.value().unwrap_or_default().to_owned() + self.suffix;
        record.set_value(value);
        record.headers_mut().add(self.suffix, "")?;
        self.fault.happen()
    }

    fn on_acknowledgement(&self, metadata: &RecordMetadata, error: Option<&ProduceError>) {
        let seen = self.seen.acknowledged.as_ref().unwrap();
        seen.lock().push((metadata.clone(), error.is_some()));
        // Errors cannot be returned from here.
        assert!(self.fault == Fault::None, "injected panic");
    }

    fn close(&self) -> Result<(), BoxError> {
        self.seen.closed.fetch_add(1, Ordering::Relaxed);
        self.fault.happen()
    }
}

fn chain(seen: &Arc<Seen>, faults: [Fault; 2]) -> ProducerInterceptors<i32, str> {
    let append = |suffix, fault| -> Box<dyn ProducerInterceptor<i32, str>> {
        Box::new(Append {
            suffix,
            fault,
            seen: Arc::clone(seen),
        })
    };
    let chain = vec![append("One", faults[0]), append("Two", faults[1])];
    ProducerInterceptors::new(chain, Some(copy_record), Instance::for_tests())
}

fn record() -> Record<'static> {
    ProducerRecord::keyed("test", 1, "value").with_partition(0)
}

fn error() -> ProduceError {
    let (kind, delivery) = (ProduceErrorKind::Closed, Delivery::NotWritten);
    ProduceErrorParts::new(kind, delivery, "test".into(), "test").build()
}

/// Java: ProducerInterceptorsTest#testOnSendChain (IN-1)
#[test]
fn each_interceptor_gets_the_record_of_the_one_before() {
    let seen = Seen::new();
    let interceptors = chain(&seen, [Fault::None; 2]);
    let sent = interceptors.on_send(record());
    assert_eq!(seen.sent.load(Ordering::Relaxed), 2);
    assert_eq!(sent.value(), Some("valueOneTwo"));
    assert_eq!(
        (sent.topic(), sent.partition(), sent.key()),
        ("test", Some(0), Some(&1))
    );
    assert_eq!(interceptors.on_send(record()), sent);
}

/// Java: ProducerInterceptorsTest#testOnSendChain (IN-1)
#[test]
fn after_a_failing_interceptor_the_chain_goes_on_with_the_last_good_record() {
    for fault in [Fault::Error, Fault::Panic] {
        let seen = Seen::new();
        let sent = chain(&seen, [fault, Fault::None]).on_send(record());
        assert_eq!(seen.sent.load(Ordering::Relaxed), 2);
        assert_eq!(sent.value(), Some("valueTwo"));
        // The header that the failing interceptor added before it failed is gone.
        assert_eq!(sent.headers().len(), 1);

        let sent = chain(&seen, [Fault::None, fault]).on_send(record());
        assert_eq!(sent.value(), Some("valueOne"));
        assert_eq!(chain(&seen, [fault; 2]).on_send(record()), record());
    }
}

/// Java: ProducerInterceptorsTest#testOnAcknowledgementChain (IN-2)
#[test]
fn all_interceptors_are_notified_of_a_records_outcome_even_if_one_panics() {
    for faults in [
        [Fault::None; 2],
        [Fault::Panic, Fault::None],
        [Fault::Panic; 2],
    ] {
        let seen = Seen::new();
        let metadata = RecordMetadata::placeholder(TopicPartition::new("test", 0));
        let interceptors = chain(&seen, faults);
        let listener: &dyn AcknowledgementListener = &interceptors;
        listener.on_acknowledgement(&metadata, None);
        assert_eq!(
            seen.acknowledged(),
            [(metadata.clone(), false), (metadata, false)]
        );
    }
}

/// Java: ProducerInterceptorsTest#testOnAcknowledgementWithErrorChain (IN-3)
#[test]
fn a_refused_record_is_reported_with_its_partition_if_that_is_known() {
    for (partition, reported) in [(Some(3), 3), (None, -1)] {
        let seen = Seen::new();
        chain(&seen, [Fault::Panic, Fault::None]).on_send_error("test", partition, &error());
        let metadata = RecordMetadata::placeholder(TopicPartition::new("test", reported));
        assert_eq!(
            seen.acknowledged(),
            [(metadata.clone(), true), (metadata, true)]
        );
    }
}

/// Every interceptor is closed, even if one before it failed (IN-6).
#[test]
fn every_interceptor_is_closed_and_the_first_failure_is_reported() {
    let seen = Seen::new();
    chain(&seen, [Fault::None; 2]).close().unwrap();
    assert_eq!(seen.closed.load(Ordering::Relaxed), 2);
    let failure = chain(&seen, [Fault::Panic, Fault::Error])
        .close()
        .unwrap_err();
    assert_eq!(seen.closed.load(Ordering::Relaxed), 4);
    let failure = failure.to_string();
    assert!(
        failure.contains("Append") && failure.contains("injected panic"),
        "{failure}"
    );
}

#[test]
fn an_empty_chain_does_nothing() {
    let interceptors = ProducerInterceptors::<i32, str>::none(Instance::for_tests());
    assert!(interceptors.is_empty());
    assert_eq!(interceptors.on_send(record()), record());
    interceptors.on_send_error("test", None, &error());
    interceptors.close().unwrap();
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "user code called")]
fn an_interceptor_is_not_called_with_a_lock_held() {
    let lock = Mutex::new(Rank::QUEUE, ());
    let _held = lock.lock();
    chain(&Seen::new(), [Fault::None; 2]).on_send(record());
}

/// The sender thread may outlive a `close` that gave up on it, and completes the remaining records.
#[test]
fn no_interceptor_is_called_after_its_close() {
    let seen = Seen::new();
    let interceptors = chain(&seen, [Fault::None; 2]);
    interceptors.close().unwrap();
    let record = interceptors.on_send(Record::new("t", "v"));
    assert_eq!(record.value(), Some("v"));
    let metadata = RecordMetadata::placeholder(TopicPartition::new("t", 0));
    interceptors.on_acknowledgement(&metadata, None);
    assert_eq!(seen.sent.load(Ordering::Relaxed), 0);
    assert_eq!(seen.acknowledged(), []);
    assert!(interceptors.cluster_listeners().unwrap().is_empty());
}
