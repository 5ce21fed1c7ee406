//! Sends lines as records, and reports those that fail.

use std::fmt::Display;
use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kafka_producer::{CloseError, KafkaProducer, SendError};
use parking_lot::Mutex;

use crate::console;
use crate::line_format::LineFormat;
use crate::line_reader::{LineReader, NextLine};
use crate::usage::NAME;

/// How long records may still be delivered after a signal.
const TIME_AFTER_SIGNAL: Duration = Duration::from_secs(5);

/// How much longer than `max.request.size` a line may be, in bytes: its separators are not part of the record.
const SEPARATORS_MAX: usize = 64 * 1024;

/// The reading thread calls [`send_all`](Self::send_all). Then the main thread calls [`close`](Self::close), or
/// [`stop`](Self::stop) while the reading thread still runs.
pub(crate) struct LineSender {
    producer: KafkaProducer<[u8], [u8]>,
    format: LineFormat,
    is_sync: bool,
    /// Set by a signal: no more lines are sent.
    stops: AtomicBool,
    /// Held while a line is sent and its failure is reported.
    sending: Mutex<()>,
    failures: Arc<FailedLines>,
}

impl LineSender {
    pub(crate) fn new(
        producer: KafkaProducer<[u8], [u8]>,
        format: LineFormat,
        is_sync: bool,
    ) -> Self {
        Self {
            producer,
            format,
            is_sync,
            stops: AtomicBool::new(false),
            sending: Mutex::new(()),
            failures: Arc::default(),
        }
    }

    /// Sends all lines of the input, and waits for their results. An error is the reason why not all lines were read.
    pub(crate) fn send_all(&self, input: impl BufRead, is_interactive: bool) -> Result<(), String> {
        let mut lines = LineReader::new(input, self.line_limit());
        let sent = self.send_lines(&mut lines, is_interactive);
        console::end_prompt();
        // Here and not in `close`, so that a signal can cut the wait short. Failed records are reported by callbacks.
        let _ = self.producer.flush();
        sent
    }

    fn line_limit(&self) -> usize {
        let largest = self.producer.config().max_request_size();
        largest.saturating_add(SEPARATORS_MAX)
    }

    fn send_lines(
        &self,
        lines: &mut LineReader<impl BufRead>,
        is_interactive: bool,
    ) -> Result<(), String> {
        for number in 1.. {
            if is_interactive {
                console::prompt();
            }
            let line = match lines.next_line() {
                Ok(NextLine::EndOfInput) => break,
                Ok(NextLine::Line(line)) => Some(line),
                Ok(NextLine::TooLong) => None,
                Err(error) => return Err(format!("standard input cannot be read: {error}")),
            };
            console::line_is_read();
            let _sending = self.sending.lock();
            if self.stops.load(Ordering::Relaxed) {
                break;
            }
            match line {
                Some(line) => self.send(number, line)?,
                None => self.line_failed(number, &self.too_long())?,
            }
        }
        Ok(())
    }

    fn send(&self, number: u64, line: &[u8]) -> Result<(), String> {
        let record = self.format.parse(line);
        let record = record.map_err(|error| format!("line {number}: {error}"))?;
        let failures = Arc::clone(&self.failures);
        let sent = self.producer.send_with_callback(record, move |outcome| {
            if let Err(error) = outcome {
                failures.add(number, error);
            }
        });
        match sent {
            Ok(future) if self.is_sync && future.get().is_err() => Err(stopped_at(number)),
            Ok(_) => Ok(()),
            Err(error) => {
                let is_fatal = !matches!(
                    error,
                    SendError::Record(_)
                        | SendError::Serialization { .. }
                        | SendError::Partitioner { .. }
                        | SendError::PartitionOutOfRange { .. }
                        | SendError::Panicked { .. }
                );
                self.line_failed(number, &error)?;
                if is_fatal {
                    return Err(format!("no line after line {number} can be sent"));
                }
                Ok(())
            }
        }
    }

    fn line_failed(&self, number: u64, error: &dyn Display) -> Result<(), String> {
        self.failures.add(number, error);
        if self.is_sync {
            return Err(stopped_at(number));
        }
        Ok(())
    }

    fn too_long(&self) -> String {
        let limit = self.producer.config().max_request_size();
        format!(
            "the line has more than {} bytes, and a record may have {limit}; raise max.request.size with \
             --producer-property if the broker accepts larger records (not written)",
            self.line_limit()
        )
    }

    /// Closes the producer. Returns true if no record has failed.
    pub(crate) fn close(&self) -> Result<bool, CloseError> {
        self.producer.close()?;
        Ok(self.failures.report_total())
    }

    /// Ends the run after a signal, within limited time.
    pub(crate) fn stop(&self) {
        self.stops.store(true, Ordering::Relaxed);
        console::end_prompt();
        match self.producer.close_timeout(TIME_AFTER_SIGNAL) {
            // Each record is reported by its callback.
            Ok(()) | Err(CloseError::Undelivered { .. }) => {}
            Err(error) => console::report(&format!("{NAME}: {error}")),
        }
        // If a line is being sent, `send` fails now that the producer is closed. Waits until that is reported.
        drop(self.sending.lock());
        self.failures.report_total();
    }
}

fn stopped_at(number: u64) -> String {
    format!("stopped at line {number}: with --sync no line is sent after one that failed")
}

/// The lines whose records were not delivered.
#[derive(Debug, Default)]
struct FailedLines {
    count: AtomicU64,
}

impl FailedLines {
    fn add(&self, number: u64, error: &dyn Display) {
        self.count.fetch_add(1, Ordering::Relaxed);
        console::report(&format!("{NAME}: line {number}: {error}"));
    }

    /// Reports how many lines failed. Returns true if none did.
    fn report_total(&self) -> bool {
        match self.count.load(Ordering::Relaxed) {
            0 => return true,
            1 => console::report(&format!("{NAME}: 1 line failed")),
            count => console::report(&format!("{NAME}: {count} lines failed")),
        }
        false
    }
}
