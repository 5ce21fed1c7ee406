//! The error of a closed or failed producer: one text and one type that all calls share.

use std::fmt;
use std::sync::Arc;

/// Error text of a call on a producer that the application has closed.
pub(crate) const CLOSED: &str = "the producer is closed";

/// Why a producer failed for good: its sender thread panicked, and every queued and in-flight batch failed with it. The
/// producer cannot be used any more; build another one. Cheap to clone.
///
/// # Kafka
/// No counterpart: Java's I/O thread logs an unexpected exception and goes on with its loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerFailure {
    panic: Arc<str>,
}

impl ProducerFailure {
    pub(crate) fn panicked(message: &str) -> Self {
        Self {
            panic: message.into(),
        }
    }

    /// The message of the panic.
    pub fn panic_message(&self) -> &str {
        &self.panic
    }
}

impl fmt::Display for ProducerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the producer has failed for good, build another one: the sender panicked: {}",
            self.panic
        )
    }
}

impl std::error::Error for ProducerFailure {}
