//! Errors of metadata updates.

use std::fmt;
use std::sync::Arc;

use crate::types::NodeId;

/// Error that prevents every update, and that fails all waiters at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FatalMetadataError {
    /// Authentication failed.
    Authentication(Arc<str>),
    /// Client and brokers share no version of the Metadata request.
    UnsupportedVersion(Arc<str>),
}

/// Why a metadata update failed, or is delayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MetadataFailure {
    /// Disconnected before the response, or before the request could be sent.
    Disconnected(Arc<str>),
    /// The response listed no broker.
    NoBrokers,
    /// No broker in the response has a valid node id and port. Holds the first broker, for the error text.
    UnusableBrokers(Arc<str>),
    /// Delayed: the only connected broker throttles this client.
    Throttled(NodeId),
    /// Authentication failed; fatal.
    Authentication(Arc<str>),
    /// Client and broker share no version that can carry the request; fatal.
    UnsupportedVersion(Arc<str>),
}

impl MetadataFailure {
    /// The corresponding fatal error; `None` if this failure is not fatal.
    pub(crate) fn as_fatal(&self) -> Option<FatalMetadataError> {
        match self {
            Self::Authentication(why) => Some(FatalMetadataError::Authentication(Arc::clone(why))),
            Self::UnsupportedVersion(why) => {
                Some(FatalMetadataError::UnsupportedVersion(Arc::clone(why)))
            }
            Self::Disconnected(_)
            | Self::NoBrokers
            | Self::UnusableBrokers(_)
            | Self::Throttled(_) => None,
        }
    }
}

impl fmt::Display for MetadataFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected(why) => write!(f, "disconnected: {why}"),
            Self::Throttled(node) => write!(
                f,
                "it could not be sent, because broker {node} is throttling this client"
            ),
            Self::UnusableBrokers(first) => write!(
                f,
                "the broker's response lists no broker with a valid node id and port, but {first}: check its \
                 advertised.listeners"
            ),
            Self::NoBrokers => write!(f, "the broker's response lists no broker"),
            Self::Authentication(why) => write!(f, "authentication failed: {why}"),
            Self::UnsupportedVersion(why) => write!(f, "{why}"),
        }
    }
}
