//! A producer with a hostile broker, and the invariants that must hold whatever the broker sends.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kafka_producer::{
    Delivery, FutureRecordMetadata, KafkaProducer, ProduceError, ProduceErrorKind, ProducerConfig,
    ProducerConfigBuilder, ProducerRecord, RecordMetadata,
};

use crate::memory::{BOUND_KIB, PeakMemory};
use crate::proxy::TamperingProxy;

/// `max.block.ms`
pub(crate) const BLOCK: Duration = Duration::from_secs(1);
/// `request.timeout.ms`
pub(crate) const REQUEST: Duration = Duration::from_millis(400);
/// `delivery.timeout.ms`
pub(crate) const DELIVERY: Duration = Duration::from_millis(1500);
/// Tolerance of timeouts on a busy machine.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// Number of completed cases.
static HELD: AtomicUsize = AtomicUsize::new(0);

pub(crate) type Text = KafkaProducer<str, str>;

/// Memory is measured for the whole process, so cases run one at a time.
pub(crate) fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // Ignore poisoning: a failed case must not fail the others.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A producer whose only broker is hostile.
pub(crate) struct Case {
    pub(crate) producer: Text,
    pub(crate) proxy: TamperingProxy,
    /// Each value that was sent, with the delivery that its error reported; `None` if there was no error.
    ledger: RefCell<Vec<(String, Option<Delivery>)>>,
    peak: PeakMemory,
    _alone: MutexGuard<'static, ()>,
}

/// Short timeouts, so that failures are fast.
pub(crate) fn impatient(servers: &str) -> ProducerConfigBuilder {
    ProducerConfig::builder()
        .set("bootstrap.servers", servers)
        .max_block(BLOCK)
        .request_timeout(REQUEST)
        .delivery_timeout(DELIVERY)
        .socket_connection_setup_timeout(REQUEST)
        .socket_connection_setup_timeout_max(REQUEST)
        .reconnect_backoff(Duration::from_millis(10))
        .reconnect_backoff_max(Duration::from_millis(50))
        .retry_backoff(Duration::from_millis(10))
}

/// Long timeouts, for a hostile broker that responds to everything: no timeout may pass, so that counts are the same on
/// a busy machine.
pub(crate) fn patient(config: ProducerConfigBuilder) -> ProducerConfigBuilder {
    const LONG: Duration = Duration::from_secs(60);
    config
        .request_timeout(LONG)
        .delivery_timeout(LONG * 2)
        .socket_connection_setup_timeout(LONG)
        .socket_connection_setup_timeout_max(LONG)
}

impl Case {
    /// A case whose broker's responses are unchanged at first; the topic `t` has one partition.
    pub(crate) fn new() -> Self {
        Self::meeting(|_| {})
    }

    /// As [`Self::new`], with a proxy that is prepared before the producer connects.
    pub(crate) fn meeting(prepare: impl FnOnce(&TamperingProxy)) -> Self {
        Self::configured(prepare, |config| config)
    }

    pub(crate) fn configured(
        prepare: impl FnOnce(&TamperingProxy),
        configure: impl FnOnce(ProducerConfigBuilder) -> ProducerConfigBuilder,
    ) -> Self {
        let alone = one_at_a_time();
        let peak = PeakMemory::watch();
        let proxy = TamperingProxy::start();
        prepare(&proxy);
        kafka_producer::internals::watch_log_lines();
        let config = configure(impatient(&proxy.address()));
        let producer = Text::new(config.build().unwrap()).unwrap();
        Self {
            producer,
            proxy,
            ledger: RefCell::default(),
            peak,
            _alone: alone,
        }
    }

    /// As [`Self::new`]; the producer already has a connection, the topic's metadata and a producer id.
    pub(crate) fn warmed() -> Self {
        let case = Self::new();
        case.written();
        case
    }

    /// Appends the next record, within `max.block.ms`.
    pub(crate) fn send(&self) -> Pending<'_> {
        let value = format!("value-{}", self.ledger.borrow().len());
        let began = Instant::now();
        let future = self.producer.send(ProducerRecord::new("t", &*value));
        assert!(
            began.elapsed() < BLOCK + GRACE,
            "send took {:?}",
            began.elapsed()
        );
        let place = self.ledger.borrow().len();
        self.ledger.borrow_mut().push((value, None));
        Pending {
            case: self,
            place,
            future: future.unwrap(),
            began: Instant::now(),
        }
    }

    /// Sends a record that must be written.
    pub(crate) fn written(&self) -> RecordMetadata {
        match self.send().outcome() {
            Ok(metadata) => metadata,
            Err(error) => panic!("not written: {error}"),
        }
    }

    /// Sends a record that must fail with this kind, and these parts in the error's text.
    pub(crate) fn failed(&self, kind: &ProduceErrorKind, parts: &[&str]) -> ProduceError {
        let error = match self.send().outcome() {
            Ok(metadata) => panic!("written: {metadata}"),
            Err(error) => error,
        };
        assert_error(&error, kind, parts);
        error
    }

    /// Sends a record that is retried until it expires, with these parts in the error's text. It does not matter
    /// whether it expires in flight or during the back-off.
    pub(crate) fn undelivered(&self, parts: &[&str]) -> ProduceError {
        let error = self.failed(&ProduceErrorKind::DeliveryTimeout, parts);
        assert!(error.may_be_written() && error.is_retriable(), "{error}");
        error
    }

    /// Sends a record to an unknown topic; returns the error, which must come within `max.block.ms`.
    pub(crate) fn failed_for(&self, topic: &str) -> ProduceError {
        let began = Instant::now();
        let future = self.producer.send(ProducerRecord::new(topic, "v")).unwrap();
        let error = future.get().unwrap_err();
        assert!(began.elapsed() < BLOCK + GRACE);
        error
    }

    /// Sets the last result in the ledger to "maybe written", because the broker has lied about it.
    pub(crate) fn forget_last(&self) {
        if let Some(last) = self.ledger.borrow_mut().last_mut() {
            last.1 = Some(Delivery::MaybeWritten);
        }
    }

    /// Waits until this many batches are in flight.
    pub(crate) fn await_in_flight(&self, batches: u64) {
        let until = Instant::now() + REQUEST;
        while self.producer.snapshot().batches_in_flight < batches {
            assert!(Instant::now() < until, "{:?}", self.producer.snapshot());
            std::thread::yield_now();
        }
    }

    /// Stops tampering: the same producer must work, and the [invariants](Self::end) hold.
    pub(crate) fn finish(self) {
        self.proxy.stop_tampering();
        for _ in 0..3 {
            self.written();
        }
        self.end();
    }

    /// Checks the invariants: every acknowledged record is in the log once, no record reported as not written is in the
    /// log, and memory was bounded.
    pub(crate) fn end(self) {
        let began = Instant::now();
        self.producer.close().unwrap();
        assert!(began.elapsed() < DELIVERY + GRACE, "closing took long");
        let stored = self.stored();
        for (value, delivery) in self.ledger.borrow().iter() {
            let times = stored.iter().filter(|stored| *stored == value).count();
            match delivery {
                None => assert_eq!(times, 1, "{value} was acknowledged"),
                Some(Delivery::NotWritten) => assert_eq!(times, 0, "{value} was not written"),
                Some(Delivery::MaybeWritten) => {
                    assert!(times <= 1, "{value} is there {times} times");
                }
            }
        }
        let taken = self.peak.taken_kib();
        assert!(taken < BOUND_KIB, "{taken} KiB were taken");
        let number = HELD.fetch_add(1, Ordering::Relaxed) + 1;
        println!("case {number} stayed within its bounds: {taken} KiB at most");
    }

    fn stored(&self) -> Vec<String> {
        let records = self.proxy.cluster.records("t", 0).into_iter();
        records
            .map(|record| String::from_utf8(record.value.unwrap()).unwrap())
            .collect()
    }
}

/// A record that was appended.
pub(crate) struct Pending<'c> {
    case: &'c Case,
    place: usize,
    future: FutureRecordMetadata,
    began: Instant,
}

impl Pending<'_> {
    pub(crate) fn is_done(&self) -> bool {
        self.future.is_done()
    }

    /// Waits for the record's result, at most `delivery.timeout.ms`.
    pub(crate) fn outcome(self) -> Result<RecordMetadata, ProduceError> {
        let outcome = self.future.get();
        let took = self.began.elapsed();
        assert!(
            took < DELIVERY + GRACE,
            "a record took {took:?}: {outcome:?}"
        );
        if let Err(error) = &outcome {
            self.case.ledger.borrow_mut()[self.place].1 = Some(error.delivery());
        }
        outcome
    }
}

pub(crate) fn assert_error(error: &ProduceError, kind: &ProduceErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
}
