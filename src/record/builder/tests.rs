use proptest::prelude::*;

use bytes::Bytes;

use super::*;
use crate::record::batch::RecordBatch;
use crate::record::header::Headers;

type Nullable = Option<Vec<u8>>;

#[derive(Debug, Clone)]
struct Plain {
    key: Nullable,
    value: Nullable,
    headers: Headers,
    timestamp_ms: i64,
}

impl Plain {
    fn parts(&self) -> RecordParts<'_> {
        RecordParts {
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: self.headers.as_slice(),
            timestamp_ms: self.timestamp_ms,
        }
    }
}

fn nullable(longest: usize) -> impl Strategy<Value = Nullable> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..longest))
}

fn record() -> impl Strategy<Value = Plain> {
    let header = (0..1_000_000u32, nullable(80));
    let headers = proptest::collection::vec(header, 0..4);
    let fields = (nullable(80), nullable(300), headers, 0..i64::MAX);
    fields.prop_map(|(key, value, named, timestamp_ms)| {
        let mut headers = Headers::new();
        for (name, value) in named {
            let name = format!("h{name}");
            let header = match value {
                Some(value) => Header::new(name, value),
                None => Header::null(name),
            };
            headers.push(header).expect("not frozen");
        }
        Plain {
            key,
            value,
            headers,
            timestamp_ms,
        }
    })
}

proptest! {
    /// PB-2: one record always fits into an empty batch; with batch.size 0 each record has a batch of its own.
    /// PB-3: a record fits if the estimated size of the records before it, plus its uncompressed size, is within the
    /// batch's limit.
    /// PB-11: offsets in a batch start at 0; a timestamp is none or not negative; formats before 2 have no headers.
    /// PB-12: a batch's first timestamp is that of its first record. The other timestamps are stored as differences
    /// from it, which may be negative. The largest timestamp is stored, too.
    #[test]
    fn built_records_are_read_back_and_stay_within_the_limit(
        records in proptest::collection::vec(record(), 1..40),
        limit in 0..4000usize,
        sequence in 0..=i32::MAX,
    ) {
        let mut builder = RecordsBuilder::new(limit);
        let mut body = Vec::new();
        let mut taken = 0;
        for record in &records {
            let parts = record.parts();
            let size = builder.size_of_next(parts.timestamp_ms, parts.payload_len());
            if !builder.has_room_for(body.len(), size) {
                break;
            }
            let before = body.len();
            builder.append(&mut body, &parts, size);
            prop_assert_eq!(body.len() - before, size.total_bytes(), "the size is exact");
            prop_assert!(RECORD_BATCH_OVERHEAD + size.total_bytes() <= batch_size_upper_bound(parts.payload_len()));
            taken += 1;
        }
        prop_assert!(taken >= 1, "the first record always fits");
        prop_assert!(taken == 1 || RECORD_BATCH_OVERHEAD + body.len() <= limit);
        prop_assert_eq!(
            builder.is_full(body.len()),
            RECORD_BATCH_OVERHEAD + body.len() >= limit
        );

        let state = ProducerState {
            producer: ProducerIdAndEpoch::new(9, 3),
            base_sequence: Sequence::new(sequence),
            is_transactional: sequence % 2 == 1,
        };
        let facts = builder.finish();
        let body = Bytes::from(body);
        let whole = [&batch_head(&facts, state, &body)[..], &body].concat();
        let batch = RecordBatch::parse(&Bytes::from(whole)).expect("a valid batch");
        prop_assert_eq!(batch.records_count(), taken);
        prop_assert_eq!(batch.last_offset_delta(), taken - 1);
        prop_assert_eq!((batch.producer_id(), batch.producer_epoch()), (9, 3));
        prop_assert_eq!(batch.base_sequence(), sequence);
        // Only bit 4 of the attributes may be set.
        prop_assert_eq!(batch.attributes().bits(), if state.is_transactional { 0x10 } else { 0 });
        prop_assert_eq!(batch.first_timestamp(), records[0].timestamp_ms);
        let latest = records[..taken as usize].iter().map(|r| r.timestamp_ms).max();
        prop_assert_eq!(Some(batch.max_timestamp()), latest);
        let mut expected = records.iter();
        for (at, read) in (0..).zip(batch.records().expect("records")) {
            let read = read.expect("a valid record");
            let wrote = expected.next().expect("no more than were written");
            prop_assert_eq!(read.offset_delta, at);
            prop_assert_eq!(batch.first_timestamp() + read.timestamp_delta, wrote.timestamp_ms);
            prop_assert_eq!(read.key, wrote.key.as_deref());
            prop_assert_eq!(read.value, wrote.value.as_deref());
            let headers: Vec<_> = read.headers.iter().collect();
            let named: Vec<_> = wrote.headers.iter().map(|h| (h.key(), h.value())).collect();
            prop_assert_eq!(headers, named);
        }
    }
}

#[test]
fn another_sequence_changes_only_the_header() {
    let record = Plain {
        key: None,
        value: Some(vec![1]),
        headers: Headers::new(),
        timestamp_ms: 5,
    };
    let mut builder = RecordsBuilder::new(100);
    let mut body = Vec::new();
    let size = builder.size_of_next(record.parts().timestamp_ms, record.parts().payload_len());
    builder.append(&mut body, &record.parts(), size);
    let body = Bytes::from(body);
    for state in [
        ProducerState::NONE,
        ProducerState {
            producer: ProducerIdAndEpoch::new(1, i16::MAX),
            base_sequence: Sequence::new(i32::MAX),
            is_transactional: true,
        },
    ] {
        let whole = [&batch_head(&builder.finish(), state, &body)[..], &body].concat();
        let batch = RecordBatch::parse(&Bytes::from(whole)).expect("the checksum fits each header");
        assert_eq!(batch.base_sequence(), state.base_sequence.as_i32());
        assert_eq!(batch.payload(), &body[..]);
    }
}
