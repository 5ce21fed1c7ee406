//! librdkafka with the `rdkafka` crate: `driver base` polls on the sending threads, `driver threaded` on a thread of
//! the crate.

mod ends;
mod settings;

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use driver_kit::{About, Client, Mode, Record, Refusal, Setup, Share, Ticket};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ThreadedProducer};

use ends::Ends;

fn main() -> ExitCode {
    driver_kit::run::<Rdkafka>()
}

struct Rdkafka {
    producer: Handle,
    topic: String,
    partition: Option<i32>,
    is_transactional: bool,
    /// When the round is cancelled, even with incomplete records.
    give_up: Mutex<Option<Instant>>,
}

enum Handle {
    Base(BaseProducer<Ends>),
    Threaded(ThreadedProducer<Ends>),
}

type Made<'a> = BaseRecord<'a, [u8], [u8], usize>;

impl Client for Rdkafka {
    const HAS_TRANSACTIONS: bool = true;

    fn start(setup: &Setup) -> Result<(Self, About), Refusal> {
        let is_threaded = match std::env::args().nth(1).as_deref() {
            Some("base") => false,
            Some("threaded") => true,
            _ => return Err(Refusal::failed("say `base` or `threaded`")),
        };
        let (config, settings) = settings::of(setup);
        let producer = if is_threaded {
            Handle::Threaded(
                config
                    .create_with_context(Ends::default())
                    .map_err(Refusal::failed)?,
            )
        } else {
            Handle::Base(
                config
                    .create_with_context(Ends::default())
                    .map_err(Refusal::failed)?,
            )
        };
        producer.fetch_metadata(setup)?;
        let is_transactional = setup.transactional_id().is_some();
        if is_transactional {
            producer.init_transactions().map_err(Refusal::failed)?;
        }
        let about = settings::about(setup, is_threaded, settings);
        let rdkafka = Self {
            producer,
            topic: setup.topic.clone(),
            partition: setup.partition,
            is_transactional,
            give_up: Mutex::new(None),
        };
        Ok((rdkafka, about))
    }

    #[inline]
    fn send(&self, record: Record<'_>, ticket: Ticket) -> Result<(), String> {
        self.offer(self.record(record, ends::opaque(ticket)))
    }

    #[inline]
    fn send_quietly(&self, record: Record<'_>) -> Result<(), String> {
        self.offer(self.record(record, ends::NOBODY))
    }

    fn send_and_wait(&self, record: Record<'_>) -> Result<(), String> {
        let (opaque, end) = self.producer.ends().expect_one();
        if let Err(error) = self.offer(self.record(record, opaque)) {
            self.producer.ends().forget(opaque);
            return Err(error);
        }
        match &self.producer {
            Handle::Threaded(_) => match self.give_up() {
                None => end.recv().unwrap_or_else(|_| Err("no report".into())),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    end.recv_timeout(left)
                        .unwrap_or_else(|_| Err(GIVEN_UP.into()))
                }
            },
            Handle::Base(producer) => loop {
                if let Ok(outcome) = end.try_recv() {
                    return outcome;
                }
                if self.is_given_up() {
                    return Err(GIVEN_UP.into());
                }
                // With a longer timeout `poll` always waits for all of it.
                producer.poll(Duration::ZERO);
                thread::yield_now();
            },
        }
    }

    /// Polls instead of calling the crate's own `flush`, which checks only ten times a second whether all records are
    /// complete.
    fn flush(&self, until: Option<Instant>) -> Result<(), String> {
        while self.producer.in_flight_count() > 0 {
            if until.is_some_and(|end| Instant::now() >= end) {
                return Err(GIVEN_UP.into());
            }
            thread::sleep(LOOK_AGAIN_AFTER);
            self.producer.serve_all();
        }
        match self.producer.ends().take_failures() {
            None => Ok(()),
            Some(failures) => Err(failures),
        }
    }

    fn begin_group(&self) -> Result<(), String> {
        if self.is_transactional {
            self.producer
                .begin_transaction()
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn end_group(&self) -> Result<(), String> {
        if self.is_transactional {
            self.producer
                .commit_transaction()
                .map_err(|error| error.to_string())
        } else {
            self.flush(None)
        }
    }

    fn idle(&self, time: Duration) {
        thread::sleep(time);
        self.producer.serve();
    }

    fn share(&self, share: &Share) {
        *self.give_up.lock().unwrap_or_else(PoisonError::into_inner) = share.give_up_at();
        self.one_after_the_other(share);
        if share.mode() == Mode::Blast {
            self.producer.serve_all();
        }
    }
}

impl Rdkafka {
    #[inline]
    fn record<'a>(&'a self, record: Record<'a>, opaque: usize) -> Made<'a> {
        BaseRecord {
            topic: &self.topic,
            partition: self.partition,
            payload: Some(record.value),
            key: record.key,
            timestamp: None,
            headers: None,
            delivery_opaque: opaque,
        }
    }

    /// Sends a record, and waits while the queue is full.
    #[inline]
    fn offer(&self, mut record: Made<'_>) -> Result<(), String> {
        loop {
            match self.producer.send(record) {
                Ok(()) => {
                    self.producer.serve();
                    return Ok(());
                }
                Err((error, back)) if is_full(&error) && !self.is_given_up() => {
                    record = back;
                    self.producer.wait_for_room();
                }
                Err((error, _)) => return Err(error.to_string()),
            }
        }
    }

    fn give_up(&self) -> Option<Instant> {
        *self.give_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_given_up(&self) -> bool {
        self.give_up().is_some_and(|end| Instant::now() >= end)
    }
}

impl Handle {
    // With an error the crate returns the record.
    #[allow(clippy::result_large_err)]
    #[inline]
    fn send<'a>(&self, record: Made<'a>) -> Result<(), (KafkaError, Made<'a>)> {
        match self {
            Self::Base(producer) => producer.send(record),
            Self::Threaded(producer) => producer.send(record),
        }
    }

    /// Runs callbacks that are due, as a user of the base producer has to after each send.
    #[inline]
    fn serve(&self) {
        if let Self::Base(producer) = self {
            producer.poll(Duration::ZERO);
        }
    }

    /// Runs all callbacks that are due. A poll runs those of a single event, which is one batch: with one poll in each
    /// look of a flush, the number of batches per second would be that of the looks.
    fn serve_all(&self) {
        let Self::Base(producer) = self else {
            return;
        };
        let mut left = producer.in_flight_count();
        loop {
            producer.poll(Duration::ZERO);
            let still = producer.in_flight_count();
            if still >= left {
                return;
            }
            left = still;
        }
    }

    fn wait_for_room(&self) {
        // A poll with a timeout would always wait for all of it, the last millisecond without a pause.
        thread::sleep(LOOK_AGAIN_AFTER);
        self.serve_all();
    }

    fn in_flight_count(&self) -> i32 {
        match self {
            Self::Base(producer) => producer.in_flight_count(),
            Self::Threaded(producer) => producer.in_flight_count(),
        }
    }

    fn ends(&self) -> &Ends {
        match self {
            Self::Base(producer) => producer.context(),
            Self::Threaded(producer) => producer.context(),
        }
    }

    fn init_transactions(&self) -> Result<(), KafkaError> {
        match self {
            Self::Base(producer) => producer.init_transactions(TRANSACTION_TIMEOUT),
            Self::Threaded(producer) => producer.init_transactions(TRANSACTION_TIMEOUT),
        }
    }

    fn begin_transaction(&self) -> Result<(), KafkaError> {
        match self {
            Self::Base(producer) => producer.begin_transaction(),
            Self::Threaded(producer) => producer.begin_transaction(),
        }
    }

    fn commit_transaction(&self) -> Result<(), KafkaError> {
        match self {
            Self::Base(producer) => producer.commit_transaction(TRANSACTION_TIMEOUT),
            Self::Threaded(producer) => producer.commit_transaction(TRANSACTION_TIMEOUT),
        }
    }

    fn fetch_metadata(&self, setup: &Setup) -> Result<(), Refusal> {
        let client = match self {
            Self::Base(producer) => producer.client(),
            Self::Threaded(producer) => producer.client(),
        };
        let metadata = client
            .fetch_metadata(Some(&setup.topic), METADATA_TIMEOUT)
            .map_err(Refusal::failed)?;
        let topics = metadata.topics().iter();
        let partitions = topics.map(|topic| topic.partitions().len()).sum::<usize>();
        if partitions as i64 == i64::from(setup.partitions) {
            Ok(())
        } else {
            Err(Refusal::failed(format!(
                "topic {} has {partitions} partitions, not {}",
                setup.topic, setup.partitions
            )))
        }
    }
}

fn is_full(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
}

const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);
const LOOK_AGAIN_AFTER: Duration = Duration::from_micros(500);
const GIVEN_UP: &str = "given up before all records had ended";
