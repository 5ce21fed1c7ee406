//! Batches for tests, encoded independently of the producer's encoder.

use bytes::Bytes;

use crate::compress::{CompressionType, Compressor};
use crate::record::format::{
    ATTRIBUTES_OFFSET, Attributes, CRC_OFFSET, LOG_OVERHEAD, MAGIC_V2, NO_PARTITION_LEADER_EPOCH,
    NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, RECORD_BATCH_OVERHEAD,
};
use crate::types::Magic;
use crate::util::crc32c::crc32c;
use crate::util::varint::{put_varint, put_varlong};

/// A record to encode.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plain {
    pub(crate) timestamp_delta: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Plain {
    pub(crate) fn value(value: impl AsRef<[u8]>) -> Self {
        Self {
            value: Some(value.as_ref().to_vec()),
            ..Self::default()
        }
    }
}

/// A batch to encode; all other header fields are derived from the records.
#[derive(Debug, Clone)]
pub(crate) struct BatchSpec {
    pub(crate) records: Vec<Plain>,
    pub(crate) attributes: Attributes,
    pub(crate) first_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
}

impl Default for BatchSpec {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            attributes: Attributes::default(),
            first_timestamp: 1000,
            max_timestamp: 2000,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
        }
    }
}

impl BatchSpec {
    pub(crate) fn of(records: Vec<Plain>) -> Self {
        Self {
            records,
            ..Self::default()
        }
    }

    /// `count` records, whose values are their sequence numbers.
    pub(crate) fn sequenced(id: i64, epoch: i16, base_sequence: i32, count: i32) -> Self {
        let value = |i: i32| Plain::value(base_sequence.wrapping_add(i).to_string());
        Self {
            records: (0..count).map(value).collect(),
            producer_id: id,
            producer_epoch: epoch,
            base_sequence,
            ..Self::default()
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        self.wrap(&self.payload(), self.records.len() as i32).into()
    }

    /// The batch with its records compressed.
    pub(crate) fn encode_with(&self, codec: CompressionType) -> Bytes {
        let mut compressed = Vec::new();
        let compressor = Compressor::new(codec, None).expect("tests are built with every codec");
        compressor
            .compress(Magic::V2, &[&self.payload()], &mut compressed)
            .expect("every codec compresses any bytes");
        self.wrap_with(codec, &compressed)
    }

    /// The batch with `compressed` in place of its records, marked as compressed with this codec.
    pub(crate) fn wrap_with(&self, codec: CompressionType, compressed: &[u8]) -> Bytes {
        let spec = Self {
            attributes: Attributes::with_codec(codec.id()),
            ..self.clone()
        };
        spec.wrap(compressed, self.records.len() as i32).into()
    }

    fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        for (i, record) in (0..).zip(&self.records) {
            encode_record(&mut payload, i, record);
        }
        payload
    }

    /// The batch with `payload` in place of its records, and with the correct length and checksum.
    pub(crate) fn wrap(&self, payload: &[u8], count: i32) -> Vec<u8> {
        let length = (RECORD_BATCH_OVERHEAD - LOG_OVERHEAD + payload.len()) as i32;
        let mut out = Vec::new();
        out.extend_from_slice(&0i64.to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&NO_PARTITION_LEADER_EPOCH.to_be_bytes());
        out.push(MAGIC_V2 as u8);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.attributes.bits().to_be_bytes());
        out.extend_from_slice(&count.wrapping_sub(1).to_be_bytes());
        out.extend_from_slice(&self.first_timestamp.to_be_bytes());
        out.extend_from_slice(&self.max_timestamp.to_be_bytes());
        out.extend_from_slice(&self.producer_id.to_be_bytes());
        out.extend_from_slice(&self.producer_epoch.to_be_bytes());
        out.extend_from_slice(&self.base_sequence.to_be_bytes());
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(payload);
        seal(&mut out);
        out
    }
}

/// Writes the correct checksum into the batch.
pub(crate) fn seal(batch: &mut [u8]) {
    let crc = crc32c(&batch[ATTRIBUTES_OFFSET..]);
    batch[CRC_OFFSET..ATTRIBUTES_OFFSET].copy_from_slice(&crc.to_be_bytes());
}

pub(crate) fn encode_record(out: &mut Vec<u8>, offset_delta: i32, record: &Plain) {
    let mut body = vec![0];
    put_varlong(&mut body, record.timestamp_delta);
    put_varint(&mut body, offset_delta);
    put_nullable(&mut body, record.key.as_deref());
    put_nullable(&mut body, record.value.as_deref());
    put_varint(&mut body, record.headers.len() as i32);
    for (key, value) in &record.headers {
        put_nullable(&mut body, Some(key.as_bytes()));
        put_nullable(&mut body, value.as_deref());
    }
    put_varint(out, body.len() as i32);
    out.extend_from_slice(&body);
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_varint(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}
