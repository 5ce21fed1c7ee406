//! kacrab, a client of its own on tokio, with Java's settings.

mod settings;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use driver_kit::{About, Client, Record, Refusal, Setup, Share, Ticket};
use kacrab::producer::{Producer, ProducerError, ProducerRecord, SendFuture};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

fn main() -> ExitCode {
    driver_kit::run::<Kacrab>()
}

struct Kacrab {
    runtime: Runtime,
    producer: Producer,
    topic: Arc<str>,
    partition: Option<i32>,
    /// To the task that counts.
    outstanding: UnboundedSender<Outstanding>,
}

impl Client for Kacrab {
    fn start(setup: &Setup) -> Result<(Self, About), Refusal> {
        let runtime = Runtime::new().map_err(failed)?;
        let settings = settings::of(setup);
        let building = settings
            .iter()
            .fold(Producer::builder(), |builder, (key, value)| {
                builder.set(key.as_str(), value.as_str())
            })
            .build();
        let producer = runtime.block_on(building).map_err(failed)?;
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
        let about = settings::about(setup, settings, runtime.metrics().num_workers());
        let (outstanding, sent) = unbounded_channel();
        runtime.spawn(count(sent));
        let kacrab = Self {
            outstanding,
            runtime,
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
        self.runtime.block_on(sent).map(drop).map_err(text)
    }

    fn flush(&self, until: Option<Instant>) -> Result<(), String> {
        let all_ended = async {
            // What failed before it was called, flush does not tell: the counting task does.
            self.producer.flush().await.map_err(text)?;
            let (reached, end) = oneshot::channel();
            let _ = self.outstanding.send(Outstanding::End(reached));
            match end.await {
                Ok(None) => Ok(()),
                Ok(Some(failures)) => Err(failures),
                Err(_) => Err("the counting task has ended".to_owned()),
            }
        };
        self.runtime.block_on(async {
            match until {
                None => all_ended.await,
                Some(end) => timeout_at(end.into(), all_ended)
                    .await
                    .unwrap_or_else(|_| Err("given up before all records had ended".into())),
            }
        })
    }

    /// Its send is no future, but looks for the runtime it is called in.
    fn share(&self, share: &Share) {
        let _inside = self.runtime.enter();
        share.run(self);
    }

    /// Closing is flushing, but would take the producer.
    fn close(&self) {
        if let Err(error) = self.flush(Some(Instant::now() + CLOSE_TIMEOUT)) {
            eprintln!("close: {error}");
        }
    }
}

impl Kacrab {
    /// Not by `send_with_callback`: a callback that is registered while its batch is being acknowledged is never
    /// called.
    #[inline]
    fn hand_over(&self, record: Record<'_>, ticket: Option<Ticket>) -> Result<(), String> {
        let sent = self.producer.send(self.record(record)).map_err(text)?;
        // The counting task ends with the runtime, after all sending.
        let _ = self.outstanding.send(Outstanding::Record(sent, ticket));
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

/// What the counting task awaits, in this order.
enum Outstanding {
    Record(SendFuture, Option<Ticket>),
    /// Somebody wants to know when all before have ended, and how many of those without ticket failed.
    End(oneshot::Sender<Option<String>>),
}

/// Awaits each delivery and counts it. What is outstanding is bounded by the client's own buffer.
async fn count(mut outstanding: UnboundedReceiver<Outstanding>) {
    let mut some = Vec::with_capacity(AT_A_TIME);
    let (mut failed, mut first_error) = (0_u64, None);
    while outstanding.recv_many(&mut some, AT_A_TIME).await > 0 {
        for next in some.drain(..) {
            match next {
                Outstanding::Record(sent, ticket) => match (sent.await, ticket) {
                    (Ok(_), Some(ticket)) => ticket.acked(),
                    (Ok(_), None) => {}
                    (Err(error), Some(ticket)) => ticket.failed(error),
                    (Err(error), None) => {
                        failed += 1;
                        first_error.get_or_insert(error);
                    }
                },
                Outstanding::End(reached) => {
                    let first = first_error.take();
                    let failures = first.map(|error| format!("{failed} records failed: {error}"));
                    failed = 0;
                    // Who gave up does not want to know.
                    let _ = reached.send(failures);
                }
            }
        }
    }
}

fn text(error: ProducerError) -> String {
    error.to_string()
}

fn failed(error: impl ToString) -> Refusal {
    Refusal::Failed(error.to_string())
}

const AT_A_TIME: usize = 1024;
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
