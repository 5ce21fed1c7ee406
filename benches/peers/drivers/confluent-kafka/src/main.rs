//! Confluent's Rust client, a translation of Kafka's Java client onto tokio.

mod settings;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use confluent_kafka::common::Error;
use confluent_kafka::common::Metric;
use confluent_kafka::common::metrics::KafkaMetric;
use confluent_kafka::common::serialization::ByteArraySerializer;
use confluent_kafka::producer::{
    Callback, KafkaProducer, Producer, ProducerRecord, RecordMetadata,
};
use driver_kit::runtime::{CLOSE_TIMEOUT, Tokio, check_partitions};
use driver_kit::{About, Client, Mode, Record, Refusal, Setup, Share, Ticket};

fn main() -> ExitCode {
    driver_kit::run::<Confluent>()
}

struct Confluent {
    tokio: Tokio,
    producer: KafkaProducer<Vec<u8>, Vec<u8>>,
    topic: String,
    partition: Option<i32>,
    /// The client's count of records that failed.
    record_errors: Arc<KafkaMetric>,
    /// Records that had failed when flush was last called.
    failed_before: AtomicU64,
}

impl Client for Confluent {
    fn start(setup: &Setup) -> Result<(Self, About), Refusal> {
        let tokio = Tokio::start()?;
        let (config, about) = settings::of(setup, &tokio)?;
        let producer = {
            // The producer spawns its own task.
            let _inside = tokio.enter();
            let (key, value) = (ByteArraySerializer::new(), ByteArraySerializer::new());
            KafkaProducer::new(config, key, value).map_err(Refusal::failed)?
        };
        let partitions = tokio
            .block_on(producer.partitions_for(&setup.topic))
            .map_err(Refusal::failed)?;
        check_partitions(&setup.topic, setup.partitions, partitions.len())?;
        let metrics = producer.metrics().snapshot();
        let (_, record_errors) = metrics
            .iter()
            .find(|(name, _)| {
                name.group() == "producer-metrics" && name.name() == "record-error-total"
            })
            .ok_or_else(|| Refusal::failed("the client has no metric record-error-total"))?;
        let confluent = Self {
            record_errors: Arc::clone(record_errors),
            tokio,
            producer,
            topic: setup.topic.clone(),
            partition: setup.partition,
            failed_before: AtomicU64::new(0),
        };
        Ok((confluent, about))
    }

    fn send(&self, record: Record<'_>, ticket: Ticket) -> Result<(), String> {
        self.tokio.block_on(self.send_counted(record, ticket))
    }

    fn send_quietly(&self, record: Record<'_>) -> Result<(), String> {
        self.tokio.block_on(self.send_uncounted(record))
    }

    fn send_and_wait(&self, record: Record<'_>) -> Result<(), String> {
        self.tokio.block_on(async {
            let sent = self.producer.send(self.record(record)?, None).await;
            let ended = sent.map_err(text)?.get().await;
            ended.map(drop).map_err(text)
        })
    }

    fn flush(&self, until: Option<Instant>) -> Result<(), String> {
        let flushing = async { self.producer.flush().await.map_err(text) };
        self.tokio.block_on_until(until, flushing)?;
        let failed = self.record_errors.metric_value().as_double();
        let failed = failed.unwrap_or_default() as u64;
        match failed - self.failed_before.swap(failed, Relaxed) {
            0 => Ok(()),
            count => Err(format!("{count} records failed")),
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
        let closing = self.producer.close_with_timeout(CLOSE_TIMEOUT);
        if let Err(error) = self.tokio.block_on(closing) {
            eprintln!("close: {error}");
        }
    }
}

impl Confluent {
    fn record<'a>(&self, record: Record<'a>) -> Result<ProducerRecord<&'a [u8], &'a [u8]>, String> {
        let (topic, value) = (self.topic.clone(), Some(record.value));
        ProducerRecord::with_partition_key(topic, self.partition, record.key, value)
            .map_err(|error| error.to_string())
    }

    #[inline]
    async fn send_counted(&self, record: Record<'_>, ticket: Ticket) -> Result<(), String> {
        let callback: Box<dyn Callback> = Box::new(
            move |_: Option<&RecordMetadata>, error: Option<&Error>| match error {
                None => ticket.acked(),
                Some(error) => ticket.failed(error),
            },
        );
        let sent = self.producer.send(self.record(record)?, Some(callback));
        sent.await.map(drop).map_err(text)
    }

    #[inline]
    async fn send_uncounted(&self, record: Record<'_>) -> Result<(), String> {
        let sent = self.producer.send(self.record(record)?, None);
        sent.await.map(drop).map_err(text)
    }
}

fn text(error: Error) -> String {
    error.to_string()
}
