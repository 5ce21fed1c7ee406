//! rskafka, a minimal client on tokio: one batching producer for each partition, and no choice of partition.

mod settings;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use driver_kit::runtime::Tokio;
use driver_kit::{About, Client, Mode, Refusal, Setup, Share, Ticket};
use futures::future::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::client::producer::aggregator::RecordAggregator;
use rskafka::client::producer::{BatchProducer, BatchProducerBuilder};
use rskafka::record::Record;

fn main() -> ExitCode {
    driver_kit::run::<Rskafka>()
}

struct Rskafka {
    tokio: Tokio,
    partitions: Vec<Partition>,
    compression: Compression,
    /// The partition of all records; `None` if the driver chooses partitions.
    only: Option<usize>,
    /// Bytes of records without a key after which the driver changes to the next partition.
    batch_bytes: usize,
    /// The maximum number of records in flight of a sending thread.
    under_way_max: usize,
}

struct Partition {
    client: Arc<PartitionClient>,
    producer: Arc<BatchProducer<RecordAggregator>>,
}

impl Client for Rskafka {
    fn start(setup: &Setup) -> Result<(Self, About), Refusal> {
        settings::check(setup)?;
        let tokio = Tokio::start()?;
        let (batch_bytes, linger) = settings::batching(setup);
        let compression = settings::compression(setup)?;
        let tls = settings::tls(setup)?;
        let partitions = tokio.block_on(async {
            let servers = setup.bootstrap.split(',').map(str::to_owned).collect();
            let mut builder = ClientBuilder::new(servers);
            if let Some(tls) = tls {
                builder = builder.tls_config(tls);
            }
            let client = builder.build().await.map_err(Refusal::failed)?;
            let mut partitions = Vec::new();
            for number in 0..setup.partitions {
                let unknown = UnknownTopicHandling::Error;
                let client = client
                    .partition_client(setup.topic.as_str(), number, unknown)
                    .await
                    .map_err(Refusal::failed)?;
                let client = Arc::new(client);
                let producer = BatchProducerBuilder::new(Arc::clone(&client))
                    .with_compression(compression)
                    .with_linger(linger)
                    .build(RecordAggregator::new(batch_bytes));
                partitions.push(Partition {
                    client,
                    producer: Arc::new(producer),
                });
            }
            Ok(partitions)
        })?;
        let rskafka = Self {
            partitions,
            compression,
            only: setup.partition.and_then(|only| only.try_into().ok()),
            batch_bytes,
            under_way_max: settings::under_way_max(setup),
            tokio,
        };
        let about = settings::about(setup, rskafka.under_way_max, &rskafka.tokio);
        Ok((rskafka, about))
    }

    /// Spawns a task for each record, because `produce` waits for the result. Used by paced rounds.
    fn send(&self, record: driver_kit::Record<'_>, ticket: Ticket) -> Result<(), String> {
        let producer = Arc::clone(&self.partition(record).producer);
        let record = owned(record);
        self.tokio.spawn(async move {
            match producer.produce(record).await {
                Ok(_) => ticket.acked(),
                Err(error) => ticket.failed(error),
            }
        });
        Ok(())
    }

    /// Used by groups only: [`share`](Self::share) sends the records of a blast.
    fn send_quietly(&self, record: driver_kit::Record<'_>) -> Result<(), String> {
        self.send_and_wait(record)
    }

    /// Sends the record in a separate request: the batching producer would wait for its timer, whose resolution is a
    /// millisecond.
    fn send_and_wait(&self, record: driver_kit::Record<'_>) -> Result<(), String> {
        let records = vec![owned(record)];
        let client = &self.partition(record).client;
        let produced = client.produce(records, self.compression);
        let produced = self.tokio.block_on(produced);
        produced.map(drop).map_err(|error| error.to_string())
    }

    /// Only flushes: the senders or the kit wait for the records in flight.
    fn flush(&self, until: Option<Instant>) -> Result<(), String> {
        let all = async {
            for partition in &self.partitions {
                let flushed = partition.producer.flush().await;
                flushed.map_err(|error| error.to_string())?;
            }
            Ok(())
        };
        self.tokio.block_on_until(until, all)
    }

    /// In a blast keeps the maximum number of records in flight.
    fn share(&self, share: &Share) {
        if share.mode() != Mode::Blast {
            return self.one_after_the_other(share);
        }
        let all = tokio::task::unconstrained(async {
            let mut under_way = FuturesUnordered::new();
            for turn in share.turns() {
                let producer = &self.partition(turn.record).producer;
                let produced = producer.produce(owned(turn.record));
                under_way.push(async move {
                    match produced.await {
                        Ok(_) => turn.ticket.acked(),
                        Err(error) => turn.ticket.failed(error),
                    }
                });
                // A record is not sent before its future is polled.
                while let Some(Some(())) = under_way.next().now_or_never() {}
                if under_way.len() >= self.under_way_max {
                    under_way.next().await;
                }
            }
            while under_way.next().await.is_some() {}
            Ok(())
        });
        // The kit itself reports a cancelled round.
        let _ = self.tokio.block_on_until(share.give_up_at(), all);
    }
}

impl Rskafka {
    /// Chooses the partition, because the client does not. The driver hashes keys, and fills a batch of one partition
    /// after another with records without a key, as other clients do.
    fn partition(&self, record: driver_kit::Record<'_>) -> &Partition {
        thread_local! {
            static PLACE: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
        }
        let number = match (self.only, record.key) {
            (Some(only), _) => only,
            (None, Some(key)) => {
                let mut hasher = DefaultHasher::new();
                hasher.write(key);
                hasher.finish() as usize % self.partitions.len()
            }
            (None, None) => PLACE.with(|place| {
                let (mut number, mut bytes) = place.get();
                if bytes >= self.batch_bytes {
                    (number, bytes) = ((number + 1) % self.partitions.len(), 0);
                }
                place.set((number, bytes + record.value.len()));
                number
            }),
        };
        &self.partitions[number]
    }
}

/// Copies the record, because records of this client own their bytes.
fn owned(record: driver_kit::Record<'_>) -> Record {
    Record {
        key: record.key.map(<[u8]>::to_vec),
        value: Some(record.value.to_vec()),
        headers: BTreeMap::new(),
        timestamp: Utc::now(),
    }
}
