//! The error of reloading the files of TLS.

use std::fmt;

use super::{CLOSED, ConfigError, Misuse};

/// Why the files of TLS could not be reloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReloadTlsError {
    /// The producer is closed.
    Closed,
    /// The call was made inside a callback of the producer, or in a process that was forked.
    Misuse(Misuse),
    /// A file cannot be used; new connections use its earlier content. The other file, if `error` does not name it, was
    /// read, and is used if it has changed.
    #[non_exhaustive]
    Refused {
        /// The files that cannot be used, and why.
        error: ConfigError,
        /// True if new connections use another key or client certificate than before the call.
        key_store_changed: bool,
        /// True if new connections use another trust store than before the call.
        trust_store_changed: bool,
    },
}

impl fmt::Display for ReloadTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str(CLOSED),
            Self::Misuse(misuse) => misuse.fmt(f),
            Self::Refused { error, .. } => write!(
                f,
                "not every file of TLS is used, new connections use the earlier content of those that are refused: \
                 {error}"
            ),
        }
    }
}

impl std::error::Error for ReloadTlsError {}
