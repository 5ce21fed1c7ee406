//! A logger for tests that checks that no lock is held when a line is logged: a logger is user code, which must run
//! without locks.

use std::hint::black_box;

use log::{LevelFilter, Log, Metadata, Record};

use crate::sync;

/// Checks, in debug builds, that this thread holds no lock of the library: for loggers of tests.
///
/// # Panics
/// If it holds a lock.
pub fn assert_unlocked() {
    sync::assert_unlocked();
}

/// Installs a logger for all levels that discards the lines, and panics, in debug builds, when one is logged under a
/// lock. Does nothing if the process has a logger.
pub fn watch_log_lines() {
    if log::set_logger(&Watch).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
}

struct Watch;

impl Log for Watch {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        assert_unlocked();
        true
    }

    fn log(&self, record: &Record<'_>) {
        assert_unlocked();
        black_box(record.args().to_string());
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{Mutex, Rank};

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "user code called")]
    fn a_line_logged_under_a_lock_is_detected() {
        let record = Record::builder().args(format_args!("a line")).build();
        Watch.log(&record);
        let lock = Mutex::new(Rank::LEAF, ());
        let _held = lock.lock();
        Watch.log(&record);
    }
}
