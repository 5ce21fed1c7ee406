//! Calls of the application and steps of the sender, all run by hand on one thread: a call that waits does not block
//! the thread.

mod driven;
mod interleaved;
mod timed;

use std::cell::Cell;

use super::*;
use crate::config::ProducerConfig;
use crate::error::{BoxError, CloseError, MetadataError, SendError};
use crate::producer::callback_scope;
use crate::producer::core::{Core, Plugins};
use crate::producer::interceptor::ProducerInterceptors;
use crate::producer::kafka_producer::KafkaProducer;
use crate::producer::lifecycle::{Running, SenderThread};
use crate::producer::metrics_reporters::MetricsReporters;
use crate::producer::partitioner::{RandomSource, Strategy};
use crate::producer::record::ProducerRecord;
use crate::producer::serializer::{PreparedSerializer, Serialized, Serializer, StockSerialize};
use crate::producer::waiting::{BlockingCall, Step};
use crate::sync::{Mutex, Rank};
use crate::util::process::RecentlyAsked;

pub(super) type Producer = KafkaProducer<str, str>;

/// `max.block.ms`
pub(super) const MAX_BLOCK: Duration = Duration::from_millis(500);

/// A producer that uses the sender of a rig, and the token that marks this sender as running.
pub(super) fn producer_on(rig: &Rig, values: Box<dyn Serializer<str>>) -> (Producer, Running) {
    let shared = &rig.shared;
    let transactions = rig.sender.transactions.as_ref();
    let core = Core {
        accumulator: Arc::clone(&shared.accumulator),
        metadata: Arc::clone(&shared.metadata),
        waker: Arc::clone(&shared.waker),
        control: Arc::clone(&shared.control),
        counters: Arc::clone(&shared.counters),
        metrics: Arc::clone(&shared.metrics),
        sensors: Arc::clone(&shared.sensors),
        clock: Arc::clone(&shared.clock),
        usable_magic: Arc::clone(&shared.usable_magic),
        random: RandomSource::new(1),
        instance: rig.instance.clone(),
        fork_asked: RecentlyAsked::new(),
        transactions: transactions.and_then(|it| it.transactions().cloned()),
        #[cfg(feature = "tls-no-provider")]
        tls: None,
        #[cfg(feature = "testing")]
        call_errors: None,
        config: ProducerConfig::builder()
            .max_block(MAX_BLOCK)
            .build()
            .expect("it is good"),
    };
    let plugins = Plugins {
        key_serializer: PreparedSerializer::new(strings()),
        value_serializer: PreparedSerializer::new(values),
        strategy: Strategy::Default,
        interceptors: Arc::new(ProducerInterceptors::none(rig.instance.clone())),
        metrics: Arc::clone(&shared.metrics),
        reporters: MetricsReporters::none(rig.instance.clone()),
        app_info: None,
        instance: rig.instance.clone(),
    };
    let (thread, running) = SenderThread::without_thread(
        rig.instance.log().clone(),
        Arc::clone(&shared.control),
        Arc::clone(&shared.waker),
    );
    (Producer::assemble(core, plugins, thread), running)
}

pub(super) fn strings() -> Box<dyn Serializer<str>> {
    str::stock_serializer(str::JAVA_CLASSES[0]).expect("strings have one")
}

/// A producer whose sender is stepped by hand.
pub(super) struct ProducerRig {
    /// Dropped first: the drop of a producer waits until its sender has ended.
    pub(super) running: Running,
    pub(super) rig: Rig,
    pub(super) producer: Producer,
}

impl ProducerRig {
    fn start(setup: Setup) -> Self {
        Self::of(setup.start())
    }

    pub(super) fn of(rig: Rig) -> Self {
        let (producer, running) = producer_on(&rig, strings());
        Self {
            running,
            rig,
            producer,
        }
    }

    /// A producer with memory for one batch of one record.
    fn short_of_memory() -> Self {
        Self::start(Setup {
            batch_size: 100,
            memory: 100,
            ..Setup::default()
        })
    }
}

/// Ends the sender as the sender thread does.
pub(super) fn end(rig: Rig, running: Running) {
    let Rig { sender, .. } = rig;
    sender.run();
    drop(running);
}

fn record(topic: &str) -> ProducerRecord<'_, str, str> {
    ProducerRecord::new(topic, "value").with_partition(0)
}

/// Runs one step of a call; returns the result if the call is over.
pub(super) fn step<C: BlockingCall>(call: &mut C) -> Option<C::Output> {
    call.step().done()
}

/// The deadline of a call that has to wait.
fn waits_until<C: BlockingCall>(call: &mut C) -> Deadline {
    match call.step() {
        Step::Done(_) => panic!("the call is over"),
        Step::Wait(wait) => wait.until,
    }
}

fn acknowledge(rig: &mut Rig, base_offset: i64) {
    rig.respond(ErrorCode::NoError, base_offset);
    rig.client().forget_sent();
}

#[test]
fn a_send_that_waits_for_a_topic_goes_on_when_the_topic_is_known() {
    let stepped = ProducerRig::start(Setup::default());
    let record = record("new");
    let mut send = stepped.producer.send_call(&record, Headers::new(), None);
    assert!(step(&mut send).is_none());
    assert!(stepped.rig.wants_metadata());
    stepped.rig.advance(MS(499));
    assert!(step(&mut send).is_none());
    stepped.rig.show(vec![topic("new", &[0])]);
    let future = step(&mut send).expect("it is over").expect("it was taken");
    assert!(!future.is_done());
}

#[test]
fn send_and_partitions_for_time_out_if_the_topic_stays_unknown() {
    let stepped = ProducerRig::start(Setup::default());
    let record = record("new");
    let mut send = stepped.producer.send_call(&record, Headers::new(), None);
    let mut ask = stepped.producer.partitions_for_call("new");
    let until = Deadline::At(stepped.rig.now() + MAX_BLOCK);
    assert_eq!(
        (waits_until(&mut send), waits_until(&mut ask)),
        (until, until)
    );
    stepped.rig.advance(MAX_BLOCK);
    let failed = step(&mut send)
        .expect("it is over")
        .expect("it has a future");
    assert_eq!(*error(&failed).kind(), ProduceErrorKind::MetadataTimeout);
    let Some(Err(MetadataError::TimedOut { waited, .. })) = step(&mut ask) else {
        panic!("it did not fail with the timeout")
    };
    assert_eq!(waited, MAX_BLOCK);
}

/// The error says that the brokers refuse the topic, or that the topic's name is invalid.
#[test]
fn partitions_for_returns_known_partitions_or_the_refusal() {
    let stepped = ProducerRig::start(Setup::default());
    let mut known = stepped.producer.partitions_for_call(TOPIC);
    assert_eq!(step(&mut known).expect("it is known").unwrap().len(), 2);
    let mut new = stepped.producer.partitions_for_call("new");
    let mut refused = stepped.producer.partitions_for_call("secret");
    assert!(step(&mut new).is_none() && step(&mut refused).is_none());
    let secret = MetadataTopic {
        error: ErrorCode::TopicAuthorizationFailed,
        ..topic("secret", &[])
    };
    stepped.rig.show(vec![topic("new", &[0, 1, 0]), secret]);
    assert_eq!(step(&mut new).expect("it is known").unwrap().len(), 3);
    let refusal = step(&mut refused).expect("it is over").unwrap_err();
    assert!(
        matches!(refusal, MetadataError::TopicAuthorization(_)),
        "{refusal}"
    );
    let mut nameless = stepped.producer.partitions_for_call("no/name");
    let refusal = step(&mut nameless).expect("it is over").unwrap_err();
    assert!(
        matches!(refusal, MetadataError::InvalidTopic(_)),
        "{refusal}"
    );
}

#[test]
fn a_send_that_waits_for_memory_goes_on_when_a_batch_has_ended() {
    let mut stepped = ProducerRig::short_of_memory();
    let records = [record(TOPIC), record(TOPIC)];
    let _first = stepped.producer.send(records[0].clone()).unwrap();
    stepped.rig.run();
    let mut send = stepped
        .producer
        .send_call(&records[1], Headers::new(), None);
    assert!(step(&mut send).is_none());
    assert!(step(&mut send).is_none());
    assert_eq!(stepped.rig.pool.waiting(), 1);
    acknowledge(&mut stepped.rig, 0);
    assert!(step(&mut send).expect("it is over").is_ok());
    assert_eq!(stepped.rig.pool.waiting(), 0);
}

#[test]
fn a_send_that_gets_no_memory_in_time_leaves_the_wait_queue_before_its_callback_runs() {
    let mut stepped = ProducerRig::short_of_memory();
    let records = [record(TOPIC), record(TOPIC)];
    let _first = stepped.producer.send(records[0].clone()).unwrap();
    stepped.rig.run();
    let pool = Arc::clone(&stepped.rig.pool);
    let reported = Arc::new(Mutex::new(Rank::LEAF, None));
    let report = Arc::clone(&reported);
    let mut callback = Some(move |answer: Result<&RecordMetadata, &ProduceError>| {
        let waiting = pool.waiting();
        *report.lock() = Some((answer.unwrap_err().kind().clone(), waiting));
    });
    let mut send = stepped
        .producer
        .send_call(&records[1], Headers::new(), Some(&mut callback));
    assert!(step(&mut send).is_none());
    stepped.rig.advance(MS(499));
    assert!(step(&mut send).is_none());
    stepped.rig.advance(MS(1));
    let failed = step(&mut send)
        .expect("it is over")
        .expect("it has a future");
    let exhausted = ProduceErrorKind::BufferExhausted;
    assert_eq!(*error(&failed).kind(), exhausted);
    assert_eq!(*reported.lock(), Some((exhausted, 0)));
}

/// A slow serializer.
struct Slow {
    clock: Arc<MockClock>,
    takes: Duration,
}

impl Serializer<str> for Slow {
    fn serialize<'a>(
        &self,
        _: &str,
        _: &mut Headers,
        data: &'a str,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        self.clock.advance(self.takes);
        Ok(Some(Serialized::Borrowed(data.as_bytes())))
    }
}

#[test]
fn the_time_of_a_serializer_does_not_count_towards_max_block() {
    let mut rig = Setup {
        batch_size: 100,
        memory: 100,
        ..Setup::default()
    }
    .start();
    let slow = Slow {
        clock: Arc::clone(&rig.clock),
        takes: MAX_BLOCK * 2,
    };
    let (producer, _running) = producer_on(&rig, Box::new(slow));
    let records = [record(TOPIC), record("new")];
    let _first = producer.send(records[0].clone()).unwrap();
    rig.run();
    // The call waits for its topic, serializes the record, and then waits for memory.
    let mut send = producer.send_call(&records[1], Headers::new(), None);
    assert!(step(&mut send).is_none());
    rig.advance(MS(490));
    rig.show(vec![topic(TOPIC, &[0, 0]), topic("new", &[0])]);
    assert_eq!(
        waits_until(&mut send),
        Deadline::At(rig.now() + MS(10)),
        "the rest of max.block.ms"
    );
    rig.advance(MS(10));
    let failed = step(&mut send)
        .expect("it is over")
        .expect("it has a future");
    assert_eq!(*error(&failed).kind(), ProduceErrorKind::BufferExhausted);
}

#[test]
fn a_flush_ends_with_the_last_batch_that_was_there_when_it_began() {
    let mut stepped = ProducerRig::start(Setup {
        batch_size: 1000,
        ..Setup::default().with(|options| options.linger = MS(10_000))
    });
    let _before = [0, 1].map(|p| {
        stepped
            .producer
            .send(record(TOPIC).with_partition(p))
            .unwrap()
    });
    stepped.rig.run();
    assert_eq!(stepped.rig.waiting(), 0, "they linger");
    let mut flush = stepped.producer.flush_call(None);
    assert!(step(&mut flush).is_none());
    stepped.rig.run();
    let _after = stepped.producer.send(record(TOPIC)).unwrap();
    assert_eq!(stepped.rig.waiting(), 1);
    assert!(step(&mut flush).is_none());
    let now = stepped.rig.now();
    let written = [0, 1].map(|index| partition_response(index, ErrorCode::NoError, 0));
    stepped
        .rig
        .client()
        .respond(produce_response(written.into()), now);
    stepped.rig.run();
    assert!(step(&mut flush).expect("it is over").is_ok());
}

#[test]
fn a_get_returns_when_its_record_is_done_or_its_time_is_up_and_can_be_repeated() {
    let mut stepped = ProducerRig::start(Setup::default());
    let future = stepped.producer.send(record(TOPIC)).unwrap();
    let (mut get, mut impatient) = (future.get_call(None), future.get_call(Some(MS(5))));
    assert_eq!(waits_until(&mut get), Deadline::Never);
    assert_eq!(
        waits_until(&mut impatient),
        Deadline::At(stepped.rig.now() + MS(5))
    );
    stepped.rig.run();
    stepped.rig.advance(MS(5));
    let pending = step(&mut impatient).expect("its time is up").unwrap_err();
    assert_eq!(*pending.kind(), ProduceErrorKind::Pending);
    assert!(step(&mut get).is_none());
    acknowledge(&mut stepped.rig, 7);
    assert_eq!(step(&mut get).expect("it is over").unwrap().offset(), 7);
    let mut again = future.get_call(Some(MS(5)));
    assert_eq!(step(&mut again).expect("it is over").unwrap().offset(), 7);
}

#[test]
fn calls_with_a_timeout_of_zero_inside_a_callback_are_misuse_and_not_timeouts() {
    let stepped = ProducerRig::start(Setup::default());
    let future = stepped.producer.send(record(TOPIC)).unwrap();
    let _scope = callback_scope::enter(stepped.rig.instance.id());
    let kind = future.get_timeout(Duration::ZERO).unwrap_err();
    assert_eq!(*kind.kind(), ProduceErrorKind::Misuse);
    let refused = stepped.producer.send(record("new")).unwrap_err();
    assert!(matches!(refused, SendError::Misuse(_)), "{refused}");
    let refused = stepped.producer.partitions_for("new").unwrap_err();
    assert!(matches!(refused, MetadataError::Misuse(_)), "{refused}");
    assert!(stepped.producer.flush_timeout(Duration::ZERO).is_err());
    let refused = stepped.producer.close_timeout(Duration::ZERO).unwrap_err();
    assert!(matches!(refused, CloseError::Misuse(_)), "{refused}");
    assert!(stepped.rig.shared.control.is_running(), "it was closed");
}

#[test]
fn several_closes_wait_for_the_sender_and_return_when_it_has_ended() {
    let mut stepped = ProducerRig::start(Setup::default());
    let future = stepped.producer.send(record(TOPIC)).unwrap();
    let mut closes = [None, Some(MS(1000))].map(|timeout| stepped.producer.close_call(timeout));
    assert!(stepped.rig.shared.control.is_running(), "none has begun");
    for close in &mut closes {
        assert!(step(close).is_none());
    }
    assert!(stepped.producer.send(record(TOPIC)).is_err());
    stepped.rig.run();
    assert!(!stepped.rig.sender.is_finished());
    acknowledge(&mut stepped.rig, 3);
    assert!(stepped.rig.sender.is_finished());
    assert!(closes.iter_mut().all(|close| step(close).is_none()));
    end(stepped.rig, stepped.running);
    for close in &mut closes {
        assert!(step(close).expect("it is over").is_ok());
    }
    assert_eq!(future.get().unwrap().offset(), 3);
    assert!(
        step(&mut stepped.producer.close_call(None))
            .unwrap()
            .is_ok()
    );
    drop(closes);
}

#[test]
fn a_close_wakes_the_sender() {
    let stepped = ProducerRig::start(Setup::default());
    let waker = Arc::clone(&stepped.rig.shared.waker);
    waker.wake_up();
    let mut close = stepped.producer.close_call(None);
    assert!(step(&mut close).is_none());
    assert!(!waker.fall_asleep(Deadline::Never), "it was not woken");
    end(stepped.rig, stepped.running);
    assert!(step(&mut close).expect("it is over").is_ok());
    drop(close);
}

#[test]
fn a_close_that_times_out_forces_the_sender_to_end_and_returns_the_number_of_undelivered_records() {
    for timeout in [MS(0), MS(20)] {
        let mut stepped = ProducerRig::start(Setup::default());
        let future = stepped.producer.send(record(TOPIC)).unwrap();
        stepped.rig.run();
        let mut close = stepped.producer.close_call(Some(timeout));
        assert!(step(&mut close).is_none());
        if timeout > MS(0) {
            assert!(!stepped.rig.shared.control.is_forced());
            stepped.rig.advance(timeout);
            assert!(step(&mut close).is_none());
        }
        assert!(stepped.rig.shared.control.is_forced());
        end(stepped.rig, stepped.running);
        let error = step(&mut close).expect("it is over").unwrap_err();
        assert!(
            matches!(error, CloseError::Undelivered { records: 1, .. }),
            "{error}"
        );
        assert_eq!(*future.get().unwrap_err().kind(), ProduceErrorKind::Closed);
        drop(close);
    }
}

#[test]
fn a_close_ends_even_if_the_sender_does_not_end_and_closes_the_plug_ins_once() {
    thread_local! {
        static CLOSED: Cell<u32> = const { Cell::new(0) };
    }
    struct Closing;
    impl Serializer<str> for Closing {
        fn serialize<'a>(
            &self,
            _: &str,
            _: &mut Headers,
            data: &'a str,
        ) -> Result<Option<Serialized<'a>>, BoxError> {
            Ok(Some(Serialized::Borrowed(data.as_bytes())))
        }
        fn close(&self) -> Result<(), BoxError> {
            CLOSED.set(CLOSED.get() + 1);
            Ok(())
        }
    }
    let rig = Setup::default().start();
    let (producer, running) = producer_on(&rig, Box::new(Closing));
    let mut close = producer.close_call(Some(MS(0)));
    let Deadline::At(given_up) = waits_until(&mut close) else {
        panic!("it waits for ever")
    };
    rig.advance(given_up - rig.now());
    assert_eq!(CLOSED.get(), 0);
    let error = step(&mut close).expect("its grace is over").unwrap_err();
    assert!(error.to_string().contains("did not end"), "{error}");
    assert_eq!(CLOSED.get(), 1);
    drop(running);
    assert!(step(&mut producer.close_call(None)).unwrap().is_ok());
    assert_eq!(CLOSED.get(), 1);
    drop(close);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "a call that is over is not stepped again")]
fn a_send_that_is_over_is_not_stepped_again_because_its_record_would_be_written_twice() {
    let stepped = ProducerRig::start(Setup {
        batch_size: 1000,
        ..Setup::default()
    });
    let record = record(TOPIC);
    let mut send = stepped.producer.send_call(&record, Headers::new(), None);
    let future = step(&mut send).expect("it is over").expect("it was taken");
    assert!(!future.is_done());
    step(&mut send);
}
