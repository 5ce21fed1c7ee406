//! Journal of broker actions, for a checker to read afterwards.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use super::groups::OffsetsByPartition;
use super::log::Incoming;
use super::plan::Answer;
use crate::error::ErrorCode;
use crate::protocol::{ApiKey, Response, TopicResult};
use crate::testing::stored::{ProducerStamp, StoredBatch, StoredRecordView};
use crate::types::ProducerIdAndEpoch;
use crate::util::crc32c::Crc32c;

/// An event of a broker or of the cluster, with its time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the simulation tests match it exhaustively"
)]
pub struct BrokerNews {
    /// Time since the beginning.
    pub at: Duration,
    /// The broker; `None` for an event of the cluster.
    pub node: Option<i32>,
    /// The event.
    pub what: BrokerEvent,
}

/// An action of a broker, or an event of the cluster.
///
/// Records are identified by the number in the first 8 bytes of their value, or by [`NO_RECORD`] if there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the simulation tests match it exhaustively"
)]
pub enum BrokerEvent {
    /// A batch was written.
    Appended {
        /// The topic's name.
        topic: String,
        /// How often a topic of this name had been created, over all clusters.
        incarnation: u64,
        /// The partition.
        partition: i32,
        /// The offset of the first record.
        base_offset: i64,
        /// The records, in order.
        records: Vec<u64>,
        /// For each record: the hash of key, value and headers, see [`contents_of`].
        contents: Vec<u64>,
        /// For each record: its timestamp in milliseconds.
        timestamps: Vec<i64>,
        /// Producer id, epoch and the first record's sequence number, if the producer is idempotent.
        producer: Option<ProducerStamp>,
        /// Whether the batch belongs to a transaction.
        transactional: bool,
        /// Hash of the bytes that a retry keeps: attributes, timestamps, count and records.
        digest: u64,
    },
    /// A transaction marker was written to a partition.
    Marker {
        /// The topic's name.
        topic: String,
        /// How often a topic of this name had been created.
        incarnation: u64,
        /// The partition.
        partition: i32,
        /// The marker's offset.
        offset: i64,
        /// The producer's id.
        producer_id: i64,
        /// The epoch in the marker.
        epoch: i16,
        /// True if the transaction was committed, false if it was aborted.
        committed: bool,
    },
    /// Offsets of a group were committed with a transaction.
    OffsetsCommitted {
        /// The group's name.
        group: String,
        /// The producer's id.
        producer_id: i64,
        /// Topic, partition and offset.
        offsets: Vec<(String, i32, i64)>,
    },
    /// A transaction coordinator changed the state of a transactional id.
    Coordinated {
        /// The transactional id.
        transactional_id: String,
        /// The producer id after the change.
        producer_id: i64,
        /// The epoch after the change.
        epoch: i16,
        /// The change.
        change: Coordinated,
    },
    /// A duplicate batch arrived.
    Duplicate {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset that the first record got at the first write.
        base_offset: i64,
        /// The records of the duplicate, in order.
        records: Vec<u64>,
    },
    /// The log lost all records from this offset on.
    Truncated {
        /// The topic's name.
        topic: String,
        /// How often a topic of this name had been created.
        incarnation: u64,
        /// The partition.
        partition: i32,
        /// The first lost offset, which is assigned next.
        from_offset: i64,
    },
    /// A topic was deleted, or was lost with its cluster.
    TopicGone {
        /// The topic's name.
        topic: String,
        /// How often a topic of this name had been created.
        incarnation: u64,
    },
    /// A request arrived.
    Request {
        /// Kafka's name of the API.
        api: &'static str,
        /// Its version.
        version: i16,
        /// Size in bytes.
        bytes: usize,
        /// The result: the distinct error names in the response; "closed"; "silent" if no response was requested;
        /// "never answered"; or "cut" if only a part of the response was sent.
        fate: Cow<'static, str>,
    },
    /// A TLS handshake completed.
    Handshake(TlsHandshake),
}

/// A state change of a transactional id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the simulation tests match it exhaustively"
)]
pub enum Coordinated {
    /// A producer was initialized with a new epoch.
    Initialized,
    /// A transaction was opened.
    Opened,
    /// The open transaction is committed.
    Committed,
    /// The open transaction is aborted by its producer.
    Aborted,
    /// The open transaction has timed out and is aborted; its producer is fenced.
    TimedOut,
    /// The open transaction is aborted for another producer; its own is fenced.
    Fenced,
}

/// Properties of a TLS session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    clippy::struct_excessive_bools,
    reason = "the simulation tests match it exhaustively"
)]
pub struct TlsHandshake {
    /// True for TLS 1.3, false for TLS 1.2.
    pub is_newest: bool,
    /// Whether an earlier session was resumed.
    pub is_resumed: bool,
    /// Whether the client sent a certificate.
    pub has_certificate: bool,
    /// Whether the broker sent its valid certificate.
    pub is_trusted: bool,
}

/// Number of a record whose value does not begin with one.
pub const NO_RECORD: u64 = u64::MAX;

/// Collects the actions of brokers.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    events: Vec<BrokerEvent>,
    /// Error names in the response to the current request.
    codes: Cow<'static, str>,
}

impl Journal {
    /// The actions since the last call.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = BrokerEvent> + '_ {
        self.events.drain(..)
    }

    pub(crate) fn appended(
        &mut self,
        topic: &str,
        incarnation: u64,
        partition: i32,
        batch: &StoredBatch,
    ) {
        self.events.push(BrokerEvent::Appended {
            topic: topic.to_owned(),
            incarnation,
            partition,
            base_offset: batch.base_offset(),
            records: numbers(batch),
            contents: batch
                .records()
                .map(|record| contents_of_stored(&record))
                .collect(),
            timestamps: batch.records().map(|record| record.timestamp()).collect(),
            producer: batch.producer(),
            transactional: batch.is_transactional(),
            digest: digest(batch),
        });
    }

    pub(crate) fn marked(
        &mut self,
        (topic, incarnation, partition): (&str, u64, i32),
        offset: i64,
        producer: ProducerIdAndEpoch,
        committed: bool,
    ) {
        self.events.push(BrokerEvent::Marker {
            topic: topic.to_owned(),
            incarnation,
            partition,
            offset,
            producer_id: producer.id,
            epoch: producer.epoch,
            committed,
        });
    }

    pub(crate) fn offsets_committed(
        &mut self,
        group: &str,
        producer: ProducerIdAndEpoch,
        offsets: &OffsetsByPartition,
    ) {
        let offsets = offsets.iter().map(|(place, it)| {
            let topic = place.topic().to_owned();
            (topic, place.partition(), it.offset)
        });
        self.events.push(BrokerEvent::OffsetsCommitted {
            group: group.to_owned(),
            producer_id: producer.id,
            offsets: offsets.collect(),
        });
    }

    pub(crate) fn coordinated(
        &mut self,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        change: Coordinated,
    ) {
        self.events.push(BrokerEvent::Coordinated {
            transactional_id: transactional_id.to_owned(),
            producer_id: producer.id,
            epoch: producer.epoch,
            change,
        });
    }

    pub(crate) fn duplicate(
        &mut self,
        topic: &str,
        partition: i32,
        base_offset: i64,
        sent: Incoming,
    ) {
        let records = match sent {
            Incoming::Batch(batch) => numbers(&StoredBatch::new(batch, None, base_offset, 0, None)),
            // A message set has no producer id, so it is never a duplicate.
            Incoming::MessageSet(_) => Vec::new(),
        };
        self.events.push(BrokerEvent::Duplicate {
            topic: topic.to_owned(),
            partition,
            base_offset,
            records,
        });
    }

    pub(crate) fn truncated(
        &mut self,
        topic: &str,
        incarnation: u64,
        partition: i32,
        from_offset: i64,
    ) {
        self.events.push(BrokerEvent::Truncated {
            topic: topic.to_owned(),
            incarnation,
            partition,
            from_offset,
        });
    }

    pub(crate) fn topic_gone(&mut self, topic: &str, incarnation: u64) {
        self.events.push(BrokerEvent::TopicGone {
            topic: topic.to_owned(),
            incarnation,
        });
    }

    /// Notes the response to the current request.
    pub(crate) fn answered(&mut self, response: &Response) {
        self.codes = codes(response);
    }

    /// Notes a request with its result.
    pub(crate) fn request(&mut self, frame: &Bytes, answer: &Answer) {
        let codes = std::mem::take(&mut self.codes);
        let fate = match answer {
            Answer::Reply(_) => codes,
            Answer::Part { .. } => "cut".into(),
            Answer::Silence => "silent".into(),
            Answer::Close => "closed".into(),
            Answer::Stall => "never answered".into(),
            // The request was not processed.
            Answer::Hang => return,
        };
        let number = |at: usize| match frame.get(at..at + 2) {
            Some(&[high, low]) => i16::from_be_bytes([high, low]),
            _ => -1,
        };
        let api = ApiKey::from_code(number(0)).map_or("unknown", ApiKey::name);
        self.events.push(BrokerEvent::Request {
            api,
            version: number(2),
            bytes: frame.len(),
            fate,
        });
    }
}

/// Hash of a record's key, value and headers.
pub fn contents_of<'a>(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
) -> u64 {
    let (mut one, mut other) = (Crc32c::new(), crc32fast::Hasher::new());
    let mut add = |bytes: &[u8]| {
        one.update(bytes);
        other.update(bytes);
    };
    let mut field = |bytes: Option<&[u8]>| {
        add(&bytes
            .map_or(u64::MAX, |bytes| bytes.len() as u64)
            .to_be_bytes());
        add(bytes.unwrap_or_default());
    };
    field(key);
    field(value);
    for (name, value) in headers {
        field(Some(name.as_bytes()));
        field(value);
    }
    u64::from(one.finish()) << 32 | u64::from(other.finalize())
}

fn contents_of_stored(record: &StoredRecordView<'_>) -> u64 {
    contents_of(record.key(), record.value(), record.headers())
}

pub(crate) fn numbers(batch: &StoredBatch) -> Vec<u64> {
    let number = |value: Option<&[u8]>| {
        let first = value.and_then(|value| value.first_chunk::<8>());
        first.map_or(NO_RECORD, |bytes| u64::from_be_bytes(*bytes))
    };
    batch
        .records()
        .map(|record| number(record.value()))
        .collect()
}

/// Positions in a batch. A retry keeps the bytes from the attributes to the largest timestamp, and all bytes from the
/// record count on. It may change the producer id, epoch and sequence number between them, and the offset, length,
/// leader epoch and checksum before them.
const ATTRIBUTES_AT: usize = 21;
const PRODUCER_AT: usize = 43;
const COUNT_AT: usize = 57;

fn digest(batch: &StoredBatch) -> u64 {
    let bytes = batch.bytes();
    let whole = [&bytes[..]];
    let parts = [
        bytes.get(ATTRIBUTES_AT..PRODUCER_AT).unwrap_or_default(),
        bytes.get(COUNT_AT..).unwrap_or_default(),
    ];
    // A message set has no producer fields.
    let parts = if batch.magic() == 2 {
        &parts[..]
    } else {
        &whole[..]
    };
    let (mut one, mut other) = (Crc32c::new(), crc32fast::Hasher::new());
    for part in parts {
        one.update(part);
        other.update(part);
    }
    u64::from(one.finish()) << 32 | u64::from(other.finalize())
}

fn of_partitions(topics: &[TopicResult]) -> impl Iterator<Item = ErrorCode> {
    let partitions = topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.error)
}

/// The distinct error names in a response.
fn codes(response: &Response) -> Cow<'static, str> {
    let codes: BTreeSet<ErrorCode> = match response {
        Response::Produce(response) => {
            let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            partitions.map(|partition| partition.error).collect()
        }
        Response::Metadata(response) => {
            let topics = response.topics.iter().flat_map(|topic| {
                let partitions = topic.partitions.iter().map(|partition| partition.error);
                partitions.chain([topic.error])
            });
            topics.collect()
        }
        Response::InitProducerId(response) => [response.error].into(),
        Response::FindCoordinator(response) => {
            let coordinators = response.coordinators.iter();
            coordinators.map(|coordinator| coordinator.error).collect()
        }
        Response::AddPartitionsToTxn(response) => of_partitions(&response.topics).collect(),
        Response::TxnOffsetCommit(response) => of_partitions(&response.topics).collect(),
        Response::AddOffsetsToTxn(response) => [response.error].into(),
        Response::EndTxn(response) => [response.error].into(),
        Response::ApiVersions(response) => [response.error].into(),
        _ => BTreeSet::new(),
    };
    let mut errors = codes.iter().filter(|code| **code != ErrorCode::NoError);
    match (errors.next(), errors.next()) {
        (None, _) => ErrorCode::NoError.name().into(),
        (Some(one), None) => one.name().into(),
        _ => {
            let names: Vec<_> = codes.iter().map(|code| code.name()).collect();
            names.join(", ").into()
        }
    }
}

#[cfg(test)]
mod tests;
