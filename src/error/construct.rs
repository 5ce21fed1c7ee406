//! Why a producer could not be built.

use std::fmt;

use super::{ConfigError, PluginKind, SharedError};

/// Why a producer could not be built. All parts that had been started are stopped again.
///
/// ```
/// use kafka_producer::{ConstructError, KafkaProducer, ProducerConfig};
///
/// // Without `bootstrap.servers` a configuration is valid, but no producer can be built from it.
/// let built = KafkaProducer::<str, str>::new(ProducerConfig::builder().build()?);
/// assert!(matches!(built, Err(ConstructError::Config(error)) if error.key() == Some("bootstrap.servers")));
/// # Ok::<(), kafka_producer::ConfigError>(())
/// ```
///
/// # Kafka
/// The `KafkaException` "Failed to construct kafka producer".
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ConstructError {
    /// The configuration is wrong.
    Config(ConfigError),
    /// A part of the producer could not be created.
    Failed {
        /// The part.
        step: ConstructStep,
        /// Its error.
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
            Self::Config(error) => error.source(),
            Self::Failed { source, .. } => source.source(),
        }
    }
}

impl From<ConfigError> for ConstructError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

/// A part of the producer whose creation may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConstructStep {
    /// A plug-in: creating it, configuring it, or getting its cluster listener.
    Plugin(PluginKind),
    /// The codec of `compression.type`.
    Codec,
    /// The network client: the process has run out of file descriptors, for example.
    NetworkClient,
    /// The sender thread.
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
