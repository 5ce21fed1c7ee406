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
    /// A file cannot be used; new connections use its earlier content. If only one of two files is named, the other was
    /// read, and is used if it has changed.
    Refused(ConfigError),
}

impl fmt::Display for ReloadTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str(CLOSED),
            Self::Misuse(misuse) => misuse.fmt(f),
            Self::Refused(error) => write!(
                f,
                "the file is not used, new connections use its earlier content: {error}"
            ),
        }
    }
}

impl std::error::Error for ReloadTlsError {}
