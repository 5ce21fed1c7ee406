//! Encoders and decoders of the wire format, for comparison with other implementations: messages from their fields,
//! batches from their records, and primitive types.
#![allow(
    clippy::exhaustive_structs,
    clippy::exhaustive_enums,
    reason = "for this crate's own tests, which make them"
)]

mod batches;
mod messages;
mod reading;
mod record;
mod value;

use bytes::Bytes;

use crate::protocol::{ApiKey, BatchHead, MemoryRecords, Reader, Request, RequestHeader};
use crate::util::murmur2;
use crate::util::varint::{
    VarintError, put_unsigned64, take_unsigned, take_varint, take_varlong, unsigned_len, zigzag64,
};

pub use batches::{BatchSpec, build_batch, convert_batch, fill_batch, size_upper_bound};
pub use reading::{ReadBatch, read_batch};
pub use record::BatchRecord;
pub use value::JsonValue;

/// API, version and header of a message.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// Kafka's name of the API.
    pub api: &'a str,
    pub version: i16,
    pub correlation_id: i32,
    /// The client id; only the headers of requests have it.
    pub client_id: Option<&'a str>,
}

impl Envelope<'_> {
    fn api_key(&self) -> Result<ApiKey, String> {
        let mut all = ApiKey::ALL.into_iter();
        let found = all.find(|api| api.name() == self.api);
        found.ok_or_else(|| format!("there is no API {}", self.api))
    }
}

/// The APIs that a producer uses, with the maximum version of each.
pub fn apis() -> Vec<(&'static str, i16)> {
    let all = ApiKey::ALL.into_iter();
    all.map(|api| (api.name(), api.max_version())).collect()
}

/// Encodes a request, without the length field of the frame.
///
/// # Errors
/// If the body is not a request of that API, or cannot be encoded.
pub fn encode_request(envelope: &Envelope<'_>, body: &JsonValue) -> Result<Vec<u8>, String> {
    let api = envelope.api_key()?;
    let mut request = messages::request(api, envelope.version, body)?;
    if let Request::Produce(produce) = &mut request {
        let topics = produce.topics.iter_mut();
        let partitions = topics.flat_map(|topic| &mut topic.partitions);
        partitions
            .filter_map(|partition| partition.records.as_mut())
            .for_each(split_head);
    }
    let frame = request
        .encode(
            envelope.version,
            envelope.correlation_id,
            envelope.client_id,
        )
        .map_err(|error| error.to_string())?;
    without_length(&frame.chunks().concat())
}

/// Splits a batch of format v2 into header and records, as the producer has it in memory.
fn split_head(records: &mut MemoryRecords) {
    let whole = records.body.clone();
    if let Some((head, _)) = whole.split_first_chunk() {
        records.head = BatchHead::from(*head);
        records.body = whole.slice(head.len()..);
    }
}

/// Decodes a request, and compares it with the expected fields.
///
/// # Errors
/// If it cannot be decoded, or a field differs.
pub fn check_request(
    envelope: &Envelope<'_>,
    body: &JsonValue,
    bytes: &[u8],
) -> Result<(), String> {
    let api = envelope.api_key()?;
    let expected_header = RequestHeader {
        api_key: api,
        api_version: envelope.version,
        correlation_id: envelope.correlation_id,
        client_id: envelope.client_id.map(Into::into),
    };
    let bytes = Bytes::copy_from_slice(bytes);
    let mut reader = Reader::new(&bytes);
    let header = RequestHeader::decode(&mut reader).map_err(|error| error.to_string())?;
    same(&header, &expected_header)?;
    let request = Request::decode_body(api, envelope.version, &mut reader)
        .map_err(|error| error.to_string())?;
    same(&request, &messages::request(api, envelope.version, body)?)?;
    same(&reader.remaining(), &0)
}

/// Encodes a response as a broker does, without the length field of the frame.
///
/// # Errors
/// If the body is not a response of that API.
pub fn encode_response(envelope: &Envelope<'_>, body: &JsonValue) -> Result<Vec<u8>, String> {
    let response = messages::response(envelope.api_key()?, body)?;
    let frame = response.encode(envelope.version, envelope.correlation_id);
    without_length(&frame.chunks().concat())
}

/// Decodes a response, and compares it with the expected fields. An empty error message is expected as none.
///
/// # Errors
/// If it cannot be decoded, or a field differs.
pub fn check_response(
    envelope: &Envelope<'_>,
    body: &JsonValue,
    bytes: &[u8],
) -> Result<(), String> {
    let api = envelope.api_key()?;
    let bytes = Bytes::copy_from_slice(bytes);
    let (correlation_id, response) = super::read_response(api, envelope.version, &bytes)?;
    same(&correlation_id, &envelope.correlation_id)?;
    let body = body.without_empty_error_messages();
    same(&response, &messages::response(api, &body)?)
}

fn same<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("read {found:?}\ninstead of {expected:?}"))
    }
}

fn without_length(frame: &[u8]) -> Result<Vec<u8>, String> {
    let (length, message) = frame
        .split_first_chunk()
        .ok_or("a frame has no length before it")?;
    same(&u32::from_be_bytes(*length), &(message.len() as u32))?;
    Ok(message.to_vec())
}

/// Types of variable-length integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Varint {
    /// 32 bits, zig-zag.
    Int,
    /// 64 bits, zig-zag.
    Long,
    /// 32 bits, unsigned.
    Unsigned,
}

impl Varint {
    /// Encodes a number.
    pub fn encode(self, number: i64) -> Vec<u8> {
        let raw = match self {
            Self::Int | Self::Long => zigzag64(number),
            Self::Unsigned => number as u64,
        };
        let mut bytes = Vec::new();
        put_unsigned64(&mut bytes, raw);
        debug_assert_eq!(
            bytes.len(),
            unsigned_len(raw),
            "sizes are computed without writing"
        );
        bytes
    }

    /// Decodes a number at the start of the bytes. Returns it with the number of remaining bytes; `None` if it is
    /// malformed.
    pub fn decode(self, mut bytes: &[u8]) -> Option<(i64, usize)> {
        let read: Result<i64, VarintError> = match self {
            Self::Int => take_varint(&mut bytes).map(i64::from),
            Self::Long => take_varlong(&mut bytes),
            Self::Unsigned => take_unsigned(&mut bytes).map(i64::from),
        };
        Some((read.ok()?, bytes.len()))
    }
}

/// The hash of a key, and its partition.
pub fn partition_of_key(key: &[u8], partitions: u32) -> (i32, u32) {
    let hash = murmur2::murmur2(key);
    (hash, murmur2::to_positive(hash) % partitions)
}
