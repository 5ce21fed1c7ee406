//! This project's producer, used as its users use it: one producer shared by reference, or several of them.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use driver_kit::{About, Client, Record, Refusal, Setup, Ticket};
use kafka_producer::{
    KafkaProducer, PartitionId, ProducerConfigBuilder, ProducerRecord, ProducerSnapshot,
};

fn main() -> ExitCode {
    driver_kit::run::<Ours>()
}

struct Ours {
    producers: Vec<KafkaProducer<[u8], [u8]>>,
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
        let start = || {
            let producer = KafkaProducer::new(config.clone()).map_err(Refusal::failed)?;
            producer
                .partitions_for(&setup.topic)
                .map_err(Refusal::failed)?;
            if is_transactional {
                producer.init_transactions().map_err(Refusal::failed)?;
            }
            Ok(producer)
        };
        let producers = (0..setup.producers)
            .map(|_| start())
            .collect::<Result<_, Refusal>>()?;
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
            producers,
            topic: setup.topic.clone(),
            partition: setup.partition,
            is_transactional,
            failed_before: AtomicU64::new(0),
        };
        Ok((ours, about))
    }

    #[inline]
    fn send(&self, record: Record<'_>, ticket: Ticket) -> Result<(), String> {
        self.producer(record)
            .send_with_callback(self.record(record), move |outcome| match outcome {
                Ok(_) => ticket.acked(),
                Err(error) => ticket.failed(error),
            })
            .map(drop)
            .map_err(|error| error.to_string())
    }

    #[inline]
    fn send_quietly(&self, record: Record<'_>) -> Result<(), String> {
        self.producer(record)
            .send(self.record(record))
            .map(drop)
            .map_err(|error| error.to_string())
    }

    fn send_and_wait(&self, record: Record<'_>) -> Result<(), String> {
        let future = self
            .producer(record)
            .send(self.record(record))
            .map_err(|error| error.to_string())?;
        future.get().map(drop).map_err(|error| error.to_string())
    }

    fn flush(&self, until: Option<Instant>) -> Result<(), String> {
        for producer in &self.producers {
            match until {
                None => producer.flush(),
                Some(end) => producer.flush_timeout(end.saturating_duration_since(Instant::now())),
            }
            .map_err(|error| error.to_string())?;
        }
        let failed = self.sum(|snapshot| snapshot.records_failed);
        match failed - self.failed_before.swap(failed, Relaxed) {
            0 => Ok(()),
            count => Err(format!("{count} records failed")),
        }
    }

    fn begin_group(&self) -> Result<(), String> {
        if self.is_transactional {
            self.producers[0]
                .begin_transaction()
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn end_group(&self) -> Result<(), String> {
        if self.is_transactional {
            self.producers[0]
                .commit_transaction()
                .map_err(|error| error.to_string())
        } else {
            self.flush(None)
        }
    }

    fn counters(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([
            ("loops".to_owned(), self.sum(|it| it.sender_loops)),
            ("requests".to_owned(), self.sum(|it| it.produce_requests)),
        ])
    }

    fn close(&self) {
        for producer in &self.producers {
            if let Err(error) = producer.close_timeout(Duration::from_secs(2)) {
                eprintln!("close: {error}");
            }
        }
    }
}

impl Ours {
    /// The producer of this record: records with the same key have the same one.
    #[inline]
    fn producer(&self, record: Record<'_>) -> &KafkaProducer<[u8], [u8]> {
        if let [only] = &self.producers[..] {
            return only;
        }
        let key = record.key.and_then(|key| key.first_chunk::<4>());
        let number = key.map_or(0, |key| u32::from_le_bytes(*key));
        &self.producers[number as usize % self.producers.len()]
    }

    /// The sum of a counter over all producers.
    fn sum(&self, counter: fn(ProducerSnapshot) -> u64) -> u64 {
        let snapshots = self.producers.iter().map(KafkaProducer::snapshot);
        snapshots.map(counter).sum()
    }

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
