//! Why there is no metadata.

use std::fmt;
use std::sync::Arc;

use crate::types::NodeId;

/// Why no metadata can be had at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FatalMetadataError {
    /// The brokers refuse the client's credentials.
    Authentication(Arc<str>),
    /// The brokers are too old, or too new.
    UnsupportedVersion(Arc<str>),
}

/// Why an update of the metadata failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MetadataFailure {
    /// The connection ended before the answer, or before the question.
    Disconnected(Arc<str>),
    /// The answer named no broker.
    NoBrokers,
    /// The answer named brokers, of which none has a number and a port that can be; the first of them.
    UnusableBrokers(Arc<str>),
    /// It could not be asked for: the only broker there is a connection to wants the client to pause.
    Throttled(NodeId),
    /// The broker refused the client's credentials: waiters are told.
    Authentication(Arc<str>),
    /// The broker knows no version of the request that can carry it: waiters are told.
    UnsupportedVersion(Arc<str>),
}

impl MetadataFailure {
    /// What it says, if that keeps all metadata away.
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
                "the broker's answer named no broker with a number from 0 on and a port that there is, but {first}: \
                 look at its advertised.listeners"
            ),
            Self::NoBrokers => write!(f, "the broker's answer named no broker"),
            Self::Authentication(why) => write!(f, "authentication failed: {why}"),
            Self::UnsupportedVersion(why) => write!(f, "{why}"),
        }
    }
}
