//! One run: a thread sends messages, and callbacks print their results. At the end the producer is closed before the
//! last lines are printed.

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord, SendError};

use crate::clock::RunClock;
use crate::ending::RunEnd;
use crate::events::{EventLine, Message};
use crate::options::VerifiableProducerOptions;
use crate::signals::{EndingSignal, EndingSignals};
use crate::streams::{self, LAST_LINES_TIMEOUT, PrintState};
use crate::throttle::Throttle;

const TEXT: &str = "org.apache.kafka.common.serialization.StringSerializer";

pub(crate) fn run(
    options: &VerifiableProducerOptions,
    signals: EndingSignals,
) -> Result<ExitCode, Box<dyn Error>> {
    let producer = KafkaProducer::<str, str>::new(config(options)?)?;
    let (end_sender, ends) = channel();
    let load = Arc::new(MessageRun {
        options: options.clone(),
        producer,
        clock: RunClock::start(),
        stops: AtomicBool::new(false),
        obstacle: OnceLock::new(),
        outcomes: Arc::new(MessageOutcomes {
            sent: AtomicU64::new(0),
            acked: AtomicU64::new(0),
            end: end_sender.clone(),
        }),
    });
    let signal_sender = end_sender.clone();
    // Further signals are ignored, as by Kafka's tool: the outcome of every sent record is printed.
    signals.begin_once(move |signal| {
        // An error means that the run has ended without a signal.
        let _ = signal_sender.send(RunEnd::Signal(signal));
    });
    let sending = {
        let (load, end_sender) = (Arc::clone(&load), end_sender.clone());
        thread::Builder::new()
            .name("sending".to_owned())
            .spawn(move || {
                load.send_all();
                // An error means that the run has ended before.
                let _ = end_sender.send(RunEnd::AllIsSent);
            })?
    };
    let end = ends.recv().unwrap_or(RunEnd::AllIsSent);
    load.stop(&sending);
    let closing = thread::Builder::new()
        .name("closing".to_owned())
        .spawn(move || {
            let closed = load.close(sending);
            // An error means that the output is stuck.
            let _ = end_sender.send(RunEnd::Closed);
            closed
        })?;
    if let Some(signal) = stuck_after(end, &ends, &closing) {
        return Ok(ExitCode::from(signal.exit_code()));
    }
    match closing.join() {
        Ok(closed) => closed.map_err(|error| -> Box<dyn Error> { error })?,
        Err(_) => return Err("the closing thread panicked".into()),
    }
    Ok(end.code())
}

/// Waits until the last lines are printed. Returns a signal if the output is stuck after it: then the process ends
/// without them. Without a signal a stuck output is waited for.
fn stuck_after<T>(
    end: RunEnd,
    ends: &Receiver<RunEnd>,
    closing: &JoinHandle<T>,
) -> Option<EndingSignal> {
    let mut signal = match end {
        RunEnd::Signal(signal) => Some(signal),
        _ => None,
    };
    let mut earlier = PrintState::now();
    loop {
        match ends.recv_timeout(LAST_LINES_TIMEOUT) {
            Ok(RunEnd::Closed) => return None,
            Ok(RunEnd::Signal(late)) => signal = signal.or(Some(late)),
            Ok(_) => {}
            // It has panicked.
            Err(_) if closing.is_finished() => return None,
            Err(_) => {
                let now = PrintState::now();
                if signal.is_some() && now.is_stuck_since(earlier) {
                    return signal;
                }
                earlier = now;
            }
        }
    }
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
    /// Why `send` may be waiting when the run ends.
    obstacle: OnceLock<String>,
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
        // On this thread: standard output may be a full pipe, and the main thread waits for signals.
        self.outcomes.print(EventLine::new("startup_complete"));
        let throttle = Throttle::new(self.options.rate());
        let numbers = 0..self.options.max_messages.unwrap_or(u64::MAX);
        for number in numbers {
            if self.stops.load(Ordering::Relaxed) || streams::is_lost() {
                return;
            }
            let sent_at = self.clock.now();
            self.send(number);
            let ends = || self.stops.load(Ordering::Relaxed);
            throttle.pace(number + 1, sent_at, self.clock, ends);
        }
    }

    /// Makes the sending thread end.
    fn stop(&self, sending: &JoinHandle<()>) {
        self.stops.store(true, Ordering::Relaxed);
        if let Some(missing) = self.producer.missing_metadata(&self.options.topic) {
            self.obstacle.get_or_init(|| missing);
        }
        sending.thread().unpark();
    }

    /// Closes the producer, and prints the last lines. The outcome of every message that was counted is printed before.
    fn close(&self, sending: JoinHandle<()>) -> Result<(), Box<dyn Error + Send + Sync>> {
        // Delivers all queued records; a `send` that is blocked on memory or metadata fails.
        let closed = self.producer.close();
        if sending.join().is_err() {
            return Err("the sending thread panicked".into());
        }
        EventLine::new("shutdown_complete").print();
        self.tool_data().print();
        Ok(closed?)
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
            let why = self.why_not_sent(&error);
            let line = EventLine::failed(&message, &options.topic, "SendError", &why);
            self.outcomes.print(line);
        }
    }

    /// That the producer is closed is a consequence: the run has ended while `send` waited.
    fn why_not_sent(&self, error: &SendError) -> String {
        match (error, self.obstacle.get()) {
            (SendError::Closed, Some(why)) => {
                format!("it could not be sent before the run ended: {why} (not written)")
            }
            _ => error.to_string(),
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
