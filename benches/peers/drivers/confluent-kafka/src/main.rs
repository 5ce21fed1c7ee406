//! Confluent's Rust client, a translation of Kafka's Java client onto tokio.

mod settings;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use confluent_kafka::common::Error;
use confluent_kafka::common::Metric;
use confluent_kafka::common::metrics::KafkaMetric;
use confluent_kafka::common::serialization::ByteArraySerializer;
use confluent_kafka::producer::{
    Callback, KafkaProducer, Producer, ProducerRecord, RecordMetadata,
};
use driver_kit::{About, Client, Mode, Record, Refusal, Setup, Share, Ticket};
use tokio::runtime::Runtime;
use tokio::time::timeout_at;

fn main() -> ExitCode {
    driver_kit::run::<Confluent>()
}

struct Confluent {
    runtime: Runtime,
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
        let runtime = Runtime::new().map_err(failed)?;
        let (config, about) = settings::of(setup, runtime.metrics().num_workers())?;
        let producer = {
            // The producer spawns its own task.
            let _inside = runtime.enter();
            let (key, value) = (ByteArraySerializer::new(), ByteArraySerializer::new());
            KafkaProducer::new(config, key, value).map_err(failed)?
        };
        let partitions = runtime
            .block_on(producer.partitions_for(&setup.topic))
            .map_err(failed)?
            .len();
        if partitions as i64 != i64::from(setup.partitions) {
            return Err(failed(format!(
                "topic {} has {partitions} partitions, not {}",
                setup.topic, setup.partitions
            )));
        }
        let metrics = producer.metrics().snapshot();
        let (_, record_errors) = metrics
            .iter()
            .find(|(name, _)| {
                name.group() == "producer-metrics" && name.name() == "record-error-total"
            })
            .ok_or_else(|| failed("the client has no metric record-error-total"))?;
        let confluent = Self {
            record_errors: Arc::clone(record_errors),
            runtime,
            producer,
            topic: setup.topic.clone(),
            partition: setup.partition,
            failed_before: AtomicU64::new(0),
        };
        Ok((confluent, about))
    }

    fn send(&self, record: Record<'_>, ticket: Ticket) -> Result<(), String> {
        self.runtime.block_on(self.send_counted(record, ticket))
    }

    fn send_quietly(&self, record: Record<'_>) -> Result<(), String> {
        self.runtime.block_on(self.send_uncounted(record))
    }

    fn send_and_wait(&self, record: Record<'_>) -> Result<(), String> {
        self.runtime.block_on(async {
            let sent = self.producer.send(self.record(record)?, None).await;
            let ended = sent.map_err(text)?.get().await;
            ended.map(drop).map_err(text)
        })
    }

    fn flush(&self, until: Option<Instant>) -> Result<(), String> {
        self.runtime.block_on(async {
            match until {
                None => self.producer.flush().await.map_err(text),
                Some(end) => match timeout_at(end.into(), self.producer.flush()).await {
                    Ok(flushed) => flushed.map_err(text),
                    Err(_) => Err("given up before all records had ended".into()),
                },
            }
        })?;
        let failed = self.record_errors.metric_value().as_double();
        let failed = failed.unwrap_or_default() as u64;
        match failed - self.failed_before.swap(failed, Relaxed) {
            0 => Ok(()),
            count => Err(format!("{count} records failed")),
        }
    }

    /// A blast is one future for all records of the thread, as in a task of the client's users.
    fn share(&self, share: &Share) {
        if share.mode() != Mode::Blast {
            return share.run(self);
        }
        let all = async {
            for turn in share.turns() {
                let sent = if share.callback() {
                    self.send_counted(turn.record, turn.ticket).await
                } else {
                    self.send_uncounted(turn.record).await
                };
                if let Err(reason) = sent {
                    turn.ticket.failed(reason);
                }
            }
        };
        self.runtime.block_on(async {
            match share.give_up_at() {
                None => all.await,
                // The kit tells that it was given up.
                Some(end) => drop(timeout_at(end.into(), all).await),
            }
        });
    }

    fn close(&self) {
        let closing = self.producer.close_with_timeout(CLOSE_TIMEOUT);
        if let Err(error) = self.runtime.block_on(closing) {
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

fn failed(error: impl ToString) -> Refusal {
    Refusal::Failed(error.to_string())
}

const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
