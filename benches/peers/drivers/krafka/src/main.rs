//! krafka, a client of its own on tokio.

mod settings;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use driver_kit::{About, Client, Mode, Refusal, Setup, Share, Ticket};
use krafka::producer::{DeliveryHandle, Producer, Record};
use krafka::{CloseOptions, KrafkaError};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout_at;

fn main() -> ExitCode {
    driver_kit::run::<Krafka>()
}

struct Krafka {
    runtime: Runtime,
    producer: Producer,
    topic: String,
    partition: Option<i32>,
    /// Failed batches when flush was last called.
    errors_before: AtomicU64,
    /// Records whose end is to be counted.
    outstanding: UnboundedSender<(DeliveryHandle, Ticket)>,
}

impl Client for Krafka {
    fn start(setup: &Setup) -> Result<(Self, About), Refusal> {
        let runtime = Runtime::new().map_err(failed)?;
        let producer = runtime.block_on(async {
            let kafka = settings::connection(setup)
                .connect()
                .await
                .map_err(failed)?;
            let builder = settings::producer(kafka.producer(), setup)?;
            builder.build().await.map_err(failed)
        })?;
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
        let (outstanding, sent) = unbounded_channel();
        runtime.spawn(count(sent));
        let about = settings::about(setup, runtime.metrics().num_workers());
        let krafka = Self {
            runtime,
            producer,
            topic: setup.topic.clone(),
            partition: setup.partition,
            errors_before: AtomicU64::new(0),
            outstanding,
        };
        Ok((krafka, about))
    }

    fn send(&self, record: driver_kit::Record<'_>, ticket: Ticket) -> Result<(), String> {
        self.runtime.block_on(self.send_counted(record, ticket))
    }

    fn send_quietly(&self, record: driver_kit::Record<'_>) -> Result<(), String> {
        self.runtime.block_on(self.send_uncounted(record))
    }

    fn send_and_wait(&self, record: driver_kit::Record<'_>) -> Result<(), String> {
        let ended = self
            .runtime
            .block_on(self.producer.send(self.record(record)));
        ended.map(drop).map_err(text)
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
        let errors = self.producer.metrics().producer.errors;
        match errors - self.errors_before.swap(errors, Relaxed) {
            0 => Ok(()),
            count => Err(format!("{count} batches failed")),
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
        let options = CloseOptions::new().timeout(CLOSE_TIMEOUT);
        if let Err(error) = self.runtime.block_on(self.producer.close_with(options)) {
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
        // The counting task ends with the runtime, after all sending.
        let _ = self.outstanding.send((sent.map_err(text)?, ticket));
        Ok(())
    }

    #[inline]
    async fn send_uncounted(&self, record: driver_kit::Record<'_>) -> Result<(), String> {
        let sent = self.producer.enqueue(self.record(record)).await;
        sent.map(drop).map_err(text)
    }
}

/// Awaits each delivery and counts it. What is outstanding is bounded by the client's own buffer.
async fn count(mut sent: UnboundedReceiver<(DeliveryHandle, Ticket)>) {
    let mut some = Vec::with_capacity(AT_A_TIME);
    while sent.recv_many(&mut some, AT_A_TIME).await > 0 {
        for (delivery, ticket) in some.drain(..) {
            match delivery.await {
                Ok(_) => ticket.acked(),
                Err(error) => ticket.failed(error),
            }
        }
    }
}

fn text(error: KrafkaError) -> String {
    error.to_string()
}

fn failed(error: impl ToString) -> Refusal {
    Refusal::Failed(error.to_string())
}

const AT_A_TIME: usize = 1024;
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
