//! The producer's warnings on standard error, as Kafka's tools show them.

use log::{LevelFilter, Log, Metadata, Record};

use crate::console;

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LevelFilter::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            console::err(&format!("{} {}", record.level(), record.args()));
        }
    }

    fn flush(&self) {}
}

pub(crate) fn install() {
    // This program installs no other.
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
