//! rustfs-kafka, a client without threads and runtime: its batching producer sends only inside calls.

mod settings;

use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use driver_kit::{About, Client, Refusal, Setup, Ticket};
use rustfs_kafka::producer::{BatchProducer, ProduceConfirm, Record};

fn main() -> ExitCode {
    driver_kit::run::<Rustfs>()
}

struct Rustfs {
    /// Behind a lock, because sending needs `&mut` access to the producer.
    batch: Mutex<Batch>,
    topic: String,
    /// The partition of all records; -1 if the client chooses partitions.
    partition: i32,
    linger: Duration,
}

struct Batch {
    producer: BatchProducer,
    /// The tickets of the records in the producer; `None` for records without a ticket.
    tickets: Vec<Option<Ticket>>,
    /// When the first of these records was sent.
    since: Instant,
    /// The number of records without a ticket that have failed since the last flush; `first_error` is the first reason.
    failed: u64,
    first_error: Option<String>,
}

impl Client for Rustfs {
    fn start(setup: &Setup) -> Result<(Self, About), Refusal> {
        let (producer, linger) = settings::producer(setup)?;
        let rustfs = Self {
            batch: Mutex::new(Batch {
                producer,
                tickets: Vec::new(),
                since: Instant::now(),
                failed: 0,
                first_error: None,
            }),
            topic: setup.topic.clone(),
            partition: setup.partition.unwrap_or(-1),
            linger,
        };
        Ok((rustfs, settings::about(setup)))
    }

    fn send(&self, record: driver_kit::Record<'_>, ticket: Ticket) -> Result<(), String> {
        self.batch().send(&self.record(record), Some(ticket));
        Ok(())
    }

    fn send_quietly(&self, record: driver_kit::Record<'_>) -> Result<(), String> {
        self.batch().send(&self.record(record), None);
        Ok(())
    }

    fn send_and_wait(&self, record: driver_kit::Record<'_>) -> Result<(), String> {
        let mut batch = self.batch();
        batch.send(&self.record(record), None);
        batch.flush();
        batch.failures()
    }

    /// Ignores the time limit: if a broker does not respond, this call takes as long as the client waits.
    fn flush(&self, _until: Option<Instant>) -> Result<(), String> {
        let mut batch = self.batch();
        batch.flush();
        batch.failures()
    }

    /// The client checks its linger time only inside calls, so the driver calls it.
    fn idle(&self, time: Duration) {
        thread::sleep(time);
        let mut batch = self.batch();
        if !batch.tickets.is_empty() && batch.since.elapsed() >= self.linger {
            batch.flush();
        }
    }
}

impl Rustfs {
    fn batch(&self) -> MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn record<'a>(&'a self, record: driver_kit::Record<'a>) -> Record<'a, &'a [u8], &'a [u8]> {
        // This client treats an empty key as null.
        let key = record.key.unwrap_or_default();
        Record::from_key_value(self.topic.as_str(), key, record.value)
            .with_partition(self.partition)
    }
}

impl Batch {
    #[inline]
    fn send(&mut self, record: &Record<'_, &[u8], &[u8]>, ticket: Option<Ticket>) {
        if self.tickets.is_empty() {
            self.since = Instant::now();
        }
        self.tickets.push(ticket);
        match self.producer.send(record) {
            Ok(false) => {}
            Ok(true) => self.ended(Ok(())),
            Err(error) => self.ended(Err(error.to_string())),
        }
    }

    fn flush(&mut self) {
        let outcome = match self.producer.flush() {
            Ok(confirms) => first_error(&confirms).map_or(Ok(()), Err),
            Err(error) => Err(error.to_string()),
        };
        self.ended(outcome);
    }

    /// Reports the result of all records in the producer. If one partition failed, all count as failed, because the
    /// client does not report which records were in it.
    fn ended(&mut self, outcome: Result<(), String>) {
        if outcome.is_err() {
            // The producer rejects records until it is cleared.
            self.producer.clear();
        }
        for ticket in self.tickets.drain(..) {
            match (&outcome, ticket) {
                (Ok(()), Some(ticket)) => ticket.acked(),
                (Ok(()), None) => {}
                (Err(error), Some(ticket)) => ticket.failed(error),
                (Err(error), None) => {
                    self.failed += 1;
                    self.first_error.get_or_insert_with(|| error.clone());
                }
            }
        }
    }

    fn failures(&mut self) -> Result<(), String> {
        let failed = std::mem::take(&mut self.failed);
        match self.first_error.take() {
            None => Ok(()),
            Some(error) => Err(format!("{failed} records failed: {error}")),
        }
    }
}

fn first_error(confirms: &[ProduceConfirm]) -> Option<String> {
    let mut partitions = confirms.iter().flat_map(|topic| &topic.partition_confirms);
    partitions.find_map(|partition| {
        let code = partition.offset.err()?;
        Some(format!("partition {}: {code:?}", partition.partition))
    })
}
