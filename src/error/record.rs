//! A record that no cluster could take.

use std::fmt;

use crate::types::PartitionId;

/// What is wrong with a record, whatever its topic.
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
    /// It has headers, and a broker of the cluster takes no format that has them.
    HeadersUnsupported {
        /// The newest format that all brokers take.
        magic: u8,
    },
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
            Self::HeadersUnsupported { magic } => write!(
                f,
                "the record has headers, which message format {magic} has not, the newest that all brokers \
                 of the cluster take: they are known since Kafka 0.11; send it without, or upgrade the \
                 brokers"
            ),
        }
    }
}

impl std::error::Error for RecordError {}
