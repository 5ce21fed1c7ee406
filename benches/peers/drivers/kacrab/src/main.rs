//! kacrab, an independent client on tokio, with Java's settings.

mod settings;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use driver_kit::runtime::{CLOSE_TIMEOUT, Deliveries, Tokio, check_partitions};
use driver_kit::{About, Client, Record, Refusal, Setup, Share, Ticket};
use kacrab::producer::{Producer, ProducerError, ProducerRecord, SendFuture};

fn main() -> ExitCode {
    driver_kit::run::<Kacrab>()
}

struct Kacrab {
    tokio: Tokio,
    producer: Producer,
    topic: Arc<str>,
    partition: Option<i32>,
    deliveries: Deliveries<SendFuture>,
}

impl Client for Kacrab {
    fn start(setup: &Setup) -> Result<(Self, About), Refusal> {
        let tokio = Tokio::start()?;
        let settings = settings::of(setup);
        let building = settings
            .iter()
            .fold(Producer::builder(), |builder, (key, value)| {
                builder.set(key.as_str(), value.as_str())
            })
            .build();
        let producer = tokio.block_on(building).map_err(Refusal::failed)?;
        let partitions = tokio
            .block_on(producer.partitions_for(&setup.topic))
            .map_err(Refusal::failed)?;
        check_partitions(&setup.topic, setup.partitions, partitions.len())?;
        let about = settings::about(setup, settings, &tokio);
        let kacrab = Self {
            deliveries: Deliveries::count_on(&tokio),
            tokio,
            producer,
            topic: setup.topic.as_str().into(),
            partition: setup.partition,
        };
        Ok((kacrab, about))
    }

    #[inline]
    fn send(&self, record: Record<'_>, ticket: Ticket) -> Result<(), String> {
        self.hand_over(record, Some(ticket))
    }

    #[inline]
    fn send_quietly(&self, record: Record<'_>) -> Result<(), String> {
        self.hand_over(record, None)
    }

    fn send_and_wait(&self, record: Record<'_>) -> Result<(), String> {
        let sent = self.producer.send(self.record(record)).map_err(text)?;
        self.tokio.block_on(sent).map(drop).map_err(text)
    }

    fn flush(&self, until: Option<Instant>) -> Result<(), String> {
        let all_ended = async {
            // `flush` does not report earlier failures; the deliveries do.
            self.producer.flush().await.map_err(text)?;
            self.deliveries.all_ended().await
        };
        self.tokio.block_on_until(until, all_ended)
    }

    /// `send` is not a future, but must be called inside a runtime.
    fn share(&self, share: &Share) {
        let _inside = self.tokio.enter();
        self.one_after_the_other(share);
    }

    /// Flushes instead: the client's `close` does the same, but consumes the producer.
    fn close(&self) {
        if let Err(error) = self.flush(Some(Instant::now() + CLOSE_TIMEOUT)) {
            eprintln!("close: {error}");
        }
    }
}

impl Kacrab {
    /// Sends without `send_with_callback`: a callback that is registered while its batch is being acknowledged is never
    /// called.
    #[inline]
    fn hand_over(&self, record: Record<'_>, ticket: Option<Ticket>) -> Result<(), String> {
        let sent = self.producer.send(self.record(record)).map_err(text)?;
        self.deliveries.add(sent, ticket);
        Ok(())
    }

    #[inline]
    fn record(&self, record: Record<'_>) -> ProducerRecord {
        let topic = Arc::clone(&self.topic);
        let made = match self.partition {
            Some(partition) => ProducerRecord::new(topic, partition),
            None => ProducerRecord::unassigned(topic),
        };
        let made = made.value(Bytes::copy_from_slice(record.value));
        match record.key {
            Some(key) => made.key(Bytes::copy_from_slice(key)),
            None => made,
        }
    }
}

fn text(error: ProducerError) -> String {
    error.to_string()
}
