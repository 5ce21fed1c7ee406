//! Shared context of a run: the world, the producers, the records, and the events not yet delivered.
//!
//! User code (callbacks, serializers, loggers) has to be `Send` and cannot hold the context, so it finds the context
//! through a thread-local.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kafka_producer::internals::simulation::{World, contents_of};
use kafka_producer::{FutureRecordMetadata, KafkaProducer, ProduceError, RecordMetadata};

use super::transactions::Application;
use crate::events::{
    CallId, Event, EventKind, Failure, Outcome, ProducerIndex, RecordId, Returned, Who,
};

pub(crate) type Producer = KafkaProducer<[u8], [u8]>;

/// Size of the record number at the beginning of a value, in bytes.
pub(crate) const ID_BYTES: usize = 8;

pub(crate) struct Stage {
    pub(crate) world: World,
    /// Unique number of the run.
    pub(crate) number: u64,
    /// Events that are not yet delivered to the observer.
    events: RefCell<Vec<Event>>,
    who: Cell<Who>,
    next_record: Cell<u64>,
    /// Time of the last new record.
    last_record: Cell<Duration>,
    next_call: Cell<u64>,
    /// The next group offset to commit.
    next_offset: Cell<i64>,
    /// Whether an application is crashing: events that the crash causes are discarded.
    pub(crate) is_muted: Cell<bool>,
    pub(crate) producers: RefCell<Vec<Held>>,
    random: RefCell<fastrand::Rng>,
    /// Behaviour of the logger.
    pub(crate) logger: RefCell<super::user_code::Piece>,
    /// The most verbose log level that the logger takes.
    pub(crate) log_level: log::Level,
    /// True while the logger runs: lines that the logger itself causes are not recorded.
    pub(crate) is_logging: Cell<bool>,
    /// Producers that are closed and are dropped next. Before that a snapshot checks that they hold nothing.
    pub(crate) about_to_drop: RefCell<Vec<ProducerIndex>>,
    /// Number of producers that have finished their final flush.
    pub(crate) idle: Cell<usize>,
    /// Whether all producers completed their final flush; only then are they checked as idle.
    pub(crate) is_at_rest: Cell<bool>,
    /// Whether the idle producers were checked; only then may they be closed.
    pub(crate) may_close: Cell<bool>,
    /// Whether the run is in its last phase, in which producers are flushed and closed.
    pub(crate) is_closing: Cell<bool>,
}

/// A producer with the handles and futures that the application holds.
pub(crate) struct Held {
    /// `None` if the producer was never built or is dropped.
    pub(crate) producer: Option<Arc<Producer>>,
    /// Number of threads that have a handle.
    pub(crate) handles: usize,
    /// Futures by thread, oldest first.
    pub(crate) futures: Vec<VecDeque<Kept>>,
    pub(crate) application: Application,
}

/// A future that the application holds.
pub(crate) struct Kept {
    pub(crate) record: RecordId,
    pub(crate) future: FutureRecordMetadata,
    /// Whether `is_done` of the future has returned true before.
    is_done: bool,
}

thread_local! {
    static STAGE: RefCell<Option<Rc<Stage>>> = const { RefCell::new(None) };
}

/// Removes the stage from the thread when the run ends, also by a panic.
pub(crate) struct OnStage;

impl Drop for OnStage {
    fn drop(&mut self) {
        let stage = STAGE.with(|stage| stage.borrow_mut().take());
        drop(stage);
    }
}

impl Stage {
    pub(crate) fn new(
        world: World,
        seed: u64,
        logger: super::user_code::Piece,
        log_level: log::Level,
    ) -> Rc<Self> {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        Rc::new(Self {
            world,
            number: RUNS.fetch_add(1, Ordering::Relaxed),
            events: RefCell::new(Vec::new()),
            who: Cell::new(Who::World),
            next_record: Cell::new(0),
            last_record: Cell::new(Duration::ZERO),
            next_call: Cell::new(0),
            next_offset: Cell::new(1),
            is_muted: Cell::new(false),
            producers: RefCell::new(Vec::new()),
            random: RefCell::new(fastrand::Rng::with_seed(seed)),
            logger: RefCell::new(logger),
            log_level,
            is_logging: Cell::new(false),
            about_to_drop: RefCell::default(),
            idle: Cell::new(0),
            is_at_rest: Cell::new(true),
            may_close: Cell::new(false),
            is_closing: Cell::new(false),
        })
    }

    /// Makes this the stage of the current thread.
    pub(crate) fn enter(self: &Rc<Self>) -> OnStage {
        STAGE.with(|stage| *stage.borrow_mut() = Some(Rc::clone(self)));
        OnStage
    }

    /// The stage of the current thread, if a run is in progress.
    pub(crate) fn current() -> Option<Rc<Self>> {
        // During thread exit the thread-local may be gone when a value of user code is dropped.
        STAGE
            .try_with(|stage| stage.try_borrow().ok()?.clone())
            .ok()?
    }

    pub(crate) fn now(&self) -> Duration {
        self.world.elapsed()
    }

    pub(crate) fn random<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut self.random.borrow_mut())
    }

    pub(crate) fn who(&self) -> Who {
        self.who.get()
    }

    /// Sets the source of the next events.
    pub(crate) fn set_source(&self, who: Who) {
        self.who.set(who);
    }

    /// Records an event with the current source.
    pub(crate) fn emit(&self, kind: EventKind) {
        self.emit_from(self.who.get(), kind);
    }

    pub(crate) fn emit_from(&self, who: Who, kind: EventKind) {
        if self.is_muted.get() {
            return;
        }
        let at = self.now();
        self.events.borrow_mut().push(Event { at, who, kind });
    }

    pub(crate) fn take_events(&self, into: &mut Vec<Event>) {
        into.append(&mut self.events.borrow_mut());
    }

    pub(crate) fn new_record(&self) -> RecordId {
        let id = self.next_record.get();
        self.next_record.set(id + 1);
        self.last_record.set(self.now());
        RecordId(id)
    }

    /// Time since the last record was offered.
    pub(crate) fn since_last_record(&self) -> Duration {
        self.now().saturating_sub(self.last_record.get())
    }

    /// Number of records offered.
    pub(crate) fn record_count(&self) -> u64 {
        self.next_record.get()
    }

    pub(crate) fn new_call(&self) -> CallId {
        let id = self.next_call.get();
        self.next_call.set(id + 1);
        CallId(id)
    }

    /// An offset that no other call commits.
    pub(crate) fn new_offset(&self) -> i64 {
        let offset = self.next_offset.get();
        self.next_offset.set(offset + 1);
        offset
    }

    /// Reads or changes the application's view of its transactions.
    pub(crate) fn application<T>(
        &self,
        index: ProducerIndex,
        how: impl FnOnce(&mut Application) -> T,
    ) -> T {
        how(&mut self.producers.borrow_mut()[index].application)
    }

    pub(crate) fn producer(&self, index: ProducerIndex) -> Option<Arc<Producer>> {
        self.producers.borrow().get(index)?.producer.clone()
    }

    pub(crate) fn keep(
        &self,
        producer: ProducerIndex,
        thread: usize,
        record: RecordId,
        future: FutureRecordMetadata,
    ) {
        let mut producers = self.producers.borrow_mut();
        if let Some(kept) = producers
            .get_mut(producer)
            .and_then(|held| held.futures.get_mut(thread))
        {
            kept.push_back(Kept {
                record,
                future,
                is_done: false,
            });
        }
    }

    pub(crate) fn oldest(
        &self,
        producer: ProducerIndex,
        thread: usize,
    ) -> Option<(RecordId, FutureRecordMetadata)> {
        let mut producers = self.producers.borrow_mut();
        let kept = producers
            .get_mut(producer)?
            .futures
            .get_mut(thread)?
            .pop_front()?;
        Some((kept.record, kept.future))
    }

    /// The records that completed since the last call of this function and whose futures the application holds.
    pub(crate) fn newly_done(&self) -> Vec<RecordId> {
        let mut producers = self.producers.borrow_mut();
        let kept = producers
            .iter_mut()
            .flat_map(|held| &mut held.futures)
            .flatten();
        let new = kept.filter(|kept| !kept.is_done && kept.future.is_done());
        new.map(|kept| {
            kept.is_done = true;
            kept.record
        })
        .collect()
    }

    /// Whether the application holds the future of a record and the future reports that the record is complete.
    pub(crate) fn is_done(&self, producer: ProducerIndex, record: RecordId) -> bool {
        // False if the application is using its futures, which are borrowed then.
        let Ok(producers) = self.producers.try_borrow() else {
            return false;
        };
        let kept = producers
            .get(producer)
            .into_iter()
            .flat_map(|held| held.futures.iter().flatten());
        let mut futures = kept.filter(|kept| kept.record == record);
        futures.any(|kept| kept.future.is_done())
    }

    /// A number that changes when a producer has sent a request, retried a batch or completed a record.
    pub(crate) fn progress_of(&self, producer: ProducerIndex) -> u64 {
        let snapshot = self.producer(producer).map(|producer| producer.snapshot());
        snapshot.map_or(0, |it| {
            it.records_acknowledged + it.records_failed + it.produce_requests + it.batches_retried
        })
    }
}

pub(crate) fn outcome(answer: Result<&RecordMetadata, &ProduceError>) -> Outcome {
    match answer {
        Ok(metadata) => Outcome::Acknowledged {
            topic: metadata.topic().to_owned(),
            partition: metadata.partition(),
            offset: metadata.offset(),
            timestamp: metadata.timestamp(),
        },
        Err(error) => Outcome::Failed(Failure {
            kind: format!("{:?}", error.kind()),
            may_be_written: error.may_be_written(),
            text: error.to_string(),
        }),
    }
}

/// A value that begins with the record's number.
pub(crate) fn value_of(record: RecordId, size: usize) -> Vec<u8> {
    let mut value = record.0.to_be_bytes().to_vec();
    // Neither random nor uniform, so that codecs have something to compress.
    value.extend((ID_BYTES..size).map(|at| (record.0 as usize ^ (at / 3)) as u8));
    value
}

/// A record's headers: repeated names, and one header without a value.
pub(crate) fn headers_of(record: RecordId, count: u8) -> Vec<(String, Option<Vec<u8>>)> {
    let header = |at: u8| {
        let value = (at != 1).then(|| record.0.to_be_bytes()[..usize::from(at % 8)].to_vec());
        (format!("h{}", at % 3), value)
    };
    (0..count).map(header).collect()
}

/// Contents hash of a record without a key and headers.
pub(crate) fn contents_of_value(value: &[u8]) -> u64 {
    contents_of(None, Some(value), std::iter::empty())
}

/// The result of a call as event data.
pub(crate) fn returned<T, E: std::fmt::Debug + std::fmt::Display>(
    ended: &Result<T, E>,
) -> Returned {
    match ended {
        Ok(_) => Returned::Ok,
        Err(error) => Returned::Error {
            kind: format!("{error:?}"),
            text: error.to_string(),
        },
    }
}
