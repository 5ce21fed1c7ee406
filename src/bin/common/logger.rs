//! Logger that prints the producer's warnings on standard error, as Kafka's tools do.

use log::{LevelFilter, Log, Metadata, Record};

use crate::streams;

struct Logger {
    print: fn(&str),
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LevelFilter::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            (self.print)(&format!("{} {}", record.level(), record.args()));
        }
    }

    fn flush(&self) {}
}

pub(crate) fn install() {
    install_with(streams::print_errors);
}

/// Installs a logger with a function of the tool that prints a line on standard error.
pub(crate) fn install_with(print: fn(&str)) {
    // Cannot fail: this is the only logger of the program.
    if log::set_logger(Box::leak(Box::new(Logger { print }))).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
