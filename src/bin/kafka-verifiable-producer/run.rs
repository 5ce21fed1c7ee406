//! One run: a thread sends messages, and callbacks print their results. At the end the producer is closed before the
//! last lines are printed.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};

use crate::clock::RunClock;
use crate::ending::RunEnd;
use crate::events::{EventLine, Message};
use crate::options::VerifiableProducerOptions;
use crate::signals::EndingSignals;
use crate::streams;
use crate::throttle::Throttle;

const TEXT: &str = "org.apache.kafka.common.serialization.StringSerializer";

pub(crate) fn run(
    options: &VerifiableProducerOptions,
    signals: EndingSignals,
) -> Result<ExitCode, Box<dyn Error>> {
    let producer = KafkaProducer::<str, str>::new(config(options)?)?;
    let (end_sender, end_receiver) = channel();
    let load = Arc::new(MessageRun {
        options: options.clone(),
        producer,
        clock: RunClock::start(),
        stops: AtomicBool::new(false),
        outcomes: Arc::new(MessageOutcomes {
            sent: AtomicU64::new(0),
            acked: AtomicU64::new(0),
            end: end_sender.clone(),
        }),
    });
    load.outcomes.print(EventLine::new("startup_complete"));
    let signal_sender = end_sender.clone();
    // Further signals are ignored, as by Kafka's tool: the outcome of every sent record is printed.
    signals.listen_once(move |signal| {
        // An error means that the run has ended without a signal.
        let _ = signal_sender.send(RunEnd::Signal(signal));
    })?;
    let sending = {
        let load = Arc::clone(&load);
        thread::Builder::new()
            .name("sending".to_owned())
            .spawn(move || {
                load.send_all();
                // An error means that a signal has ended the run before.
                let _ = end_sender.send(RunEnd::AllIsSent);
            })?
    };
    let end = end_receiver.recv().unwrap_or(RunEnd::AllIsSent);
    load.stops.store(true, Ordering::Relaxed);
    // Delivers all queued records; a `send` that is blocked on memory or metadata fails.
    let closed = load.producer.close();
    // Otherwise the sending thread is not joined, because it may be sleeping in the throttle.
    let is_over = end == RunEnd::AllIsSent;
    if is_over && sending.join().is_err() {
        return Err("the sending thread panicked".into());
    }
    EventLine::new("shutdown_complete").print();
    load.tool_data().print();
    closed?;
    Ok(end.code())
}

/// The properties file overrides all options.
fn config(options: &VerifiableProducerOptions) -> Result<ProducerConfig, Box<dyn Error>> {
    let mut builder = ProducerConfig::builder()
        .set("bootstrap.servers", &options.servers)
        .set("acks", &options.acks)
        .set("retries", "0");
    for key in ["key.serializer", "value.serializer"] {
        builder = builder.set(key, TEXT);
    }
    if let Some(path) = &options.config_file {
        builder = builder.properties_file(path)?;
    }
    Ok(builder.build()?)
}

struct MessageRun {
    options: VerifiableProducerOptions,
    producer: KafkaProducer<str, str>,
    clock: RunClock,
    stops: AtomicBool,
    outcomes: Arc<MessageOutcomes>,
}

/// Counts messages and prints their outcomes. Shared with the callbacks.
#[derive(Debug)]
struct MessageOutcomes {
    sent: AtomicU64,
    acked: AtomicU64,
    /// Ends the run.
    end: Sender<RunEnd>,
}

impl MessageOutcomes {
    /// Prints a line. If that fails, the run ends.
    fn print(&self, line: EventLine) {
        line.print();
        if streams::is_lost() {
            // An error means that the run has ended.
            let _ = self.end.send(RunEnd::OutputIsLost);
        }
    }
}

impl MessageRun {
    fn send_all(&self) {
        let throttle = Throttle::new(self.options.rate());
        let numbers = 0..self.options.max_messages.unwrap_or(u64::MAX);
        for number in numbers {
            if self.stops.load(Ordering::Relaxed) || streams::is_lost() {
                return;
            }
            let sent_at = self.clock.now();
            self.send(number);
            throttle.pace(number + 1, sent_at, self.clock);
        }
    }

    fn send(&self, number: u64) {
        let options = &self.options;
        let value = match options.value_prefix {
            Some(prefix) => format!("{prefix}.{number}"),
            None => number.to_string(),
        };
        let key = options
            .repeating_keys
            .map(|keys| (number % u64::from(keys)).to_string());
        let mut record = ProducerRecord::new(&*options.topic, &*value);
        if let Some(key) = &key {
            record = record.with_key(&**key);
        }
        if let Some(first) = options.create_time {
            let passed = i64::try_from(self.clock.now() / 1_000_000).unwrap_or(0);
            record = record.with_timestamp(first.saturating_add(passed));
        }
        self.outcomes.sent.fetch_add(1, Ordering::Relaxed);
        let outcomes = Arc::clone(&self.outcomes);
        let topic = options.topic.clone();
        let (own_key, own_value) = (key.clone(), value.clone());
        let sent = self.producer.send_with_callback(record, move |outcome| {
            let message = Message {
                key: own_key.as_deref(),
                value: &own_value,
            };
            match outcome {
                Ok(metadata) => {
                    outcomes.acked.fetch_add(1, Ordering::Relaxed);
                    outcomes.print(EventLine::sent(&message, &topic, metadata));
                }
                Err(error) => {
                    let kind = format!("{:?}", error.kind());
                    outcomes.print(EventLine::failed(&message, &topic, &kind, error));
                }
            }
        });
        if let Err(error) = sent {
            let message = Message {
                key: key.as_deref(),
                value: &value,
            };
            let line = EventLine::failed(&message, &options.topic, "SendError", &error);
            self.outcomes.print(line);
        }
    }

    fn tool_data(&self) -> EventLine {
        let acked = self.outcomes.acked.load(Ordering::Relaxed);
        let seconds = self.clock.now() as f64 / 1e9;
        EventLine::new("tool_data")
            .number("sent", &self.outcomes.sent.load(Ordering::Relaxed))
            .number("acked", &acked)
            .number("target_throughput", &self.options.throughput)
            .decimal("avg_throughput", acked as f64 / seconds)
    }
}
