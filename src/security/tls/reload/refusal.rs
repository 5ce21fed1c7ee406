//! The reasons for which a file is not used.

use crate::error::ConfigError;

/// The reason for which a file is not used.
#[derive(Debug)]
pub(in crate::security::tls) enum FileRefusal {
    /// The content cannot be used. The same content would be refused again.
    Content(ConfigError),
    /// A reason that may pass without a change of the file: an error of reading it, the time, or the cryptography
    /// provider.
    Passing(ConfigError),
}

impl FileRefusal {
    pub(in crate::security::tls) fn into_error(self) -> ConfigError {
        match self {
            Self::Content(error) | Self::Passing(error) => error,
        }
    }

    pub(super) fn error(&self) -> &ConfigError {
        match self {
            Self::Content(error) | Self::Passing(error) => error,
        }
    }

    pub(super) fn map(self, change: impl FnOnce(ConfigError) -> ConfigError) -> Self {
        match self {
            Self::Content(error) => Self::Content(change(error)),
            Self::Passing(error) => Self::Passing(change(error)),
        }
    }
}
