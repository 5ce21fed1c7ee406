//! Invalid records: no topic could accept them.

use std::fmt;

use crate::types::PartitionId;

/// Why a record is invalid, whatever its topic.
///
/// # Kafka
/// The `IllegalArgumentException`s of `ProducerRecord`'s constructor. Differs: a record may be built with such a value,
/// so that an interceptor can correct it; `send` rejects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordError {
    /// The partition is negative; leave it unset to have the partitioner choose one.
    NegativePartition(PartitionId),
    /// The timestamp is negative; leave it unset to use the time of the call.
    NegativeTimestamp(i64),
    /// The record has headers, and a broker of the cluster supports no message format with headers.
    HeadersUnsupported {
        /// The newest message format that all brokers support.
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
                "the record has headers, which message format {magic} does not support, the newest that all brokers \
                 of the cluster accept: headers need Kafka 0.11; send it without, or upgrade the \
                 brokers"
            ),
        }
    }
}

impl std::error::Error for RecordError {}
