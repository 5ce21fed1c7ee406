//! One run: a thread reads and sends the lines, and closes the producer at the end of the input. After a signal the
//! main thread closes it.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufReader, stdin};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use kafka_producer::{KafkaProducer, ProducerConfig};

use crate::config;
use crate::console;
use crate::ending::{InputEnd, ReadingGuard};
use crate::line_format::LineFormat;
use crate::line_sender::{LineSender, TIME_AFTER_SECOND_SIGNAL, TIME_AFTER_SIGNAL};
use crate::options::ConsoleProducerOptions;
use crate::signals::EndingSignals;
use crate::streams::{self, LAST_LINES_TIMEOUT};

/// Size of the buffer for standard input, in bytes.
const INPUT_BUFFER: usize = 64 * 1024;

pub(crate) fn run(
    options: &ConsoleProducerOptions,
    signals: EndingSignals,
) -> Result<ExitCode, Box<dyn Error>> {
    let format = LineFormat::of(&reader_properties(options)?)?;
    let producer = KafkaProducer::new(config::config(&options.producer)?)?;
    let sender = Arc::new(LineSender::new(producer, format, options.producer.is_sync));
    let (end_sender, end_receiver) = channel();
    let signal_sender = end_sender.clone();
    let at_once = Arc::clone(&sender);
    signals.begin(
        move |signal| {
            // An error means that the run is over.
            let _ = signal_sender.send(InputEnd::Signal(signal));
        },
        || stop(at_once, TIME_AFTER_SECOND_SIGNAL),
    );
    let reading = {
        let sender = Arc::clone(&sender);
        let guard = ReadingGuard(end_sender);
        thread::Builder::new()
            .name("reading".to_owned())
            .spawn(move || {
                let _guard = guard;
                let input = BufReader::with_capacity(INPUT_BUFFER, stdin().lock());
                sender.send_all(input, console::is_interactive())
            })?
    };
    if let Ok(InputEnd::Signal(signal)) = end_receiver.recv() {
        // The reading thread is not joined: it may be waiting for input.
        stop(sender, TIME_AFTER_SIGNAL);
        return Ok(ExitCode::from(signal.exit_code()));
    }
    let is_all_delivered = reading.join().map_err(|_| "the reading thread panicked")?;
    Ok(if is_all_delivered {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Ends the run after a signal. Standard error may be a full pipe, and the signal ends the process all the same.
fn stop(sender: Arc<LineSender>, time: Duration) {
    let stopping = Arc::clone(&sender);
    streams::in_time(time + LAST_LINES_TIMEOUT, move || stopping.stop(time));
    streams::print_in_time(move || sender.report_position());
}

/// Builds the properties of the reader. Later ones of these override earlier ones: `--reader-config`, `--topic`,
/// `--property`.
fn reader_properties(
    options: &ConsoleProducerOptions,
) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let mut properties = match &options.reader_file {
        // The library's parser of properties files; all keys are unknown to it.
        Some(path) => ProducerConfig::from_properties_file(path)?
            .originals()
            .clone(),
        None => BTreeMap::new(),
    };
    properties.insert("topic".to_owned(), options.topic.clone());
    properties.extend(options.reader_properties.iter().cloned());
    Ok(properties)
}
