//! The state of a topic's metadata, for error messages.

use std::fmt;
use std::time::Duration;

use crate::client::metadata::{
    Awaited, AwaitedBroker, FatalMetadataError, MetadataFailure, TopicError,
};
use crate::clock::Instant;
use crate::error::ErrorCode;
use crate::types::PartitionId;

/// The state of a topic's metadata, for the error of a call that timed out while waiting for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicState {
    /// The number of known partitions; `None` if the topic is unknown.
    pub(crate) partitions: Option<usize>,
    /// The number of partitions without a leader.
    pub(crate) leaderless: usize,
    /// Whether a response has confirmed that there are no more partitions.
    pub(crate) are_all_known: bool,
    /// The error code of the last response that contained the topic, unless a metadata request has failed since.
    pub(crate) last_code: Option<ErrorCode>,
    /// The age of that response, if it arrived before the wait began.
    pub(crate) response_age: Option<Duration>,
    /// Why the last attempt to get metadata failed, if it did.
    pub(crate) last_failure: Option<MetadataFailure>,
    /// The brokers that a due or in-flight metadata request waits for.
    pub(crate) awaited: Vec<AwaitedBroker>,
    /// The time at which this state was read.
    pub(crate) at: Instant,
}

impl TopicState {
    /// Whether a response shows that the topic, or its partition `wanted`, does not exist; false if no broker was
    /// reached, or none has the topic's metadata yet.
    pub(crate) fn is_missing(&self, wanted: Option<PartitionId>) -> bool {
        let is_missing = match self.last_code {
            Some(code) => code == ErrorCode::UnknownTopicOrPartition,
            None => self.are_all_known && wanted.is_some_and(|wanted| !self.has(wanted)),
        };
        is_missing && self.last_failure.is_none()
    }

    /// Whether the partition is known.
    fn has(&self, partition: PartitionId) -> bool {
        let index = usize::try_from(partition);
        index.is_ok_and(|index| self.partitions.is_some_and(|count| index < count))
    }

    /// The topic's error, if it is not retriable.
    pub(crate) fn refused(&self) -> Option<TopicError> {
        match self.last_code? {
            ErrorCode::InvalidTopicException => Some(TopicError::Invalid),
            ErrorCode::TopicAuthorizationFailed => Some(TopicError::Unauthorized),
            _ => None,
        }
    }

    /// The fatal error that prevents all metadata updates, if there is one.
    pub(crate) fn fatal(&self) -> Option<FatalMetadataError> {
        self.last_failure.as_ref()?.as_fatal()
    }
}

impl fmt::Display for TopicState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.last_code, self.partitions) {
            (Some(code), _) => match self.response_age {
                None => write!(f, "the brokers answered {code}")?,
                Some(ago) => write!(f, "the brokers answered {code} {} ms ago", ago.as_millis())?,
            },
            (None, Some(count)) if self.leaderless > 0 => {
                write!(
                    f,
                    "{} of {count} partitions have no leader",
                    self.leaderless
                )?;
            }
            (None, Some(count)) => write!(f, "the topic has {count} partitions")?,
            (None, None) => write!(f, "no broker has described the topic yet")?,
        }
        let failure = self.last_failure.as_ref().map(ToString::to_string);
        if let Some(failure) = &failure {
            write!(f, "; the last request for metadata failed: {failure}")?;
        }
        if self.awaited.is_empty() {
            return Ok(());
        }
        let awaited = Awaited {
            brokers: &self.awaited,
            now: self.at,
            preceding: failure.as_deref().unwrap_or_default(),
        };
        write!(f, "; metadata is awaited from {awaited}")
    }
}
