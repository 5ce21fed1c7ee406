//! Sends lines as records, and reports those that fail.

use std::fmt::Display;
use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::{CloseError, KafkaProducer, SendError};
use parking_lot::{Mutex, MutexGuard};

use crate::console;
use crate::line_format::LineFormat;
use crate::line_outcomes::LineOutcomes;
use crate::line_reader::{LineReader, NextLine};
use crate::usage::NAME;

/// How long lines may still be sent, and their records delivered, after a signal.
pub(crate) const TIME_AFTER_SIGNAL: Duration = Duration::from_secs(5);
/// How long a line may still be sent after a second signal: a call of `send` that takes longer waits for metadata or
/// memory.
pub(crate) const TIME_AFTER_SECOND_SIGNAL: Duration = Duration::from_millis(100);

/// How long a signal is waited for after a failed read. After a hang-up of the terminal the read may fail first.
const LATE_SIGNAL: Duration = Duration::from_millis(250);

/// How much longer than `max.request.size` a line may be, in bytes: its separators are not part of the record.
const SEPARATORS_MAX: usize = 64 * 1024;

/// The reading thread calls [`send_all`](Self::send_all). After a signal another thread calls [`stop`](Self::stop)
/// while the reading thread still runs, and then [`report_position`](Self::report_position).
pub(crate) struct LineSender {
    producer: KafkaProducer<[u8], [u8]>,
    format: LineFormat,
    is_sync: bool,
    /// Set by a signal: no more lines are sent.
    stops: AtomicBool,
    /// Held from the time a line is read until it is sent, with `--sync` until it has a result, and until its failure
    /// is reported.
    line: Mutex<()>,
    /// Held while `send` is called, which may wait for metadata or memory. Locked after `line`.
    sending: Mutex<()>,
    /// Why `send` has waited for all of the time after a signal.
    obstacle: Mutex<Option<String>>,
    /// How many bytes of a line were read whose end was not.
    unfinished: Arc<AtomicU64>,
    outcomes: Arc<LineOutcomes>,
    /// True if the last lines are printed. Held while they are printed.
    is_reported: Mutex<bool>,
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
            line: Mutex::new(()),
            sending: Mutex::new(()),
            obstacle: Mutex::new(None),
            unfinished: Arc::default(),
            outcomes: Arc::default(),
            is_reported: Mutex::new(false),
        }
    }

    /// Sends all lines of the input, waits for their results, and closes the producer. Returns true if all lines were
    /// read and delivered. If not, the reason is reported, unless it is a signal.
    pub(crate) fn send_all(&self, input: impl BufRead, is_interactive: bool) -> bool {
        let mut lines = LineReader::new(input, self.line_limit());
        lines = lines.showing(Arc::clone(&self.unfinished));
        let is_complete = self.send_lines(&mut lines, is_interactive);
        console::end_prompt();
        // Before `close`, so that a signal can cut the wait short. Failed records are reported by callbacks.
        let _ = self.producer.flush();
        if self.stops.load(Ordering::Relaxed) {
            return false;
        }
        let closed = self.producer.close();
        if let Err(error) = &closed {
            report_error(&error.to_string());
        }
        let is_delivered = if is_complete {
            self.outcomes.report_total()
        } else {
            self.report_position();
            false
        };
        is_delivered && closed.is_ok()
    }

    /// Whether a signal ends the run, or does so within [`LATE_SIGNAL`].
    fn stops_soon(&self) -> bool {
        let until = Instant::now() + LATE_SIGNAL;
        while !self.stops.load(Ordering::Relaxed) {
            if Instant::now() >= until {
                return false;
            }
            thread::sleep(LATE_SIGNAL / 50);
        }
        true
    }

    fn line_limit(&self) -> usize {
        let largest = self.producer.config().max_request_size();
        largest.saturating_add(SEPARATORS_MAX)
    }

    fn send_lines(&self, lines: &mut LineReader<impl BufRead>, is_interactive: bool) -> bool {
        for number in 1.. {
            if is_interactive {
                console::prompt();
            }
            let line = match lines.next_line() {
                Ok(NextLine::EndOfInput) => break,
                Ok(NextLine::Line(line)) => Some(line),
                Ok(NextLine::TooLong) => None,
                Err(error) => {
                    if !self.stops_soon() {
                        console::end_prompt();
                        report_error(&format!("standard input cannot be read: {error}"));
                    }
                    return false;
                }
            };
            console::line_is_read();
            let _line = self.line.lock();
            let sending = self.sending.lock();
            // Under the lock, which `stop` takes before it closes the producer: the line would fail.
            if self.stops.load(Ordering::Relaxed) {
                break;
            }
            self.outcomes.begin(number);
            let sent = match line {
                Some(line) => self.send(number, line, sending),
                None => self.line_failed(number, &self.too_long()),
            };
            if let Err(why) = sent {
                // At once and under the lock: a signal during the flush ends the process.
                report_error(&why);
                return false;
            }
        }
        true
    }

    /// Sends one line. An error is the reason why no later line is sent.
    fn send(&self, number: u64, line: &[u8], sending: MutexGuard<'_, ()>) -> Result<(), String> {
        let record = match self.format.parse(line) {
            Ok(record) => record,
            Err(error) => {
                self.outcomes.refused(number, &error);
                return Err(format!("no line after line {number} is sent"));
            }
        };
        let outcomes = Arc::clone(&self.outcomes);
        let sent = self.producer.send_with_callback(record, move |outcome| {
            outcomes.completed(number, outcome.err());
        });
        drop(sending);
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
                let obstacle = self.obstacle.lock().take();
                match obstacle {
                    // That the producer is closed is a consequence.
                    Some(why) => self.line_failed(number, &why)?,
                    None => self.line_failed(number, &error)?,
                }
                if is_fatal {
                    return Err(format!("no line after line {number} can be sent"));
                }
                Ok(())
            }
        }
    }

    fn line_failed(&self, number: u64, error: &dyn Display) -> Result<(), String> {
        self.outcomes.refused(number, error);
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

    /// Ends the run after a signal. Lines may still be sent, and their records delivered, for `time`. Blocks for longer
    /// only if reports cannot be printed.
    pub(crate) fn stop(&self, time: Duration) {
        let began = Instant::now();
        self.stops.store(true, Ordering::Relaxed);
        console::end_prompt();
        // A line that waits for metadata or memory has the same time as records that are queued: a closed producer
        // would refuse it at once.
        if self.sending.try_lock_for(time).is_none() {
            *self.obstacle.lock() = Some(self.obstacle(time));
        }
        let left = time.saturating_sub(began.elapsed());
        match self.producer.close_timeout(left) {
            // Each record is reported by its callback.
            Ok(()) | Err(CloseError::Undelivered { .. }) => {}
            Err(error) => console::report(&format!("{NAME}: {error}")),
        }
        // If a line is being sent, `send` fails now that the producer is closed. Waits until that is reported.
        drop(self.line.lock());
    }

    /// Why `send` still waits, `time` after a signal.
    fn obstacle(&self, time: Duration) -> String {
        let missing = self.producer.missing_metadata(&self.format.topic);
        let why = missing.unwrap_or_else(|| {
            "buffer.memory is used up, because the brokers do not acknowledge the records before it".to_owned()
        });
        let limit = if time == TIME_AFTER_SECOND_SIGNAL {
            "before the second signal".to_owned()
        } else {
            format!("within {} s of the signal", time.as_secs())
        };
        format!("it could not be sent {limit}: {why} (not written)")
    }

    /// Reports where reading has stopped, so that the rest of the input can be sent later. Has no effect after the
    /// first call: two signals may end the run at the same time.
    pub(crate) fn report_position(&self) {
        let mut is_reported = self.is_reported.lock();
        if !*is_reported {
            let unfinished = self.unfinished.load(Ordering::Relaxed);
            self.outcomes.report_position(unfinished);
            *is_reported = true;
        }
    }
}

fn report_error(why: &str) {
    console::report(&format!("{NAME}: error: {why}"));
}

fn stopped_at(number: u64) -> String {
    format!("stopped at line {number}: with --sync no line is sent after one that failed")
}
