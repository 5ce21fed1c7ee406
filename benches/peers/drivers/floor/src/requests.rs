//! Produce requests that are built before a round.

use std::time::SystemTime;

use crate::codec::Codec;
use bytes::{BufMut, Bytes, BytesMut};
use driver_kit::{Blocks, Setup};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, RequestHeader, TopicName};
use kafka_protocol::protocol::{Encodable, StrBytes};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

/// The version of Produce that Kafka 3.0.0 uses.
pub const VERSION: i16 = 9;

/// The request header version of flexible versions.
const REQUEST_HEADER_VERSION: i16 = 2;

const PRODUCE: i16 = 0;

/// The default of `max.request.size`.
const MAX_REQUEST_BYTES: usize = 1 << 20;

/// The number of successive estimates of the record count of a full batch. Each estimate is much closer than the
/// previous one.
const TRIES: usize = 4;

/// Offsets in a batch: the length field, the end of the length field, the checksum, and the first byte that the
/// checksum covers.
const LENGTH_AT: usize = 8;
const BEHIND_LENGTH: usize = 12;
const CHECKSUM_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;

/// The size of a batch header, and the maximum size of a record without key and value, in a batch with fewer than
/// 64 KiB records.
const BATCH_OVERHEAD: usize = 61;
const RECORD_OVERHEAD: usize = 16;

/// How large the requests are, and how many are in flight.
pub struct Shape {
    pub acks: i16,
    pub batch_bytes: usize,
    /// The number of batches in a request, each for a different partition.
    pub batches: usize,
    pub max_in_flight: usize,
    partitions: usize,
    first_partition: i32,
}

impl Shape {
    pub fn of(setup: &Setup, full: bool) -> Self {
        let acks = match (setup.defaults, setup.acks.as_str()) {
            (true, _) | (_, "all") => -1,
            (_, "0") => 0,
            _ => 1,
        };
        // With `defaults` the floor uses Kafka's defaults.
        let batch_bytes = if setup.defaults {
            16_384
        } else {
            setup.batch_bytes
        };
        let at_least = setup.payload_bytes + setup.key_bytes + BATCH_OVERHEAD + RECORD_OVERHEAD;
        let into_request = if !full {
            1
        } else {
            (MAX_REQUEST_BYTES / batch_bytes.max(at_least)).max(1)
        };
        let partitions = match setup.partition {
            Some(_) => 1,
            None => usize::try_from(setup.partitions).unwrap_or(1),
        };
        Self {
            acks,
            batch_bytes,
            batches: into_request.min(partitions),
            max_in_flight: if setup.defaults {
                5
            } else {
                setup.max_in_flight.max(1)
            },
            partitions,
            first_partition: setup.partition.unwrap_or(0),
        }
    }
}

/// An encoded request.
pub struct Request {
    bytes: Vec<u8>,
    pub records: u64,
}

impl Request {
    /// The bytes of the request, with this correlation id.
    pub fn numbered(&mut self, correlation_id: i32) -> &[u8] {
        self.bytes[CORRELATION_ID_AT..CORRELATION_ID_AT + 4]
            .copy_from_slice(&correlation_id.to_be_bytes());
        &self.bytes
    }
}

impl AsRef<[u8]> for Request {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The offset of the correlation id, after length, API key and version.
const CORRELATION_ID_AT: usize = 8;

/// The content of one batch.
pub struct Batch {
    /// The whole batch, or only its uncompressed records.
    pub bytes: Bytes,
    pub records: u64,
}

/// Builds requests from the scenario's records, one after another.
pub struct Maker<'a> {
    shape: &'a Shape,
    topic: StrBytes,
    values: &'a Blocks,
    keys: Option<&'a Blocks>,
    codec: Option<Codec>,
    next: usize,
    now_ms: i64,
}

impl<'a> Maker<'a> {
    pub fn new(
        shape: &'a Shape,
        topic: &str,
        values: &'a Blocks,
        keys: Option<&'a Blocks>,
        codec: Option<Codec>,
    ) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            shape,
            topic: StrBytes::from_string(topic.to_owned()),
            values,
            keys,
            codec,
            next: 0,
            now_ms: now.map_or(0, |since| since.as_millis() as i64),
        }
    }

    /// Builds requests, each with this many batches of about this many bytes. Each batch has at least one record.
    ///
    /// # Errors
    /// If the codec fails.
    pub fn make(
        &mut self,
        requests: usize,
        batches: usize,
        batch_bytes: usize,
    ) -> Result<Vec<Request>, String> {
        (0..requests)
            .map(|number| self.request(number, batches, batch_bytes))
            .collect()
    }

    /// The uncompressed records of this many batches.
    ///
    /// # Errors
    /// If the codec fails.
    pub fn uncompressed(&mut self, batches: usize) -> Result<Vec<Batch>, String> {
        let one = |_| {
            let count = self.count(self.shape.batch_bytes)?;
            let bytes = self.encode(count).freeze().slice(BATCH_OVERHEAD..);
            self.next += count;
            Ok(Batch {
                bytes,
                records: count as u64,
            })
        };
        (0..batches).map(one).collect()
    }

    fn request(
        &mut self,
        number: usize,
        batches: usize,
        batch_bytes: usize,
    ) -> Result<Request, String> {
        let mut records = 0;
        // With one batch in each request, the requests rotate over the partitions.
        let offset = if batches == 1 {
            number % self.shape.partitions
        } else {
            0
        };
        let partitions = (0..batches)
            .map(|batch| {
                let made = self.batch(batch_bytes)?;
                records += made.records;
                Ok(PartitionProduceData::default()
                    .with_index(self.shape.first_partition + (batch + offset) as i32)
                    .with_records(Some(made.bytes)))
            })
            .collect::<Result<_, String>>()?;
        let topic = TopicProduceData::default()
            .with_name(TopicName(self.topic.clone()))
            .with_partition_data(partitions);
        let request = ProduceRequest::default()
            .with_acks(self.shape.acks)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![topic]);
        let header = RequestHeader::default()
            .with_request_api_key(PRODUCE)
            .with_request_api_version(VERSION)
            .with_client_id(Some(StrBytes::from_static_str("floor")));
        let mut body = BytesMut::new();
        header
            .encode(&mut body, REQUEST_HEADER_VERSION)
            .and_then(|()| request.encode(&mut body, VERSION))
            .expect("a request of this version has all these fields");
        let mut bytes = Vec::with_capacity(4 + body.len());
        bytes.put_u32(body.len() as u32);
        bytes.put_slice(&body);
        Ok(Request { bytes, records })
    }

    fn batch(&mut self, batch_bytes: usize) -> Result<Batch, String> {
        let count = self.count(batch_bytes)?;
        let bytes = self.finished(count)?;
        self.next += count;
        Ok(Batch {
            bytes,
            records: count as u64,
        })
    }

    /// The number of next records that fill a batch of this size, compressed if there is a codec.
    fn count(&mut self, batch_bytes: usize) -> Result<usize, String> {
        let each = self.values.size() + self.keys.map_or(0, Blocks::size) + RECORD_OVERHEAD;
        let room = batch_bytes.saturating_sub(BATCH_OVERHEAD);
        let mut count = (room / each).max(1);
        if room == 0 {
            return Ok(count);
        }
        for _ in 0..TRIES {
            let len = self.finished(count)?.len() - BATCH_OVERHEAD;
            count = (count * room / len).max(1);
        }
        // The last estimate may still be too high.
        while count > 1 && self.finished(count)?.len() > batch_bytes {
            count -= 1;
        }
        Ok(count)
    }

    /// A batch of the next `count` records, compressed if there is a codec.
    fn finished(&mut self, count: usize) -> Result<Bytes, String> {
        let plain = self.encode(count);
        let Some(codec) = &mut self.codec else {
            return Ok(plain.freeze());
        };
        let (header, records) = plain.split_at(BATCH_OVERHEAD);
        let mut batch = header.to_vec();
        codec.compress(records, &mut batch)?;
        let length = (batch.len() - BEHIND_LENGTH) as u32;
        batch[LENGTH_AT..BEHIND_LENGTH].copy_from_slice(&length.to_be_bytes());
        batch[ATTRIBUTES_AT + 1] |= codec.attribute();
        let checksum = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
        batch[CHECKSUM_AT..ATTRIBUTES_AT].copy_from_slice(&checksum.to_be_bytes());
        Ok(batch.into())
    }

    fn encode(&self, count: usize) -> BytesMut {
        let records: Vec<Record> = (0..count).map(|at| self.record(at)).collect();
        let mut bytes = BytesMut::new();
        let options = RecordEncodeOptions {
            version: 2,
            compression: Compression::None,
        };
        RecordBatchEncoder::encode(&mut bytes, &records, &options)
            .expect("records of one producer fit into one batch");
        bytes
    }

    fn record(&self, at: usize) -> Record {
        let block = |blocks: &Blocks| Bytes::copy_from_slice(blocks.get(self.next + at));
        Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            timestamp_type: TimestampType::Creation,
            offset: at as i64,
            sequence: NO_SEQUENCE + at as i32,
            timestamp: self.now_ms,
            key: self.keys.map(block),
            value: Some(block(self.values)),
            headers: IndexMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::protocol::Decodable;
    use kafka_protocol::records::RecordBatchDecoder;

    use super::*;
    use crate::codec::tests::{NAMES, decompressed};

    fn shape(batch_bytes: usize, batches: usize) -> Shape {
        Shape {
            acks: 1,
            batch_bytes,
            batches,
            max_in_flight: 5,
            partitions: 12,
            first_partition: 0,
        }
    }

    /// Values with a name before each number: compressible, but not to almost nothing.
    fn values() -> Blocks {
        let number = |n: u32| n.wrapping_mul(2_654_435_761);
        let text = (0..10_000).flat_map(|n| format!("number {:08x} ", number(n)).into_bytes());
        let bytes = text.take(100 * 1_000).collect();
        Blocks::new(bytes, 100).unwrap()
    }

    fn made(
        batch_bytes: usize,
        requests: usize,
        batches: usize,
        codec: &str,
    ) -> Vec<(Request, ProduceRequest)> {
        let (shape, values) = (shape(batch_bytes, batches), values());
        let codec = Codec::named(codec).unwrap();
        let mut maker = Maker::new(&shape, "t", &values, None, codec);
        let made = maker.make(requests, batches, batch_bytes).unwrap();
        let decoded = |request: Request| {
            let mut bytes = Bytes::copy_from_slice(&request.bytes[4..]);
            RequestHeader::decode(&mut bytes, REQUEST_HEADER_VERSION).unwrap();
            let body = ProduceRequest::decode(&mut bytes, VERSION).unwrap();
            assert!(bytes.is_empty());
            (request, body)
        };
        made.into_iter().map(decoded).collect()
    }

    fn batches(request: &ProduceRequest) -> Vec<(i32, Bytes)> {
        let data = &request.topic_data[0].partition_data;
        data.iter()
            .map(|partition| (partition.index, partition.records.clone().unwrap()))
            .collect()
    }

    #[test]
    fn a_request_holds_full_batches_of_the_records_in_turn() {
        let values = values();
        let mut next = 0;
        for (number, (request, body)) in made(16_384, 5, 1, "none").into_iter().enumerate() {
            let batches = batches(&body);
            assert_eq!(batches[0].0, number as i32, "one partition after the other");
            let mut bytes = batches[0].1.clone();
            assert!((16_384 - 120..=16_384).contains(&bytes.len()));
            let records = RecordBatchDecoder::decode(&mut bytes).unwrap().records;
            assert_eq!(records.len() as u64, request.records);
            for record in records {
                assert_eq!(record.value.as_deref(), Some(values.get(next)));
                next += 1;
            }
        }
    }

    #[test]
    fn compressed_batches_are_as_full_and_hold_the_same_records() {
        for name in NAMES {
            for (request, body) in made(16_384, 2, 3, name) {
                let batches = batches(&body);
                let mut records = 0;
                for (_, batch) in &batches {
                    assert!(
                        (15_500..=16_384).contains(&batch.len()),
                        "{name}: {}",
                        batch.len()
                    );
                    let length = i32::from_be_bytes(*batch[LENGTH_AT..].first_chunk().unwrap());
                    assert_eq!(length as usize, batch.len() - BEHIND_LENGTH);
                    let checksum = u32::from_be_bytes(*batch[CHECKSUM_AT..].first_chunk().unwrap());
                    assert_eq!(checksum, crc32c::crc32c(&batch[ATTRIBUTES_AT..]));
                    let plain = decompressed(name, &batch[BATCH_OVERHEAD..]);
                    let count =
                        i32::from_be_bytes(*batch[BATCH_OVERHEAD - 4..].first_chunk().unwrap());
                    records += count as u64;
                    assert!(plain.len() > batch.len() && plain.len() / 120 <= count as usize);
                }
                assert_eq!((batches.len(), records), (3, request.records), "{name}");
            }
        }
    }
}
