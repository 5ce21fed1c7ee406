//! rustfs-kafka, a client without threads and without a runtime: its batching producer sends when it is called.

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
    /// Sending takes the producer as `&mut`, so threads take turns.
    batch: Mutex<Batch>,
    topic: String,
    /// -1 leaves it to the client.
    partition: i32,
    linger: Duration,
}

struct Batch {
    producer: BatchProducer,
    /// Of the records that the producer holds; none for those that only flush asks for.
    tickets: Vec<Option<Ticket>>,
    /// When the first of them came.
    since: Instant,
    /// How many of those without ticket have failed since flush was last called, and why the first.
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

    /// With a broker that does not answer, it waits as long as the client does.
    fn flush(&self, _until: Option<Instant>) -> Result<(), String> {
        let mut batch = self.batch();
        batch.flush();
        batch.failures()
    }

    /// The client looks at its linger only when it is called, so the driver has to call it.
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
        // An empty key is none to this client.
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

    /// All records that the producer held have ended. If one partition failed, all count as failed: which records
    /// were in it is not told.
    fn ended(&mut self, outcome: Result<(), String>) {
        if outcome.is_err() {
            // It takes no more records until then.
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
