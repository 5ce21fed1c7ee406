//! What was written to the embedded cluster, to be looked at by tests.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::compress::CompressionType;
use crate::record::batch::{RecordBatch, RecordView};
use crate::record::{Header, Headers};
use crate::types::{Magic, Sequence};

/// More than this in one compressed batch or wrapper is refused. A broker has no such limit; one that lives in the
/// process of a test is not to take all its memory.
pub(crate) const MAX_UNCOMPRESSED_BYTES: usize = 16 * 1024 * 1024;

/// A message set as a producer sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageSet {
    pub(crate) bytes: Bytes,
    pub(crate) magic: Magic,
    /// The number of its codec; 0 for none.
    pub(crate) codec: u8,
}

/// Which idempotent producer wrote a record, and as which of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ProducerStamp {
    /// The producer's id.
    pub id: i64,
    /// The producer's epoch.
    pub epoch: i16,
    /// The record's number among those of this producer, epoch and partition.
    pub sequence: i32,
}

/// A record as it stands in a partition's log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredRecord {
    /// Its place in the log.
    pub offset: i64,
    /// Milliseconds since 1970, or -1 for none: the producer's, or the broker's where the topic says
    /// so.
    pub timestamp: i64,
    /// The key; `None` for null.
    pub key: Option<Vec<u8>>,
    /// The value; `None` for null.
    pub value: Option<Vec<u8>>,
    /// The headers, in order.
    pub headers: Headers,
    /// Who wrote it, if the producer was idempotent.
    pub producer: Option<ProducerStamp>,
}

/// A [`StoredRecord`] that is read where it lies, without a copy.
#[derive(Clone, Copy)]
pub struct StoredRecordView<'a> {
    batch: &'a StoredBatch,
    record: RecordView<'a>,
}

impl<'a> StoredRecordView<'a> {
    /// Its place in the log.
    pub fn offset(&self) -> i64 {
        self.batch
            .base_offset
            .wrapping_add(i64::from(self.record.offset_delta))
    }

    /// Milliseconds since 1970, or -1 for none.
    pub fn timestamp(&self) -> i64 {
        let own = || {
            self.batch
                .batch
                .first_timestamp()
                .wrapping_add(self.record.timestamp_delta)
        };
        self.batch
            .append_time
            .map_or_else(own, Timestamp::as_millis)
    }

    /// The key; `None` for null.
    pub fn key(&self) -> Option<&'a [u8]> {
        self.record.key
    }

    /// The value; `None` for null.
    pub fn value(&self) -> Option<&'a [u8]> {
        self.record.value
    }

    /// The headers, in order: key and value.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> + use<'a> {
        self.record.headers.iter()
    }

    /// Who wrote it, if the producer was idempotent.
    pub fn producer(&self) -> Option<ProducerStamp> {
        let delta = u32::try_from(self.record.offset_delta).ok()?;
        let first = self.batch.producer()?;
        let sequence = Sequence::new(first.sequence).advance(delta).as_i32();
        Some(ProducerStamp { sequence, ..first })
    }

    /// A copy that owns its parts.
    pub fn to_record(&self) -> StoredRecord {
        let header = |(key, value): (&str, Option<&[u8]>)| match value {
            Some(value) => Header::new(key.to_owned(), value.to_vec()),
            None => Header::null(key.to_owned()),
        };
        StoredRecord {
            offset: self.offset(),
            timestamp: self.timestamp(),
            key: self.key().map(<[u8]>::to_vec),
            value: self.value().map(<[u8]>::to_vec),
            headers: self.headers().map(header).collect(),
            producer: self.producer(),
        }
    }
}

impl fmt::Debug for StoredRecordView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_record().fmt(f)
    }
}

/// A batch as it stands in a partition's log. Cheap to clone: the bytes are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    // Invariant: the number of records is not negative; a log writes no other.
    batch: RecordBatch,
    /// The message set that the batch was made of, if it did not come as one.
    sent: Option<MessageSet>,
    base_offset: i64,
    leader_epoch: i32,
    append_time: Option<Timestamp>,
    uncompressed: Uncompressed,
}

/// The records of a compressed batch as they were before, once somebody has looked at them; empty if
/// they cannot be uncompressed.
#[derive(Debug, Clone, Default)]
struct Uncompressed(OnceLock<Bytes>);

/// It says nothing that the batch does not say.
impl PartialEq for Uncompressed {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Uncompressed {}

impl StoredBatch {
    pub(crate) fn new(
        batch: RecordBatch,
        sent: Option<MessageSet>,
        base_offset: i64,
        leader_epoch: i32,
        append_time: Option<Timestamp>,
    ) -> Self {
        Self {
            batch,
            sent,
            base_offset,
            leader_epoch,
            append_time,
            uncompressed: Uncompressed::default(),
        }
    }

    /// The same with bytes of its own. Those of a request are a slice of what its connection reads into, which
    /// can be thousands of times as much and would be kept whole.
    pub(crate) fn detached(mut self) -> Self {
        match &mut self.sent {
            // The batch was made of the set, and is nobody's slice.
            Some(sent) => sent.bytes = Bytes::copy_from_slice(&sent.bytes),
            None => self.batch = self.batch.detached(),
        }
        self
    }

    #[cfg(any(test, feature = "_internals"))]
    /// What the batch was when it came, or what its message set was made into.
    pub(crate) fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    #[cfg(any(test, feature = "_internals"))]
    /// The largest timestamp that its records have in the log.
    pub(crate) fn max_timestamp(&self) -> i64 {
        let own = || self.batch.max_timestamp();
        self.append_time.map_or_else(own, Timestamp::as_millis)
    }

    /// The offset of the first record.
    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// How often the partition had changed its leader when the batch was written.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// How many records it holds.
    pub fn record_count(&self) -> usize {
        usize::try_from(self.batch.records_count()).unwrap_or(0)
    }

    /// How many bytes it takes, header and all, in the format it was sent in.
    pub fn size_bytes(&self) -> usize {
        self.bytes().len()
    }

    /// The format that the producer wrote it in: 2, or 0 or 1 for a message set, which brokers before
    /// 0.11 ask for. All messages of a set count as one batch.
    pub fn magic(&self) -> u8 {
        self.sent.as_ref().map_or(Magic::V2, |sent| sent.magic) as u8
    }

    /// What its records are compressed with.
    pub fn compression_type(&self) -> CompressionType {
        // A log refuses a batch whose codec has no name.
        CompressionType::from_id(self.codec()).unwrap_or(CompressionType::None)
    }

    /// The number of that codec; 0 for none.
    pub(crate) fn codec(&self) -> u8 {
        match &self.sent {
            Some(sent) => sent.codec,
            None => self.batch.attributes().codec(),
        }
    }

    /// Whether it belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.batch.attributes().is_transactional()
    }

    /// Who wrote it, if the producer was idempotent; the sequence is that of the first record.
    pub fn producer(&self) -> Option<ProducerStamp> {
        self.batch.has_producer_id().then(|| ProducerStamp {
            id: self.batch.producer_id(),
            epoch: self.batch.producer_epoch(),
            sequence: self.batch.base_sequence(),
        })
    }

    /// The batch byte by byte, as the producer sent it.
    pub fn bytes(&self) -> &Bytes {
        match &self.sent {
            Some(sent) => &sent.bytes,
            None => self.batch.bytes(),
        }
    }

    /// The records, read in place; those of a compressed batch are uncompressed when they are looked at
    /// first, and kept so.
    ///
    /// Ends early at a record that cannot be read, and is empty for a batch that cannot be uncompressed,
    /// or has more than 16 MiB then: a cluster writes such batches only when it was told not to look at
    /// records ([`validate_records`](super::TestClusterBuilder::validate_records)).
    pub fn records(&self) -> impl Iterator<Item = StoredRecordView<'_>> {
        let records = self.batch.records_in(self.plain()).into_iter().flatten();
        records.map_while(|record| {
            Some(StoredRecordView {
                batch: self,
                record: record.ok()?,
            })
        })
    }

    /// The records' bytes, uncompressed.
    fn plain(&self) -> &[u8] {
        if self.codec() == 0 {
            return self.batch.payload();
        }
        self.uncompressed.0.get_or_init(|| {
            let plain = self.batch.uncompressed(MAX_UNCOMPRESSED_BYTES);
            plain.map(Cow::into_owned).unwrap_or_default().into()
        })
    }
}
