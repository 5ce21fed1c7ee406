//! Produce requests, made beforehand.

use std::time::SystemTime;

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

/// What Kafka 3.0.0 speaks.
pub const VERSION: i16 = 9;

/// Of flexible versions.
const REQUEST_HEADER_VERSION: i16 = 2;

const PRODUCE: i16 = 0;

/// The default of `max.request.size`.
const MAX_REQUEST_BYTES: usize = 1 << 20;

/// What a batch's header takes, and what a record takes beside key and value (at most, for those of a batch
/// below 64 KiB records).
const BATCH_OVERHEAD: usize = 61;
const RECORD_OVERHEAD: usize = 16;

/// How large the requests are, and how many are under way.
pub struct Shape {
    pub acks: i16,
    pub batch_bytes: usize,
    /// In one request, each for another partition.
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
        // Kafka's own defaults stand for those of a client that has none.
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

/// One request as it goes over the wire.
pub struct Request {
    bytes: Vec<u8>,
    pub records: u64,
}

impl Request {
    /// Its bytes, under this number.
    pub fn numbered(&mut self, correlation_id: i32) -> &[u8] {
        self.bytes[CORRELATION_ID_AT..CORRELATION_ID_AT + 4]
            .copy_from_slice(&correlation_id.to_be_bytes());
        &self.bytes
    }
}

/// Behind length, kind and version.
const CORRELATION_ID_AT: usize = 8;

/// Makes requests of the scenario's records, one after the other.
pub struct Maker<'a> {
    shape: &'a Shape,
    topic: StrBytes,
    values: &'a Blocks,
    keys: Option<&'a Blocks>,
    next: usize,
    now_ms: i64,
}

impl<'a> Maker<'a> {
    pub fn new(
        shape: &'a Shape,
        topic: &str,
        values: &'a Blocks,
        keys: Option<&'a Blocks>,
    ) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            shape,
            topic: StrBytes::from_string(topic.to_owned()),
            values,
            keys,
            next: 0,
            now_ms: now.map_or(0, |since| since.as_millis() as i64),
        }
    }

    /// So many requests, of so many batches of about so many bytes, each batch with one record at least.
    pub fn make(&mut self, requests: usize, batches: usize, batch_bytes: usize) -> Vec<Request> {
        (0..requests)
            .map(|number| self.request(number, batches, batch_bytes))
            .collect()
    }

    fn request(&mut self, number: usize, batches: usize, batch_bytes: usize) -> Request {
        let mut records = 0;
        // One batch at a time goes round the partitions by itself.
        let offset = if batches == 1 {
            number % self.shape.partitions
        } else {
            0
        };
        let partitions = (0..batches)
            .map(|batch| {
                let (bytes, count) = self.batch(batch_bytes);
                records += count;
                PartitionProduceData::default()
                    .with_index(self.shape.first_partition + (batch + offset) as i32)
                    .with_records(Some(bytes))
            })
            .collect();
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
        Request { bytes, records }
    }

    fn batch(&mut self, batch_bytes: usize) -> (Bytes, u64) {
        let each = self.values.size() + self.keys.map_or(0, Blocks::size) + RECORD_OVERHEAD;
        let mut count = (batch_bytes.saturating_sub(BATCH_OVERHEAD) / each).max(1);
        let mut bytes = self.encode(count);
        // The overhead above is the most there can be: what room is left takes more records.
        loop {
            let more = self.encode(count + 1);
            if more.len() > batch_bytes {
                break;
            }
            (count, bytes) = (count + 1, more);
        }
        self.next += count;
        (bytes, count as u64)
    }

    fn encode(&self, count: usize) -> Bytes {
        let records: Vec<Record> = (0..count).map(|at| self.record(at)).collect();
        let mut bytes = BytesMut::new();
        let options = RecordEncodeOptions {
            version: 2,
            compression: Compression::None,
        };
        RecordBatchEncoder::encode(&mut bytes, &records, &options)
            .expect("records of one producer fit into one batch");
        bytes.freeze()
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
