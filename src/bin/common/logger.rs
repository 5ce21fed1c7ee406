//! Logger that prints the producer's warnings on standard error, as Kafka's tools do.

use log::{LevelFilter, Log, Metadata, Record};

use std::io::{Write, stderr};

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LevelFilter::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            // A closed pipe is ignored.
            let _ = writeln!(stderr(), "{} {}", record.level(), record.args());
        }
    }

    fn flush(&self) {}
}

pub(crate) fn install() {
    // Cannot fail: this is the only logger of the program.
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
