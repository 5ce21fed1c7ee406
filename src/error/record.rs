//! A record that no cluster could take.

use std::fmt;

use crate::types::PartitionId;

/// What is wrong with a record before anything is known of its topic.
///
/// # Kafka
/// The `IllegalArgumentException`s of `ProducerRecord`'s constructor. Differs: a record may hold such
/// a value, so that an interceptor can mend it; sending it is what is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordError {
    /// The partition is below zero; leave it unset to have one chosen.
    NegativePartition(PartitionId),
    /// The timestamp is below zero; leave it unset to have the time of the call taken.
    NegativeTimestamp(i64),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NegativePartition(partition) => write!(
                f,
                "invalid partition {partition}: partitions count from 0; leave it unset to have one \
                 chosen"
            ),
            Self::NegativeTimestamp(timestamp) => write!(
                f,
                "invalid timestamp {timestamp}: timestamps are milliseconds since 1970 and not \
                 negative; leave it unset to have the time of the call taken"
            ),
        }
    }
}

impl std::error::Error for RecordError {}
