//! Why a producer could not be built.

use std::fmt;

use super::{ConfigError, PluginKind, SharedError};

/// Why a producer could not be built. Whatever had been started was stopped again.
///
/// # Kafka
/// The `KafkaException` "Failed to construct kafka producer".
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ConstructError {
    /// The configuration is wrong.
    Config(ConfigError),
    /// A part of the producer failed to start.
    Failed {
        /// Which.
        step: ConstructStep,
        /// What it said.
        source: SharedError,
    },
}

impl fmt::Display for ConstructError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Failed { step, source } => {
                write!(f, "the producer could not be built: {step}: {source}")
            }
        }
    }
}

impl std::error::Error for ConstructError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Failed { source, .. } => Some(&**source),
        }
    }
}

impl From<ConfigError> for ConstructError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

/// What is made when a producer is built, and may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConstructStep {
    /// Code of the user's was to be made, configured, or asked for a listener.
    Plugin(PluginKind),
    /// The codec of `compression.type`.
    Codec,
    /// The connections: the system has no more file descriptors, say.
    NetworkClient,
    /// The producer's own thread.
    SenderThread,
}

impl fmt::Display for ConstructStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plugin(kind) => return kind.fmt(f),
            Self::Codec => "codec",
            Self::NetworkClient => "network client",
            Self::SenderThread => "sender thread",
        })
    }
}
