//! krafka, an independent client on tokio.

mod settings;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use bytes::Bytes;
use driver_kit::runtime::{CLOSE_TIMEOUT, Deliveries, Tokio, check_partitions};
use driver_kit::{About, Client, Mode, Refusal, Setup, Share, Ticket};
use krafka::producer::{DeliveryHandle, Producer, Record};
use krafka::{CloseOptions, KrafkaError};

fn main() -> ExitCode {
    driver_kit::run::<Krafka>()
}

struct Krafka {
    tokio: Tokio,
    producer: Producer,
    topic: String,
    partition: Option<i32>,
    /// Failed batches when flush was last called.
    errors_before: AtomicU64,
    /// The task that counts the results of records.
    deliveries: Deliveries<DeliveryHandle>,
}

impl Client for Krafka {
    fn start(setup: &Setup) -> Result<(Self, About), Refusal> {
        let tokio = Tokio::start()?;
        let producer = tokio.block_on(async {
            let kafka = settings::connection(setup)
                .connect()
                .await
                .map_err(Refusal::failed)?;
            let builder = settings::producer(kafka.producer(), setup)?;
            builder.build().await.map_err(Refusal::failed)
        })?;
        let partitions = tokio
            .block_on(producer.partitions_for(&setup.topic))
            .map_err(Refusal::failed)?;
        check_partitions(&setup.topic, setup.partitions, partitions.len())?;
        let about = settings::about(setup, &tokio);
        let krafka = Self {
            deliveries: Deliveries::count_on(&tokio),
            tokio,
            producer,
            topic: setup.topic.clone(),
            partition: setup.partition,
            errors_before: AtomicU64::new(0),
        };
        Ok((krafka, about))
    }

    fn send(&self, record: driver_kit::Record<'_>, ticket: Ticket) -> Result<(), String> {
        self.tokio.block_on(self.send_counted(record, ticket))
    }

    fn send_quietly(&self, record: driver_kit::Record<'_>) -> Result<(), String> {
        self.tokio.block_on(self.send_uncounted(record))
    }

    fn send_and_wait(&self, record: driver_kit::Record<'_>) -> Result<(), String> {
        let ended = self.tokio.block_on(self.producer.send(self.record(record)));
        ended.map(drop).map_err(text)
    }

    fn flush(&self, until: Option<Instant>) -> Result<(), String> {
        let flushing = async { self.producer.flush().await.map_err(text) };
        self.tokio.block_on_until(until, flushing)?;
        let errors = self.producer.metrics().producer.errors;
        match errors - self.errors_before.swap(errors, Relaxed) {
            0 => Ok(()),
            count => Err(format!("{count} batches failed")),
        }
    }

    /// In a blast one future sends all records of the thread, as a task of the client's users does.
    fn share(&self, share: &Share) {
        if share.mode() != Mode::Blast {
            return self.one_after_the_other(share);
        }
        if share.callback() {
            self.tokio
                .blast(share, |turn| self.send_counted(turn.record, turn.ticket));
        } else {
            self.tokio
                .blast(share, |turn| self.send_uncounted(turn.record));
        }
    }

    fn close(&self) {
        let options = CloseOptions::new().timeout(CLOSE_TIMEOUT);
        if let Err(error) = self.tokio.block_on(self.producer.close_with(options)) {
            eprintln!("close: {error}");
        }
    }
}

impl Krafka {
    #[inline]
    fn record(&self, record: driver_kit::Record<'_>) -> Record {
        let mut made = Record::new(self.topic.as_str(), Bytes::copy_from_slice(record.value));
        made.partition = self.partition;
        made.key = record.key.map(Bytes::copy_from_slice);
        made
    }

    #[inline]
    async fn send_counted(
        &self,
        record: driver_kit::Record<'_>,
        ticket: Ticket,
    ) -> Result<(), String> {
        let sent = self.producer.enqueue(self.record(record)).await;
        self.deliveries.add(sent.map_err(text)?, Some(ticket));
        Ok(())
    }

    #[inline]
    async fn send_uncounted(&self, record: driver_kit::Record<'_>) -> Result<(), String> {
        let sent = self.producer.enqueue(self.record(record)).await;
        sent.map(drop).map_err(text)
    }
}

fn text(error: KrafkaError) -> String {
    error.to_string()
}
