//! Records and batches in the logs of the embedded cluster, for tests to read.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::compress::CompressionType;
use crate::record::batch::{RecordBatch, RecordView};
use crate::record::{Header, Headers};
use crate::types::{Magic, Sequence};

/// Limit of one compressed batch or wrapper message, uncompressed. Brokers have no such limit; here it protects the
/// memory of the test's process.
pub(crate) const MAX_UNCOMPRESSED_BYTES: usize = 16 * 1024 * 1024;

/// A message set as the producer sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageSet {
    pub(crate) bytes: Bytes,
    pub(crate) magic: Magic,
    /// The codec's number; 0 for none.
    pub(crate) codec: u8,
}

/// The idempotent producer of a record: producer id, epoch and sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ProducerStamp {
    /// The producer id.
    pub id: i64,
    /// The producer epoch.
    pub epoch: i16,
    /// The sequence number of the record.
    pub sequence: i32,
}

/// A record in a partition's log. `Debug` prints a key, a value or the value of a header as text, if it is text.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredRecord {
    /// The offset.
    pub offset: i64,
    /// Milliseconds since 1970, or -1 for none: set by the producer, or by the broker with `LogAppendTime`.
    pub timestamp: i64,
    /// The key; `None` for null.
    pub key: Option<Vec<u8>>,
    /// The value; `None` for null.
    pub value: Option<Vec<u8>>,
    /// The headers, in order.
    pub headers: Headers,
    /// The idempotent producer; `None` for other producers.
    pub producer: Option<ProducerStamp>,
}

impl StoredRecord {
    /// The key as text; `None` if it is null, or not UTF-8.
    pub fn key_str(&self) -> Option<&str> {
        std::str::from_utf8(self.key.as_deref()?).ok()
    }

    /// The value as text; `None` if it is null, or not UTF-8.
    pub fn value_str(&self) -> Option<&str> {
        std::str::from_utf8(self.value.as_deref()?).ok()
    }
}

impl fmt::Debug for StoredRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredRecord")
            .field("offset", &self.offset)
            .field("timestamp", &self.timestamp)
            .field("key", &ReadableBytes(self.key.as_deref()))
            .field("value", &ReadableBytes(self.value.as_deref()))
            .field("headers", &ReadableHeaders(&self.headers))
            .field("producer", &self.producer)
            .finish()
    }
}

/// Prints text as a string, other bytes as a byte string, and null.
pub(crate) struct ReadableBytes<'a>(pub(crate) Option<&'a [u8]>);

impl fmt::Debug for ReadableBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(bytes) = self.0 else {
            return f.write_str("null");
        };
        let is_text = |text: &&str| !text.contains(|c: char| c.is_control() && !c.is_whitespace());
        match std::str::from_utf8(bytes).ok().filter(is_text) {
            Some(text) => text.fmt(f),
            None => write!(f, "b\"{}\"", bytes.escape_ascii()),
        }
    }
}

/// Prints headers as a map.
pub(crate) struct ReadableHeaders<'a>(pub(crate) &'a Headers);

impl fmt::Debug for ReadableHeaders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for header in self.0 {
            map.entry(&header.key(), &ReadableBytes(header.value()));
        }
        map.finish()
    }
}

/// A [`StoredRecord`] that borrows from its batch, without a copy.
#[derive(Clone, Copy)]
pub struct StoredRecordView<'a> {
    batch: &'a StoredBatch,
    record: RecordView<'a>,
}

impl<'a> StoredRecordView<'a> {
    /// The offset.
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

    /// The keys and values of the headers, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> + use<'a> {
        self.record.headers.iter()
    }

    /// The idempotent producer; `None` for other producers.
    pub fn producer(&self) -> Option<ProducerStamp> {
        let delta = u32::try_from(self.record.offset_delta).ok()?;
        let first = self.batch.producer()?;
        if self.batch.is_control() {
            return Some(first);
        }
        let sequence = Sequence::new(first.sequence).advance(delta).as_i32();
        Some(ProducerStamp { sequence, ..first })
    }

    /// An owned copy.
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

/// A batch in a partition's log. Cheap to clone: the bytes are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    // Invariant: the record count is not negative; batches with another count are rejected.
    batch: RecordBatch,
    /// The message set that the batch was converted from, if the producer sent one.
    sent: Option<MessageSet>,
    base_offset: i64,
    leader_epoch: i32,
    append_time: Option<Timestamp>,
    uncompressed: Uncompressed,
}

/// Cache of the uncompressed records, filled on first use; empty if they cannot be uncompressed.
#[derive(Debug, Clone, Default)]
struct Uncompressed(OnceLock<Bytes>);

/// Always equal: the cache is derived from the batch.
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

    /// A copy with its own bytes. Those of a request are a slice of the read buffer of its connection, which can be
    /// thousands of times as large and would be kept in memory as a whole.
    pub(crate) fn detached(mut self) -> Self {
        match &mut self.sent {
            // The batch was converted from the set, so its bytes are not a slice.
            Some(sent) => sent.bytes = Bytes::copy_from_slice(&sent.bytes),
            None => self.batch = self.batch.detached(),
        }
        self
    }

    /// The batch as it was received, or as converted from its message set.
    pub(crate) fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// The maximum timestamp of its records, in milliseconds since 1970.
    pub(crate) fn max_timestamp(&self) -> i64 {
        let own = || self.batch.max_timestamp();
        self.append_time.map_or_else(own, Timestamp::as_millis)
    }

    /// The offset of the first record.
    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// The partition's leader epoch when the batch was written.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// The number of records.
    pub fn record_count(&self) -> usize {
        usize::try_from(self.batch.records_count()).unwrap_or(0)
    }

    /// The size in bytes, header included, in the format it was sent in.
    pub fn size_bytes(&self) -> usize {
        self.bytes().len()
    }

    /// The format that the producer sent: 2, or 0 or 1 for a message set, which brokers before 0.11 require. All
    /// messages of a set count as one batch.
    pub fn magic(&self) -> u8 {
        self.sent.as_ref().map_or(Magic::V2, |sent| sent.magic) as u8
    }

    /// The codec of its records.
    pub fn compression_type(&self) -> CompressionType {
        // Batches with an unknown codec are rejected.
        CompressionType::from_id(self.codec()).unwrap_or(CompressionType::None)
    }

    /// The codec's number; 0 for none.
    pub(crate) fn codec(&self) -> u8 {
        match &self.sent {
            Some(sent) => sent.codec,
            None => self.batch.attributes().codec(),
        }
    }

    /// Whether it is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.batch.attributes().is_transactional()
    }

    /// Whether it is a transaction marker, which a coordinator writes and consumers do not return.
    pub fn is_control(&self) -> bool {
        self.batch.attributes().is_control()
    }

    /// The idempotent producer, with the sequence number of the first record (-1 for a marker); `None` for other
    /// producers.
    pub fn producer(&self) -> Option<ProducerStamp> {
        self.batch.has_producer_id().then(|| ProducerStamp {
            id: self.batch.producer_id(),
            epoch: self.batch.producer_epoch(),
            sequence: self.batch.base_sequence(),
        })
    }

    /// The bytes of the batch as the producer sent them.
    pub fn bytes(&self) -> &Bytes {
        match &self.sent {
            Some(sent) => &sent.bytes,
            None => self.batch.bytes(),
        }
    }

    /// The records, read in place. A compressed batch is uncompressed on first use, and the result is cached.
    ///
    /// Ends early at a malformed record, and is empty for a batch that cannot be uncompressed or exceeds 16 MiB: such
    /// batches are accepted only without [`validate_records`](super::TestClusterBuilder::validate_records).
    pub fn records(&self) -> impl Iterator<Item = StoredRecordView<'_>> {
        let records = self.batch.records_in(self.plain()).into_iter().flatten();
        records.map_while(|record| {
            Some(StoredRecordView {
                batch: self,
                record: record.ok()?,
            })
        })
    }

    /// The bytes of the records, uncompressed.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debug_output_of_a_record_shows_text_as_text() {
        let headers = [Header::new("trace", "a1"), Header::null("none")];
        let record = StoredRecord {
            offset: 7,
            timestamp: 5,
            key: Some(b"customer-7".to_vec()),
            value: Some("{\"größe\":2}\n".into()),
            headers: headers.into_iter().collect(),
            producer: None,
        };
        assert_eq!(
            format!("{record:?}"),
            "StoredRecord { offset: 7, timestamp: 5, key: \"customer-7\", value: \"{\\\"größe\\\":2}\\n\", \
             headers: {\"trace\": \"a1\", \"none\": null}, producer: None }"
        );
        assert_eq!(record.key_str(), Some("customer-7"));
    }

    #[test]
    fn bytes_that_are_not_text_are_shown_as_bytes() {
        let shown = |bytes: &[u8]| format!("{:?}", ReadableBytes(Some(bytes)));
        assert_eq!(shown(&7_i32.to_be_bytes()), r#"b"\x00\x00\x00\x07""#);
        assert_eq!(shown(b"\xffa\""), r#"b"\xffa\"""#);
        assert_eq!(shown(b""), "\"\"");
        assert_eq!(format!("{:?}", ReadableBytes(None)), "null");
    }
}
