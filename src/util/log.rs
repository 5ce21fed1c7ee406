//! Log macros: those of the `log` crate, with panics of the logger caught. A logger is user code that runs on the
//! library's threads. If it panics, for example because of a `println!` to a closed pipe, nothing but the line may be
//! lost.
//!
//! Recursion guard: a line that the logger itself causes, by sending its lines through a producer, is not written.
//!
//! A line stays one line, whatever the texts in it contain: control characters are escaped.
//!
//! Each macro takes a [`LogContext`] before the text, so that every line has one. `tests/layers.rs` checks that the
//! whole library logs by these macros.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use super::foreign_text::printable;
use super::panic::run_unheard;

pub(crate) use ::log::{Level, max_level};

/// Prefix of all log lines of a producer, or of an embedded broker.
///
/// # Kafka
/// `org.apache.kafka.common.utils.LogContext`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct LogContext(Arc<str>);

impl LogContext {
    /// The prefix of a producer: `[Producer clientId=orders, transactionalId=payments-1]`.
    pub(crate) fn of_producer(client_id: &str, transactional_id: Option<&str>) -> Self {
        // Kafka accepts any name: one with a line break must not split each line.
        let client_id = printable(client_id);
        Self(match transactional_id.map(printable) {
            None => format!("[Producer clientId={client_id}]").into(),
            Some(id) => format!("[Producer clientId={client_id}, transactionalId={id}]").into(),
        })
    }

    /// The prefix of a broker of an embedded cluster.
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
    /// True while this thread is inside the logger. Has no destructor, so that it can be used while other thread-locals
    /// are destroyed.
    static WRITING: Cell<bool> = const { Cell::new(false) };
}

/// Runs the logger for a line, unless this thread is inside the logger already: a logger that sends its lines through a
/// producer would otherwise recurse without end.
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
        // A line whose level is off costs one comparison, as with the `log` crate's own macros.
        if level <= ::log::STATIC_MAX_LEVEL && level <= ::log::max_level() {
            let context: &$crate::util::log::LogContext = &$context;
            $crate::util::log::write(|| {
                ::log::log!(level, "{context} {}", $crate::util::foreign_text::OneLine(format_args!($($line)+)));
            });
        }
    }};
}

/// Logs a heading and one indented line per item, as one record at level info, under this target.
macro_rules! list {
    ($target:expr, $context:expr, $heading:expr, $items:expr) => {{
        let level = ::log::Level::Info;
        if level <= ::log::STATIC_MAX_LEVEL && level <= ::log::max_level() {
            let context: &$crate::util::log::LogContext = &$context;
            let items: Vec<String> = $items
                .map(|item| format!("\n\t{}", $crate::util::foreign_text::printable(item)))
                .collect();
            $crate::util::log::write(|| {
                ::log::log!(target: $target, level, "{context} {}:{}", $heading, items.concat())
            });
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
// `warn` is also a built-in attribute, so a macro of that name is ambiguous until it is imported.
pub(crate) use warning as warn;
pub(crate) use {debug, error, info, list, trace};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_line_break_does_not_split_the_prefix() {
        let log = LogContext::of_producer("a\nERROR", Some("b\u{1b}"));
        assert_eq!(
            log.to_string(),
            "[Producer clientId=a\\nERROR, transactionalId=b\\u{1b}]"
        );
    }
}
