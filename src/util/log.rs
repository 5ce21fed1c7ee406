//! The `log` crate's macros, with the logger contained. A logger is the user's code and runs on any thread of ours: one
//! that panics (a `println!` into a pipe that is closed) must harm nobody but the line.
//!
//! A line that the logger itself causes, by sending what it is given through a producer, is not written.
//!
//! Each takes a [`LogContext`] before the text, so no line can be without one. All of the library logs through these;
//! `tests/layers.rs` checks it.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use super::panic::run_unheard;

pub(crate) use ::log::{Level, max_level};

/// Whose line it is: what each line of a producer, or of an embedded broker, begins with.
///
/// # Kafka
/// `org.apache.kafka.common.utils.LogContext`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct LogContext(Arc<str>);

impl LogContext {
    /// The context of a producer: `[Producer clientId=orders, transactionalId=payments-1]`.
    pub(crate) fn of_producer(client_id: &str, transactional_id: Option<&str>) -> Self {
        Self(match transactional_id {
            None => format!("[Producer clientId={client_id}]").into(),
            Some(id) => format!("[Producer clientId={client_id}, transactionalId={id}]").into(),
        })
    }

    /// The context of a broker of an embedded cluster.
    #[cfg(feature = "testing")]
    pub(crate) fn of_test_broker(node: i32) -> Self {
        Self(format!("[TestCluster node={node}]").into())
    }

    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self("[test]".into())
    }
}

impl fmt::Display for LogContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for LogContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

thread_local! {
    /// This thread is inside the logger. Needs no drop, so it is there also for the last of a thread's locals.
    static WRITING: Cell<bool> = const { Cell::new(false) };
}

/// Lets the logger have a line, unless it is the logger that caused it: one that sends its lines through a producer would
/// otherwise have another for each, without end.
#[cold]
pub(crate) fn write(line: impl FnOnce()) {
    if WRITING.replace(true) {
        return;
    }
    run_unheard(line);
    WRITING.set(false);
}

macro_rules! contained {
    ($level:expr, $context:expr, $($line:tt)+) => {{
        let level = $level;
        // What nobody wants costs a comparison, as in the macros themselves.
        if level <= ::log::STATIC_MAX_LEVEL && level <= ::log::max_level() {
            let context: &$crate::util::log::LogContext = &$context;
            $crate::util::log::write(|| ::log::log!(level, "{context} {}", format_args!($($line)+)));
        }
    }};
}

macro_rules! error {
    ($($line:tt)+) => { $crate::util::log::log!(::log::Level::Error, $($line)+) };
}

macro_rules! warning {
    ($($line:tt)+) => { $crate::util::log::log!(::log::Level::Warn, $($line)+) };
}

macro_rules! info {
    ($($line:tt)+) => { $crate::util::log::log!(::log::Level::Info, $($line)+) };
}

macro_rules! debug {
    ($($line:tt)+) => { $crate::util::log::log!(::log::Level::Debug, $($line)+) };
}

macro_rules! trace {
    ($($line:tt)+) => { $crate::util::log::log!(::log::Level::Trace, $($line)+) };
}

pub(crate) use contained as log;
// A macro of that name cannot be told from the attribute before it is imported.
pub(crate) use warning as warn;
pub(crate) use {debug, error, info, trace};
