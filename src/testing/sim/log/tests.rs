use bytes::Bytes;

use super::*;
use crate::compress::CompressionType;
use crate::record::batch::fixture::{BatchSpec, Plain, encode_record, seal};
use crate::record::format::{
    ATTRIBUTES_OFFSET, Attributes, BASE_SEQUENCE_OFFSET, CRC_OFFSET, LAST_OFFSET_DELTA_OFFSET,
    LENGTH_OFFSET, MAGIC_OFFSET, RECORD_BATCH_OVERHEAD,
};
use crate::testing::stored::MAX_UNCOMPRESSED_BYTES;

const NOW: Timestamp = Timestamp::from_millis(5_000);
const FULL: Depth = Depth {
    retain: true,
    validate_records: true,
};
const SINK: Depth = Depth {
    retain: false,
    validate_records: false,
};

fn batch(bytes: impl Into<Bytes>) -> RecordBatch {
    RecordBatch::take(&mut bytes.into()).unwrap()
}

/// Appends records as in version 9 of the request.
fn append_bytes(log: &mut PartitionLog, bytes: impl Into<Bytes>) -> Result<i64, ErrorCode> {
    append_with(log, bytes, &TopicSettings::DEFAULT, FULL)
        .map(|a| a.base_offset)
        .map_err(|r| r.code)
}

fn append_with(
    log: &mut PartitionLog,
    bytes: impl Into<Bytes>,
    settings: &TopicSettings,
    depth: Depth,
) -> Result<Appended, Rejected> {
    let records = take_records(Some(bytes.into()), 9)?;
    log.append(records, 0, settings, depth, NOW)
}

/// Appends `count` records of producer 7.
fn append(log: &mut PartitionLog, epoch: i16, sequence: i32, count: i32) -> Result<i64, ErrorCode> {
    append_bytes(
        log,
        BatchSpec::sequenced(7, epoch, sequence, count).encode(),
    )
}

fn three_records() -> BatchSpec {
    BatchSpec::of(["a", "b", "c"].map(Plain::value).to_vec())
}

#[test]
fn offsets_follow_each_other_and_records_are_read_back() {
    let mut log = PartitionLog::default();
    assert_eq!(append_bytes(&mut log, three_records().encode()), Ok(0));
    assert_eq!(append_bytes(&mut log, three_records().encode()), Ok(3));
    assert_eq!(log.next_offset(), 6);
    let records: Vec<_> = log
        .batches()
        .iter()
        .flat_map(StoredBatch::records)
        .map(|r| r.to_record())
        .collect();
    let offsets: Vec<_> = records.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4, 5]);
    assert_eq!(records[4].value.as_deref(), Some(&b"b"[..]));
    assert_eq!((records[4].timestamp, records[4].producer), (1000, None));
}

const CODECS: [CompressionType; 4] = [
    CompressionType::Gzip,
    CompressionType::Snappy,
    CompressionType::Lz4,
    CompressionType::Zstd,
];

#[test]
fn compressed_records_are_read_back_from_the_batch_as_it_was_sent() {
    let mut log = PartitionLog::default();
    for (codec, offset) in CODECS.into_iter().zip([0, 3, 6, 9]) {
        let bytes = three_records().encode_with(codec);
        assert_eq!(append_bytes(&mut log, bytes.clone()), Ok(offset), "{codec}");
        let stored = log.batches().last().unwrap().clone();
        assert_eq!((stored.codec(), stored.bytes()), (codec.id(), &bytes));
        // Twice: the second time the decompressed records are cached.
        for _ in 0..2 {
            let values: Vec<_> = stored.records().map(|r| r.value().unwrap()).collect();
            assert_eq!(values, [b"a", b"b", b"c"], "{codec}");
        }
        assert_eq!(&stored, log.batches().last().unwrap());
    }
}

/// Every record of a compressed batch is validated, and a batch that cannot be decompressed is refused.
#[test]
fn compressed_batches_are_checked_record_by_record() {
    let compacted = TopicSettings {
        compacted: true,
        ..TopicSettings::DEFAULT
    };
    let bomb = BatchSpec::of(vec![Plain::value(vec![0; MAX_UNCOMPRESSED_BYTES])]);
    for codec in CODECS {
        let mut log = PartitionLog::default();
        let keyless = three_records().encode_with(codec);
        let error = append_with(&mut log, keyless, &compacted, FULL).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRecord, "{codec}");
        assert_eq!(error.records.len(), 3);

        let noise = three_records().wrap_with(codec, b"no codec wrote this");
        let roomy = TopicSettings {
            max_message_bytes: MAX_UNCOMPRESSED_BYTES,
            ..TopicSettings::DEFAULT
        };
        for (bytes, reason) in [(noise, "invalid"), (bomb.encode_with(codec), "more than")] {
            let error = append_with(&mut log, bytes.clone(), &roomy, FULL).unwrap_err();
            assert_eq!(error.code, ErrorCode::UnknownServerError, "{codec}");
            let message = error.message.unwrap();
            assert!(message.contains(reason), "{codec}: {message}");
            let unchecked = Depth {
                validate_records: false,
                ..FULL
            };
            let mut log = PartitionLog::default();
            append_with(&mut log, bytes, &roomy, unchecked).unwrap();
            assert_eq!(log.batches()[0].records().count(), 0, "{codec}");
        }
    }
}

#[test]
fn without_retention_batches_are_validated_and_counted_only() {
    let mut log = PartitionLog::default();
    let settings = TopicSettings::DEFAULT;
    let bytes = three_records().encode();
    append_with(&mut log, bytes.clone(), &settings, SINK).unwrap();
    let mut damaged = bytes.to_vec();
    damaged[RECORD_BATCH_OVERHEAD] ^= 1;
    let error = append_with(&mut log, damaged, &settings, SINK).unwrap_err();
    assert_eq!(error.code, ErrorCode::CorruptMessage);
    assert!(log.batches().is_empty());
    let size = LogSize {
        records: 3,
        batches: 1,
        bytes: bytes.len() as u64,
        duplicates: 0,
    };
    assert_eq!((log.size(), log.next_offset()), (size, 3));
}

/// Java: ProducerStateManagerTest#testBasicIdMapping
#[test]
fn sequences_must_follow_each_other() {
    let mut log = PartitionLog::default();
    assert_eq!(append(&mut log, 0, 0, 3), Ok(0));
    assert_eq!(append(&mut log, 0, 3, 2), Ok(3));
    let gap = Err(ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(append(&mut log, 0, 6, 1), gap);
    assert_eq!(append(&mut log, 0, 4, 1), gap);
    assert_eq!(append(&mut log, 0, 5, 1), Ok(5));
}

/// Java: LogTest#testDuplicateAppends
#[test]
fn duplicates_of_the_last_five_batches_are_answered_with_their_first_offset() {
    let mut log = PartitionLog::default();
    for i in 0..6 {
        assert_eq!(append(&mut log, 0, i * 2, 2), Ok(i64::from(i) * 2));
    }
    for i in 1..6 {
        assert_eq!(
            append(&mut log, 0, i * 2, 2),
            Ok(i64::from(i) * 2),
            "batch {i}"
        );
    }
    // The oldest batch is not remembered any more, and a batch with the same first sequence number but another record
    // count is not a duplicate.
    let gap = Err(ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(append(&mut log, 0, 0, 2), gap);
    assert_eq!(append(&mut log, 0, 10, 1), gap);
    assert_eq!((log.next_offset(), log.size().duplicates), (12, 5));
}

/// A duplicate's answer carries the largest timestamp of the first write.
#[test]
fn a_duplicate_is_answered_with_the_timestamp_of_the_first_write() {
    let mut log = PartitionLog::default();
    let bytes = BatchSpec::sequenced(7, 0, 0, 1).encode();
    let settings = TopicSettings::DEFAULT;
    let first = append_with(&mut log, bytes.clone(), &settings, FULL).unwrap();
    let again = append_with(&mut log, bytes, &settings, FULL).unwrap();
    assert_eq!((first.log_append_time, again.log_append_time), (-1, 2000));
}

/// Java: ProducerStateManagerTest#testProducerSequenceWrapAround,
/// #testProducerSequenceWithWrapAroundBatchRecord
#[test]
fn sequences_wrap_to_zero_after_the_largest_also_inside_a_batch() {
    let mut log = PartitionLog::default();
    assert_eq!(append(&mut log, 0, i32::MAX - 1, 2), Ok(0));
    assert_eq!(append(&mut log, 0, 0, 1), Ok(2));
    let mut log = PartitionLog::default();
    assert_eq!(append(&mut log, 0, i32::MAX - 1, 4), Ok(0));
    assert_eq!(
        append(&mut log, 0, 1, 1),
        Err(ErrorCode::OutOfOrderSequenceNumber)
    );
    assert_eq!(append(&mut log, 0, 2, 1), Ok(4));
    assert_eq!(append(&mut log, 0, i32::MAX - 1, 4), Ok(0));
    let sequences: Vec<_> = log.batches()[0]
        .records()
        .map(|r| r.producer().unwrap().sequence)
        .collect();
    assert_eq!(sequences, [i32::MAX - 1, i32::MAX, 0, 1]);
}

/// Java: LogTest#testRetentionIdempotency (KAFKA-7190)
#[test]
fn an_unknown_producer_may_start_at_any_sequence() {
    let mut log = PartitionLog::default();
    assert_eq!(append(&mut log, 5, 1234, 1), Ok(0));
    assert_eq!(
        append(&mut log, 5, 1236, 1),
        Err(ErrorCode::OutOfOrderSequenceNumber)
    );
}

/// Java: LogTest#testOldProducerEpoch
#[test]
fn an_older_epoch_is_refused_and_a_newer_one_begins_at_zero() {
    let mut log = PartitionLog::default();
    assert_eq!(append(&mut log, 1, 0, 2), Ok(0));
    assert_eq!(
        append(&mut log, 0, 2, 1),
        Err(ErrorCode::InvalidProducerEpoch)
    );
    assert_eq!(
        append(&mut log, 2, 2, 1),
        Err(ErrorCode::OutOfOrderSequenceNumber)
    );
    assert_eq!(append(&mut log, 2, 0, 2), Ok(2));
    // A sequence number of an older epoch is not a duplicate in a newer one.
    assert_eq!(
        append(&mut log, 2, 0, 1),
        Err(ErrorCode::OutOfOrderSequenceNumber)
    );
    assert_eq!(
        append(&mut log, 1, 2, 1),
        Err(ErrorCode::InvalidProducerEpoch)
    );
}

#[test]
fn a_refused_batch_leaves_no_trace() {
    let mut log = PartitionLog::default();
    append(&mut log, 0, 0, 1).unwrap();
    let before = (log.size(), log.next_offset());
    append(&mut log, 0, 5, 1).unwrap_err();
    append(&mut log, 3, 5, 1).unwrap_err();
    assert_eq!((log.size(), log.next_offset()), before);
    assert_eq!(append(&mut log, 0, 1, 1), Ok(1));
}

/// Java: LogTest#testMultipleProducerIdsPerMemoryRecord
#[test]
fn producers_have_separate_sequences() {
    let mut log = PartitionLog::default();
    for id in 1..4 {
        append_bytes(&mut log, BatchSpec::sequenced(id, 0, 0, 2).encode()).unwrap();
    }
    assert_eq!(
        append_bytes(&mut log, BatchSpec::sequenced(2, 0, 0, 2).encode()),
        Ok(2)
    );
}

/// Java: LogValidatorTest#testInvalidOffsetRangeAndRecordCount, #testControlRecordsNotAllowedFromClients,
/// ProduceRequestTest#testV3AndAboveCannotUseMagicV1
#[test]
fn each_defect_of_a_batch_is_refused_with_kafkas_error_code() {
    type Change = fn(&mut Vec<u8>);
    let cases: [(&str, Change, ErrorCode); 11] = [
        ("no bytes", Vec::clear, ErrorCode::InvalidRecord),
        ("cut off", |b| b.truncate(70), ErrorCode::InvalidRecord),
        ("magic 1", |b| b[MAGIC_OFFSET] = 1, ErrorCode::InvalidRecord),
        (
            "magic 9",
            |b| b[MAGIC_OFFSET] = 9,
            ErrorCode::CorruptMessage,
        ),
        (
            "length",
            |b| b[LENGTH_OFFSET] = 0xff,
            ErrorCode::CorruptMessage,
        ),
        ("base offset", |b| b[7] = 1, ErrorCode::InvalidRecord),
        (
            "checksum",
            |b| b[CRC_OFFSET] ^= 1,
            ErrorCode::CorruptMessage,
        ),
        (
            "count",
            |b| b[LAST_OFFSET_DELTA_OFFSET + 3] = 7,
            ErrorCode::InvalidRecord,
        ),
        (
            "control",
            |b| b[ATTRIBUTES_OFFSET + 1] = 0x20,
            ErrorCode::InvalidRecord,
        ),
        (
            "codec 5",
            |b| b[ATTRIBUTES_OFFSET + 1] = 5,
            ErrorCode::UnknownServerError,
        ),
        (
            "sequence",
            |b| b[BASE_SEQUENCE_OFFSET] = 0xff,
            ErrorCode::InvalidRecord,
        ),
    ];
    for (name, change, code) in cases {
        let mut bytes = BatchSpec::sequenced(7, 0, 0, 3).encode().to_vec();
        change(&mut bytes);
        if name != "checksum" && bytes.len() > RECORD_BATCH_OVERHEAD {
            seal(&mut bytes);
        }
        let mut log = PartitionLog::default();
        assert_eq!(append_bytes(&mut log, bytes), Err(code), "{name}");
        assert_eq!(log.next_offset(), 0, "{name}");
    }
}

/// Java: ProduceRequestTest#testV3AndAboveCannotHaveNoRecordBatches,
/// #testV3AndAboveShouldContainOnlyOneRecordBatch, #testV6AndBelowCannotUseZStdCompression
#[test]
fn a_partition_has_one_batch_in_a_request_and_zstd_only_since_version_7() {
    let one = three_records().encode();
    let two = [one.clone(), one.clone()].concat();
    let code = |records, version| check::single_batch(records, version).map_err(|r| r.code);
    assert_eq!(code(None, 9), Err(ErrorCode::InvalidRecord));
    assert_eq!(code(Some(two.into()), 3), Err(ErrorCode::InvalidRecord));
    assert_eq!(code(Some(one.clone()), 3), Ok(batch(one)));
    let zstd = BatchSpec {
        attributes: Attributes::with_codec(4),
        ..three_records()
    }
    .encode();
    assert_eq!(
        code(Some(zstd.clone()), 6),
        Err(ErrorCode::UnsupportedCompressionType)
    );
    assert_eq!(code(Some(zstd.clone()), 7), Ok(batch(zstd)));
}

#[test]
fn a_batch_may_be_exactly_as_large_as_the_topics_limit() {
    let bytes = three_records().encode();
    let mut log = PartitionLog::default();
    let limit = |bytes: usize| TopicSettings {
        max_message_bytes: bytes,
        ..TopicSettings::DEFAULT
    };
    let error = append_with(&mut log, bytes.clone(), &limit(bytes.len() - 1), FULL).unwrap_err();
    assert_eq!(error.code, ErrorCode::MessageTooLarge);
    append_with(&mut log, bytes.clone(), &limit(bytes.len()), FULL).unwrap();
}

/// Java: LogValidatorTest#testInvalidOffsetRangeAndRecordCount
#[test]
fn record_validation_finds_invalid_records_and_can_be_switched_off() {
    let mut payload = Vec::new();
    encode_record(&mut payload, 0, &Plain::value("a"));
    let bytes = BatchSpec::default().wrap(&payload, 2);
    let mut log = PartitionLog::default();
    let error = append_with(&mut log, bytes.clone(), &TopicSettings::DEFAULT, FULL).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRecord);
    assert!(error.message.unwrap().contains("record 1"));
    append_with(&mut log, bytes, &TopicSettings::DEFAULT, SINK).unwrap();
}

/// Java: LogValidatorTest#testInvalidRecordExceptionHasBatchIndex,
/// #testInvalidTimestampExceptionHasBatchIndex
#[test]
fn invalid_records_are_listed_by_their_index_in_the_batch() {
    let mut spec = three_records();
    spec.records[1].key = Some(b"k".to_vec());
    let settings = TopicSettings {
        compacted: true,
        ..TopicSettings::DEFAULT
    };
    let mut log = PartitionLog::default();
    let error = append_with(&mut log, spec.encode(), &settings, FULL).unwrap_err();
    let places: Vec<_> = error.records.iter().map(|(place, _)| *place).collect();
    assert_eq!((error.code, places), (ErrorCode::InvalidRecord, vec![0, 2]));
    assert!(error.knows_log_start);
    spec.attributes = Attributes::default().log_append_time(true);
    let error = append_with(&mut log, spec.encode(), &TopicSettings::DEFAULT, FULL).unwrap_err();
    assert_eq!(
        (error.code, error.records.len()),
        (ErrorCode::InvalidTimestamp, 3)
    );
}

#[test]
fn log_append_time_is_set_on_all_records_and_reported() {
    let settings = TopicSettings {
        log_append_time: true,
        ..TopicSettings::DEFAULT
    };
    let mut log = PartitionLog::default();
    let appended = append_with(&mut log, three_records().encode(), &settings, FULL).unwrap();
    assert_eq!(appended.log_append_time, NOW.as_millis());
    assert!(
        log.batches()[0]
            .records()
            .all(|record| record.timestamp() == NOW.as_millis())
    );
}

/// Parsed batches are slices of the connection's read buffer.
#[test]
fn a_stored_batch_does_not_retain_the_read_buffer() {
    let batch = three_records().encode();
    for depth in [FULL, SINK] {
        let mut read = vec![0; 256 * 1024];
        read[100..100 + batch.len()].copy_from_slice(&batch);
        let read = Bytes::from(read);
        let mut log = PartitionLog::default();
        let sent = read.slice(100..100 + batch.len());
        append_with(&mut log, sent, &TopicSettings::DEFAULT, depth).unwrap();
        assert!(read.is_unique(), "{depth:?}");
        let kept = log.batches().iter().map(StoredBatch::bytes);
        let expected = if depth.retain { vec![&batch] } else { vec![] };
        assert_eq!(kept.collect::<Vec<_>>(), expected);
    }
}
