//! Plug-ins: the parts of a producer that are user code.

use std::fmt;
use std::sync::Arc;

use super::CLOSED;

/// A part of a producer that is user code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PluginKind {
    /// Serializes keys.
    KeySerializer,
    /// Serializes values.
    ValueSerializer,
    /// Chooses partitions.
    Partitioner,
    /// Intercepts every record before it is sent, and every acknowledgement.
    Interceptor,
    /// Receives the cluster id (Kafka's `ClusterResourceListener`).
    ClusterListener,
    /// Supplies tokens for OAUTHBEARER.
    TokenProvider,
    /// Is notified of metrics that are registered or removed.
    MetricsReporter,
}

impl fmt::Display for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeySerializer => "key serializer",
            Self::ValueSerializer => "value serializer",
            Self::Partitioner => "partitioner",
            Self::Interceptor => "interceptor",
            Self::ClusterListener => "cluster listener",
            Self::TokenProvider => "token provider",
            Self::MetricsReporter => "metrics reporter",
        })
    }
}

/// Why metrics reporters could not be reconfigured.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReconfigureError {
    /// The producer is closed.
    Closed,
    /// Another reconfiguration is in progress: on another thread, or further up the stack of this thread.
    UnderWay,
    /// No reporter can reconfigure this key while the producer runs. Nothing was changed.
    NotReconfigurable {
        /// The key.
        key: String,
    },
    /// A reporter rejected the settings when they were validated. Nothing was changed.
    Refused {
        /// The reporter and its error.
        why: Arc<str>,
    },
    /// A reporter accepted the settings and then failed to apply them. The other reporters have applied them.
    Failed {
        /// The reporter and its error.
        why: Arc<str>,
    },
}

impl fmt::Display for ReconfigureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str(CLOSED),
            Self::UnderWay => f.write_str(
                "the metrics reporters are being reconfigured by another call. Try again when it has returned",
            ),
            Self::NotReconfigurable { key } => write!(
                f,
                "{key}: no metrics reporter takes another value while the producer runs. Leave the key out, or build \
                 another producer"
            ),
            Self::Refused { why } => write!(f, "nothing was changed: {why}"),
            Self::Failed { why } => write!(f, "not all metrics reporters have the new settings: {why}"),
        }
    }
}

impl std::error::Error for ReconfigureError {}
