//! What goes over the wire, for comparison with what other implementations write: messages described by
//! their fields, batches described by their records, and the numbers they are made of.
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

use crate::protocol::{ApiKey, BatchHead, Reader, Records, Request, RequestHeader};
use crate::util::murmur2;
use crate::util::varint::{
    VarintError, put_unsigned64, take_unsigned, take_varint, take_varlong, unsigned_len, zigzag64,
};

pub use batches::{BatchSpec, build_batch, convert_batch, fill_batch, size_upper_bound};
pub use reading::{ReadBatch, read_batch};
pub use record::BatchRecord;
pub use value::Value;

/// Which message, in which version, and what stands before it.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// Kafka's name of the API.
    pub api: &'a str,
    pub version: i16,
    pub correlation_id: i32,
    /// Stands before requests only.
    pub client_id: Option<&'a str>,
}

impl Envelope<'_> {
    fn api_key(&self) -> Result<ApiKey, String> {
        let mut all = ApiKey::ALL.into_iter();
        let found = all.find(|api| api.name() == self.api);
        found.ok_or_else(|| format!("there is no API {}", self.api))
    }
}

/// Names of the APIs of a producer, with the newest version of each.
pub fn apis() -> Vec<(&'static str, i16)> {
    let all = ApiKey::ALL.into_iter();
    all.map(|api| (api.name(), api.max_version())).collect()
}

/// A request as it is written: without the length of the frame.
///
/// # Errors
/// In words, if the body is not a request of that kind, or cannot be written.
pub fn encode_request(envelope: &Envelope<'_>, body: &Value) -> Result<Vec<u8>, String> {
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

/// Takes a batch of format v2 apart as the producer has it: its header, and its records.
fn split_head(records: &mut Records) {
    let whole = records.body.clone();
    if let Some((head, _)) = whole.split_first_chunk() {
        records.head = BatchHead::from(*head);
        records.body = whole.slice(head.len()..);
    }
}

/// Reads a request, and compares what was read with the fields it should have.
///
/// # Errors
/// In words, if it cannot be read or something is different.
pub fn check_request(envelope: &Envelope<'_>, body: &Value, bytes: &[u8]) -> Result<(), String> {
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

/// A response as a broker writes it: without the length of the frame.
///
/// # Errors
/// In words, if the body is not a response of that kind.
pub fn encode_response(envelope: &Envelope<'_>, body: &Value) -> Result<Vec<u8>, String> {
    let response = messages::response(envelope.api_key()?, body)?;
    let frame = response.encode(envelope.version, envelope.correlation_id);
    without_length(&frame.chunks().concat())
}

/// Reads a response, and compares what was read with the fields it should have.
///
/// # Errors
/// In words, if it cannot be read or something is different.
pub fn check_response(envelope: &Envelope<'_>, body: &Value, bytes: &[u8]) -> Result<(), String> {
    let api = envelope.api_key()?;
    let bytes = Bytes::copy_from_slice(bytes);
    let (correlation_id, response) = super::read_response(api, envelope.version, &bytes)?;
    same(&correlation_id, &envelope.correlation_id)?;
    same(&response, &messages::response(api, body)?)
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

/// Kinds of variable-length integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Varint {
    /// 32 bits, zig-zag.
    Int,
    /// 64 bits, zig-zag.
    Long,
    /// 32 bits that are not negative.
    Unsigned,
}

impl Varint {
    /// The bytes of a number.
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

    /// The number that begins the bytes, and how many are left after it; `None` if there is none.
    pub fn decode(self, mut bytes: &[u8]) -> Option<(i64, usize)> {
        let read: Result<i64, VarintError> = match self {
            Self::Int => take_varint(&mut bytes).map(i64::from),
            Self::Long => take_varlong(&mut bytes),
            Self::Unsigned => take_unsigned(&mut bytes).map(i64::from),
        };
        Some((read.ok()?, bytes.len()))
    }
}

/// The hash of a key, and the partition among so many to which a record with that key goes.
pub fn partition_of_key(key: &[u8], partitions: u32) -> (i32, u32) {
    let hash = murmur2::murmur2(key);
    (hash, murmur2::to_positive(hash) % partitions)
}
