use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::record::batch::RecordBatch;
use crate::record::builder::{ProducerState, RecordParts, batch_head};
use crate::record::format::RECORD_BATCH_OVERHEAD;
use crate::record::header::Headers;

/// Key, value and timestamp of a record; the value is also that of a header.
type Plain = (Option<Vec<u8>>, Vec<u8>, i64);

fn build(records: &[Plain]) -> (BatchFacts, Vec<u8>) {
    let mut builder = RecordsBuilder::new(usize::MAX);
    let mut out = Vec::new();
    for (key, value, timestamp_ms) in records {
        let mut headers = Headers::new();
        headers.add("h", value.clone()).expect("not frozen");
        let parts = RecordParts {
            key: key.as_deref(),
            value: Some(value),
            headers: headers.as_slice(),
            timestamp_ms: *timestamp_ms,
        };
        let size = builder.size_of_next(parts.timestamp_ms, parts.payload_len());
        builder.append(&mut out, &parts, size);
    }
    (builder.finish(), out)
}

/// Parses a piece as a whole batch, and returns its records.
fn read(piece: &Piece) -> Vec<Plain> {
    let body = Bytes::from(piece.records.clone());
    let whole = [
        &batch_head(&piece.facts, ProducerState::NONE, &body)[..],
        &body,
    ]
    .concat();
    let batch = RecordBatch::parse(&Bytes::from(whole)).expect("a valid batch");
    assert_eq!(batch.last_offset_delta() + 1, batch.records_count());
    let mut records = Vec::new();
    for (at, record) in (0..).zip(batch.records().expect("records")) {
        let record = record.expect("a valid record");
        assert_eq!(record.offset_delta, at);
        let value = record.value.expect("a value").to_vec();
        let headers: Vec<_> = record.headers.iter().collect();
        assert_eq!(headers, [("h", Some(&value[..]))]);
        let timestamp_ms = batch.first_timestamp() + record.timestamp_delta;
        records.push((record.key.map(<[u8]>::to_vec), value, timestamp_ms));
    }
    let latest = records.iter().map(|(.., timestamp_ms)| *timestamp_ms).max();
    assert_eq!(Some(batch.max_timestamp()), latest);
    records
}

proptest! {
    /// Java: ProducerBatchTest#testSplitPreservesHeaders
    #[test]
    fn pieces_hold_the_records_in_order_and_keep_to_the_limit(
        records in proptest::collection::vec(
            (
                proptest::option::of(proptest::collection::vec(any::<u8>(), 0..50)),
                proptest::collection::vec(any::<u8>(), 0..300),
                0..i64::MAX,
            ),
            1..60,
        ),
        limit in 0..5000usize,
    ) {
        let (facts, whole) = build(&records);
        let pieces = divide(&facts, &whole, limit).expect("records");
        let mut together = Vec::new();
        for piece in &pieces {
            let read = read(piece);
            let size = RECORD_BATCH_OVERHEAD + piece.records.len();
            prop_assert!(size <= limit || read.len() == 1);
            prop_assert_eq!(piece.records.len(), piece.records.capacity(), "no memory beyond its bytes");
            together.extend(read);
        }
        prop_assert_eq!(together, records);
    }

    /// KAFKA-8350
    #[test]
    fn halving_makes_every_piece_smaller_than_the_whole(
        sizes in proptest::collection::vec(0..2000usize, 2..40),
    ) {
        let records: Vec<Plain> = sizes.iter().map(|size| (None, vec![7; *size], 1000)).collect();
        let (facts, whole) = build(&records);
        let size = RECORD_BATCH_OVERHEAD + whole.len();
        let limit = size / 2;
        let pieces = divide(&facts, &whole, limit).expect("records");
        prop_assert!(pieces.len() > 1);
        for piece in &pieces {
            prop_assert!(piece.facts.record_count < facts.record_count);
            prop_assert!(piece.records.len() < whole.len());
        }
    }
}

#[test]
fn a_record_count_that_differs_from_the_bytes_is_an_error() {
    let (facts, whole) = build(&[(None, vec![1; 10], 5), (None, vec![2; 10], 6)]);
    assert!(divide(&facts, &whole[..whole.len() - 1], 1000).is_err());
    assert!(divide(&facts, &[], 1000).is_err());
}
