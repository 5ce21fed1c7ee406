//! What all parts of a run share: the world, the producers, the records, and what happens.
//!
//! The user's code (callbacks, serializers, loggers) has to be `Send` and cannot hold it, so it is found by the thread
//! that the run is on.

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
    CallId, Event, Failure, Outcome, ProducerIndex, RecordId, Returned, What, Who,
};

pub(crate) type Producer = KafkaProducer<[u8], [u8]>;

/// Bytes at the beginning of a value that say which record it is.
pub(crate) const ID_BYTES: usize = 8;

pub(crate) struct Stage {
    pub(crate) world: World,
    /// No other run has it.
    pub(crate) number: u64,
    /// What happened and nobody has been told of yet.
    events: RefCell<Vec<Event>>,
    who: Cell<Who>,
    next_record: Cell<u64>,
    /// When it was handed out.
    last_record: Cell<Duration>,
    next_call: Cell<u64>,
    /// Of a group's reading.
    next_offset: Cell<i64>,
    /// An application is being ended: nobody hears of what happens to it.
    pub(crate) is_deaf: Cell<bool>,
    pub(crate) producers: RefCell<Vec<Held>>,
    random: RefCell<fastrand::Rng>,
    /// What a logger does.
    pub(crate) logger: RefCell<super::user_code::Piece>,
    /// The lines that it wants.
    pub(crate) log_level: log::Level,
    /// Set while the logger runs: what it writes itself is not looked at.
    pub(crate) is_logging: Cell<bool>,
    /// Producers that are closed and about to be dropped: nothing of theirs may be left.
    pub(crate) about_to_go: RefCell<Vec<ProducerIndex>>,
    /// How many producers have nothing left to be sent, at the end.
    pub(crate) idle: Cell<usize>,
    /// None of them still has something to send.
    pub(crate) is_at_rest: Cell<bool>,
    /// That was looked at: they may be closed.
    pub(crate) may_close: Cell<bool>,
    /// Everything is to come to an end.
    pub(crate) is_closing: Cell<bool>,
}

/// A producer, and what the application keeps of it.
pub(crate) struct Held {
    /// None when it was never built, or is dropped.
    pub(crate) producer: Option<Arc<Producer>>,
    /// Threads that have a handle of it.
    pub(crate) handles: usize,
    /// By thread: futures that are kept, oldest first.
    pub(crate) futures: Vec<VecDeque<Kept>>,
    pub(crate) application: Application,
}

/// A future that the application keeps.
pub(crate) struct Kept {
    pub(crate) record: RecordId,
    pub(crate) future: FutureRecordMetadata,
    /// It was found to be done, and said so.
    is_done: bool,
}

thread_local! {
    static STAGE: RefCell<Option<Rc<Stage>>> = const { RefCell::new(None) };
}

/// Takes the stage away again when the run is over, however it ends.
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
            is_deaf: Cell::new(false),
            producers: RefCell::new(Vec::new()),
            random: RefCell::new(fastrand::Rng::with_seed(seed)),
            logger: RefCell::new(logger),
            log_level,
            is_logging: Cell::new(false),
            about_to_go: RefCell::default(),
            idle: Cell::new(0),
            is_at_rest: Cell::new(true),
            may_close: Cell::new(false),
            is_closing: Cell::new(false),
        })
    }

    /// Makes it the one of this thread.
    pub(crate) fn enter(self: &Rc<Self>) -> OnStage {
        STAGE.with(|stage| *stage.borrow_mut() = Some(Rc::clone(self)));
        OnStage
    }

    /// That of this thread, if a run is on it.
    pub(crate) fn current() -> Option<Rc<Self>> {
        // The last locals of a thread may be gone when a value of the user's is dropped.
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

    /// Whose turn it is.
    pub(crate) fn turn_of(&self, who: Who) {
        self.who.set(who);
    }

    /// Something happened, by whoever's turn it is.
    pub(crate) fn say(&self, what: What) {
        self.said_by(self.who.get(), what);
    }

    pub(crate) fn said_by(&self, who: Who, what: What) {
        if self.is_deaf.get() {
            return;
        }
        let at = self.now();
        self.events.borrow_mut().push(Event { at, who, what });
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

    /// How long ago the last record was offered.
    pub(crate) fn since_last_record(&self) -> Duration {
        self.now().saturating_sub(self.last_record.get())
    }

    /// How many records were offered.
    pub(crate) fn record_count(&self) -> u64 {
        self.next_record.get()
    }

    pub(crate) fn new_call(&self) -> CallId {
        let id = self.next_call.get();
        self.next_call.set(id + 1);
        CallId(id)
    }

    /// One that no other call gives.
    pub(crate) fn new_offset(&self) -> i64 {
        let offset = self.next_offset.get();
        self.next_offset.set(offset + 1);
        offset
    }

    /// Looks at what an application knows of its transactions, or changes it.
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

    /// Records that are done since somebody last asked, of those whose futures are kept.
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

    /// Whether a future that is kept says that its record is done.
    pub(crate) fn is_done(&self, producer: ProducerIndex, record: RecordId) -> bool {
        // The application may be at its futures: then nothing is known.
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

    /// Raised when a producer has sent a request, or a record has ended.
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

/// A value that says which record it is.
pub(crate) fn value_of(record: RecordId, size: usize) -> Vec<u8> {
    let mut value = record.0.to_be_bytes().to_vec();
    // Neither random nor all alike: a codec has something to do.
    value.extend((ID_BYTES..size).map(|at| (record.0 as usize ^ (at / 3)) as u8));
    value
}

/// Headers of a record: names that repeat, and one without a value.
pub(crate) fn headers_of(record: RecordId, count: u8) -> Vec<(String, Option<Vec<u8>>)> {
    let header = |at: u8| {
        let value = (at != 1).then(|| record.0.to_be_bytes()[..usize::from(at % 8)].to_vec());
        (format!("h{}", at % 3), value)
    };
    (0..count).map(header).collect()
}

/// What a small record of the run's own holds.
pub(crate) fn contents_of_value(value: &[u8]) -> u64 {
    contents_of(None, Some(value), std::iter::empty())
}

/// How a call ended.
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
