//! What brokers did, for a checker that looks at it afterwards.

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

/// Something that a broker did, or that happened to the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the simulator takes it apart")]
pub struct BrokerNews {
    /// Since the beginning.
    pub at: Duration,
    /// The broker; none if it was not one of them.
    pub node: Option<i32>,
    /// What it was.
    pub what: BrokerDeed,
}

/// What a broker did, or what happened to the cluster.
///
/// A record is told by the number in the first 8 bytes of its value; [`NO_RECORD`] where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the simulator takes it apart")]
pub enum BrokerDeed {
    /// A batch was written.
    Appended {
        /// The topic's name.
        topic: String,
        /// How often a topic of this name had been made, over all clusters.
        incarnation: u64,
        /// The partition.
        partition: i32,
        /// The offset of the first record.
        base_offset: i64,
        /// The records, in order.
        records: Vec<u64>,
        /// Of each record: what its key, value and headers are, as [`contents_of`] puts it.
        contents: Vec<u64>,
        /// Of each record: its timestamp, in milliseconds.
        timestamps: Vec<i64>,
        /// Who wrote it, if the producer was idempotent; the sequence is that of the first record.
        producer: Option<ProducerStamp>,
        /// It is part of a transaction.
        transactional: bool,
        /// Of all bytes that are the same when the batch is sent again: attributes, times, count and records.
        digest: u64,
    },
    /// The end of a transaction was written to a partition.
    Marker {
        /// The topic's name.
        topic: String,
        /// How often a topic of this name had been made.
        incarnation: u64,
        /// The partition.
        partition: i32,
        /// Where it stands.
        offset: i64,
        /// The producer's id.
        producer_id: i64,
        /// The epoch that it was written with.
        epoch: i16,
        /// What is of the transaction is to be seen.
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
    /// A transaction coordinator changed what it keeps of a transactional id.
    Coordinated {
        /// The id.
        transactional_id: String,
        /// The producer's id after that.
        producer_id: i64,
        /// Its epoch after that.
        epoch: i16,
        /// What it was.
        did: Coordinated,
    },
    /// A batch that came had been written before.
    Duplicate {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset of the first record that was written before.
        base_offset: i64,
        /// The records that came, in order.
        records: Vec<u64>,
    },
    /// The log lost what it had from this offset on.
    Truncated {
        /// The topic's name.
        topic: String,
        /// How often a topic of this name had been made.
        incarnation: u64,
        /// The partition.
        partition: i32,
        /// The first offset that is lost, which is the next one now.
        from_offset: i64,
    },
    /// A topic was deleted, or was left behind with its cluster.
    TopicGone {
        /// Its name.
        topic: String,
        /// How often a topic of this name had been made.
        incarnation: u64,
    },
    /// A request came.
    Request {
        /// Kafka's name of its kind.
        api: &'static str,
        /// Its version.
        version: i16,
        /// How long it was.
        bytes: usize,
        /// What became of it: the names of the error codes of its answer, each once; "closed", "silent" where an answer
        /// was not asked for, "never answered", and "cut" where only a part of the answer was sent.
        fate: Cow<'static, str>,
    },
    /// A handshake of TLS came to its end, and requests may follow.
    Handshake(TlsHandshake),
}

/// What a transaction coordinator did with a transactional id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums, reason = "the simulator takes it apart")]
pub enum Coordinated {
    /// A producer was given the id, with a new epoch.
    Initialized,
    /// A transaction is open from now on.
    Opened,
    /// The open transaction is committed.
    Committed,
    /// The open transaction is aborted, as its producer has asked.
    Aborted,
    /// The open transaction is aborted, as its time is over; its producer is fenced.
    TimedOut,
    /// The open transaction is aborted for another producer; its own is fenced.
    Fenced,
}

/// What a session of TLS is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    clippy::struct_excessive_bools,
    reason = "the simulator takes it apart"
)]
pub struct TlsHandshake {
    /// It is TLS 1.3, and not 1.2.
    pub is_newest: bool,
    /// An earlier session was taken up again.
    pub is_resumed: bool,
    /// The client has shown a certificate.
    pub has_certificate: bool,
    /// The broker has shown the certificate that it should, and not one that no client may take.
    pub is_trusted: bool,
}

/// A record whose value does not begin with a number.
pub const NO_RECORD: u64 = u64::MAX;

/// Takes down what brokers do.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    deeds: Vec<BrokerDeed>,
    /// The codes of the answer that is being made.
    codes: Cow<'static, str>,
}

impl Journal {
    /// What was taken down since the last time.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = BrokerDeed> + '_ {
        self.deeds.drain(..)
    }

    pub(crate) fn appended(
        &mut self,
        topic: &str,
        incarnation: u64,
        partition: i32,
        batch: &StoredBatch,
    ) {
        self.deeds.push(BrokerDeed::Appended {
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
        self.deeds.push(BrokerDeed::Marker {
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
        self.deeds.push(BrokerDeed::OffsetsCommitted {
            group: group.to_owned(),
            producer_id: producer.id,
            offsets: offsets.collect(),
        });
    }

    pub(crate) fn coordinated(
        &mut self,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        did: Coordinated,
    ) {
        self.deeds.push(BrokerDeed::Coordinated {
            transactional_id: transactional_id.to_owned(),
            producer_id: producer.id,
            epoch: producer.epoch,
            did,
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
            // No message set has a producer by which it could be known again.
            Incoming::MessageSet(_) => Vec::new(),
        };
        self.deeds.push(BrokerDeed::Duplicate {
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
        self.deeds.push(BrokerDeed::Truncated {
            topic: topic.to_owned(),
            incarnation,
            partition,
            from_offset,
        });
    }

    pub(crate) fn topic_gone(&mut self, topic: &str, incarnation: u64) {
        self.deeds.push(BrokerDeed::TopicGone {
            topic: topic.to_owned(),
            incarnation,
        });
    }

    /// The request that came last is answered with this.
    pub(crate) fn answered(&mut self, response: &Response) {
        self.codes = codes(response);
    }

    /// What became of a request, when it is known.
    pub(crate) fn request(&mut self, frame: &Bytes, answer: &Answer) {
        let codes = std::mem::take(&mut self.codes);
        let fate = match answer {
            Answer::Reply(_) => codes,
            Answer::Part { .. } => "cut".into(),
            Answer::Silence => "silent".into(),
            Answer::Close => "closed".into(),
            Answer::Stall => "never answered".into(),
            // It was not looked at.
            Answer::Hang => return,
        };
        let number = |at: usize| match frame.get(at..at + 2) {
            Some(&[high, low]) => i16::from_be_bytes([high, low]),
            _ => -1,
        };
        let api = ApiKey::from_code(number(0)).map_or("unknown", ApiKey::name);
        self.deeds.push(BrokerDeed::Request {
            api,
            version: number(2),
            bytes: frame.len(),
            fate,
        });
    }
}

/// A number for what a record holds besides its place and time, by which two can be told apart.
pub fn contents_of<'a>(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
) -> u64 {
    let (mut one, mut other) = (0, crc32fast::Hasher::new());
    let mut add = |bytes: &[u8]| {
        one = crc32c::crc32c_append(one, bytes);
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
    u64::from(one) << 32 | u64::from(other.finalize())
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

/// Where in a batch stands what a retry may not change: attributes to largest timestamp, and all from the count on.
/// Between them are the producer's id, epoch and sequence, before them offset, length, leader epoch and checksum.
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
    // A message set has nothing of a producer in it.
    let parts = if batch.magic() == 2 {
        &parts[..]
    } else {
        &whole[..]
    };
    let (mut one, mut other) = (0, crc32fast::Hasher::new());
    for part in parts {
        one = crc32c::crc32c_append(one, part);
        other.update(part);
    }
    u64::from(one) << 32 | u64::from(other.finalize())
}

fn of_partitions(topics: &[TopicResult]) -> impl Iterator<Item = ErrorCode> {
    let partitions = topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.error)
}

/// The names of all errors in an answer, each once.
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
