//! A look at every line that is written into the log: a logger is the user's code, and none of that runs while
//! one of the library's locks is held.

use std::hint::black_box;

use log::{LevelFilter, Log, Metadata, Record};

use crate::sync;

/// Checks, in debug builds, that this thread holds no lock of the library: for loggers of tests.
///
/// # Panics
/// If it holds one.
pub fn assert_unlocked() {
    sync::assert_unlocked();
}

/// Gives the process a logger that wants every line and panics, in debug builds, when one is written while a
/// lock is held. Nothing becomes of the lines. Does nothing where the process has a logger.
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
    fn a_line_that_is_written_under_a_lock_is_found() {
        let record = Record::builder().args(format_args!("a line")).build();
        Watch.log(&record);
        let lock = Mutex::new(Rank::LEAF, ());
        let _held = lock.lock();
        Watch.log(&record);
    }
}
