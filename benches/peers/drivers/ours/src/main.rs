//! This project's producer, used as its users use it: one producer shared by reference.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use driver_kit::{About, Client, Record, Refusal, Setup, Ticket};
use kafka_producer::{KafkaProducer, PartitionId, ProducerConfigBuilder, ProducerRecord};

fn main() -> ExitCode {
    driver_kit::run::<Ours>()
}

struct Ours {
    producer: KafkaProducer<[u8], [u8]>,
    topic: String,
    partition: Option<PartitionId>,
    is_transactional: bool,
    /// Records that had failed when flush was last called.
    failed_before: AtomicU64,
}

impl Client for Ours {
    const HAS_TRANSACTIONS: bool = true;

    fn start(setup: &Setup) -> Result<(Self, About), Refusal> {
        let transactional_id = setup.transactional_id();
        let is_transactional = transactional_id.is_some();
        let settings = settings(setup, transactional_id);
        let builder = settings
            .iter()
            .fold(ProducerConfigBuilder::new(), |builder, (key, value)| {
                builder.set(*key, value)
            });
        let config = builder.build().map_err(|error| refusal(setup, &error))?;
        let producer = KafkaProducer::new(config).map_err(Refusal::failed)?;
        producer
            .partitions_for(&setup.topic)
            .map_err(Refusal::failed)?;
        if is_transactional {
            producer.init_transactions().map_err(Refusal::failed)?;
        }
        let about = About {
            client: format!("kafka-producer {VERSION}"),
            settings: settings
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
            unequal: Vec::new(),
            notes: if setup.callback {
                Vec::new()
            } else {
                vec!["without callback: the future is dropped; after flush the producer's own count \
                      of failed records tells whether all were acknowledged"
                    .into()]
            },
        }
    .with_tls_of(setup, "rustls with ring, the client's default provider");
        let ours = Self {
            producer,
            topic: setup.topic.clone(),
            partition: setup.partition,
            is_transactional,
            failed_before: AtomicU64::new(0),
        };
        Ok((ours, about))
    }

    #[inline]
    fn send(&self, record: Record<'_>, ticket: Ticket) -> Result<(), String> {
        self.producer
            .send_with_callback(self.record(record), move |outcome| match outcome {
                Ok(_) => ticket.acked(),
                Err(error) => ticket.failed(error),
            })
            .map(drop)
            .map_err(|error| error.to_string())
    }

    #[inline]
    fn send_quietly(&self, record: Record<'_>) -> Result<(), String> {
        self.producer
            .send(self.record(record))
            .map(drop)
            .map_err(|error| error.to_string())
    }

    fn send_and_wait(&self, record: Record<'_>) -> Result<(), String> {
        let future = self
            .producer
            .send(self.record(record))
            .map_err(|error| error.to_string())?;
        future.get().map(drop).map_err(|error| error.to_string())
    }

    fn flush(&self, until: Option<Instant>) -> Result<(), String> {
        match until {
            None => self.producer.flush(),
            Some(end) => self
                .producer
                .flush_timeout(end.saturating_duration_since(Instant::now())),
        }
        .map_err(|error| error.to_string())?;
        let failed = self.producer.snapshot().records_failed;
        match failed - self.failed_before.swap(failed, Relaxed) {
            0 => Ok(()),
            count => Err(format!("{count} records failed")),
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

    fn close(&self) {
        if let Err(error) = self.producer.close_timeout(Duration::from_secs(2)) {
            eprintln!("close: {error}");
        }
    }
}

impl Ours {
    #[inline]
    fn record<'a>(&'a self, record: Record<'a>) -> ProducerRecord<'a, [u8], [u8]> {
        let mut made = ProducerRecord::new(self.topic.as_str(), record.value);
        made.set_partition(self.partition);
        match record.key {
            Some(key) => made.with_key(key),
            None => made,
        }
    }
}

fn settings(setup: &Setup, transactional_id: Option<String>) -> Vec<(&'static str, String)> {
    let mut settings = vec![("bootstrap.servers", setup.bootstrap.clone())];
    settings.extend(transactional_id.map(|id| ("transactional.id", id)));
    if let Some(authority) = &setup.authority {
        settings.extend([
            ("security.protocol", "SSL".to_owned()),
            ("ssl.truststore.type", "PEM".to_owned()),
            ("ssl.truststore.location", authority.clone()),
        ]);
    }
    if !setup.defaults {
        settings.extend([
            ("acks", setup.acks.clone()),
            ("enable.idempotence", setup.idempotent.to_string()),
            ("linger.ms", setup.linger_ms.to_string()),
            ("batch.size", setup.batch_bytes.to_string()),
            ("buffer.memory", setup.buffer_bytes.to_string()),
            (
                "max.in.flight.requests.per.connection",
                setup.max_in_flight.to_string(),
            ),
            ("request.timeout.ms", setup.request_timeout_ms.to_string()),
            ("delivery.timeout.ms", setup.delivery_timeout_ms.to_string()),
            ("compression.type", setup.compression.clone()),
        ]);
    }
    settings
}

/// Classifies an error of the construction. With compression it means that the library lacks the codec.
fn refusal(setup: &Setup, error: &impl ToString) -> Refusal {
    if setup.compresses() {
        Refusal::Unable(error.to_string())
    } else {
        Refusal::failed(error.to_string())
    }
}

/// The version of the library, which is a path dependency of the same commit.
const VERSION: &str = "of this commit";
