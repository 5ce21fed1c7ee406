use super::super::{
    Appended, Depth, Incoming, PartitionLog, Rejected, TopicSettings, take_records,
};
use super::*;
use crate::clock::Timestamp;
use crate::compress::{CompressionType, Compressor};
use crate::record::legacy::fixture::{CODECS, Plain, Staged};
use crate::record::legacy::{LegacyMagic, convert};
use crate::testing::{StoredBatch, StoredRecord};

const NOW: Timestamp = Timestamp::from_millis(5_000);
const FULL: Depth = Depth {
    retain: true,
    validate_records: true,
};
const NO_LIMIT: TopicSettings = TopicSettings::DEFAULT;

fn set(records: &[Plain], magic: LegacyMagic, codec: CompressionType) -> Bytes {
    let staged = Staged::new(records, records.len().max(1), 0);
    let compressor = Compressor::new(codec, None).expect("part of this build");
    let (mut out, chunks) = (Vec::new(), staged.chunks());
    convert(&staged.facts, &chunks, magic, Some(&compressor), &mut out).expect("converted");
    out.into()
}

fn two() -> Vec<Plain> {
    vec![
        Plain::new(30, Some("k"), Some("a")),
        Plain::new(20, None, None),
    ]
}

fn append(
    log: &mut PartitionLog,
    set: impl Into<Bytes>,
    settings: &TopicSettings,
) -> Result<Appended, Rejected> {
    let records = take_records(Some(set.into()), 2)?;
    assert!(matches!(records, Incoming::MessageSet(_)));
    log.append(records, 0, settings, FULL, NOW)
}

fn code(set: impl Into<Bytes>) -> ErrorCode {
    let mut log = PartitionLog::default();
    let rejected = append(&mut log, set, &NO_LIMIT).unwrap_err();
    assert_eq!(log.next_offset(), 0);
    rejected.code
}

fn records(log: &PartitionLog) -> Vec<StoredRecord> {
    let records = log.batches().iter().flat_map(StoredBatch::records);
    records.map(|record| record.to_record()).collect()
}

#[test]
fn sets_of_every_kind_are_written_and_read_back() {
    for magic in [LegacyMagic::V0, LegacyMagic::V1] {
        for codec in CODECS {
            let mut log = PartitionLog::default();
            let sent = set(&two(), magic, codec);
            for base_offset in [0, 2] {
                let appended = append(&mut log, sent.clone(), &NO_LIMIT).unwrap();
                let expected = Appended {
                    base_offset,
                    log_append_time: -1,
                };
                assert_eq!(appended, expected);
            }
            let batch = &log.batches()[1];
            assert_eq!(
                (batch.magic(), batch.codec()),
                (magic.magic() as u8, codec.id())
            );
            assert_eq!((batch.bytes(), batch.record_count()), (&sent, 2));
            assert_eq!(batch.size_bytes(), sent.len());
            assert_eq!(log.size().bytes, 2 * sent.len() as u64);
            let own = |timestamp| {
                if magic == LegacyMagic::V0 {
                    -1
                } else {
                    timestamp
                }
            };
            let found: Vec<_> = records(&log)
                .into_iter()
                .map(|r| (r.offset, r.timestamp, r.key, r.value))
                .collect();
            let (k, a) = (Some(b"k".to_vec()), Some(b"a".to_vec()));
            let expected = [
                (0, own(30), k.clone(), a.clone()),
                (1, own(20), None, None),
                (2, own(30), k, a),
                (3, own(20), None, None),
            ];
            assert_eq!(found, expected, "{magic:?} {codec}");
        }
    }
}

/// Java: LogValidatorTest#testLogAppendTimeNonCompressedV1
#[test]
fn a_message_set_may_get_the_log_append_time() {
    let settings = TopicSettings {
        log_append_time: true,
        ..NO_LIMIT
    };
    let mut log = PartitionLog::default();
    let sent = set(&two(), LegacyMagic::V1, CompressionType::None);
    let appended = append(&mut log, sent, &settings).unwrap();
    assert_eq!(appended.log_append_time, 5_000);
    assert!(records(&log).iter().all(|record| record.timestamp == 5_000));
}

/// Each message is limited by itself, since a set has no size limit. Java: LogTest#testMessageSizeCheck
#[test]
fn a_message_may_be_exactly_as_large_as_the_topics_limit() {
    let sent = set(&two(), LegacyMagic::V1, CompressionType::None);
    let largest = LegacyMagic::V1.message_size(1, 1);
    let limit = |bytes| TopicSettings {
        max_message_bytes: bytes,
        ..NO_LIMIT
    };
    let mut log = PartitionLog::default();
    append(&mut log, sent.clone(), &limit(largest)).unwrap();
    let error = append(&mut log, sent, &limit(largest - 1)).unwrap_err();
    assert_eq!(error.code, ErrorCode::MessageTooLarge);
}

/// Java: LogValidatorTest#testCompressedV1, #testInvalidInnerMagicVersion,
/// #testNonCompressedBatchWithoutRecords, LogTest#testCompactedTopicConstraints
#[test]
fn invalid_message_sets_are_refused_with_kafkas_codes() {
    let plain = |magic| set(&two(), magic, CompressionType::None);
    let snappy = set(&two(), LegacyMagic::V1, CompressionType::Snappy);
    let v1 = plain(LegacyMagic::V1);

    let mut damaged = v1.to_vec();
    damaged[v1.len() - 1] ^= 1;
    assert_eq!(code(damaged), ErrorCode::CorruptMessage);
    assert_eq!(code(v1.slice(..v1.len() - 1)), ErrorCode::InvalidRecord);
    assert_eq!(code(Bytes::new()), ErrorCode::InvalidRecord);
    let mixed = [v1.clone(), plain(LegacyMagic::V0)].concat();
    assert_eq!(code(mixed), ErrorCode::InvalidRecord);
    let beside = [snappy.clone(), v1.clone()].concat();
    assert_eq!(code(beside), ErrorCode::InvalidRecord);
    let mut newer = v1.to_vec();
    newer[16] = 2;
    assert_eq!(code(newer), ErrorCode::CorruptMessage);

    let at = LegacyMagic::V1.set_overhead(true);
    let resealed = |change: &dyn Fn(&mut [u8])| {
        let mut set = snappy.to_vec();
        change(&mut set);
        let checksum = crc32fast::hash(&set[16..]);
        set[12..16].copy_from_slice(&checksum.to_be_bytes());
        set
    };
    let garbled = resealed(&|set| set[at..].fill(0xff));
    assert_eq!(code(garbled), ErrorCode::UnknownServerError);
    for (codec, expected) in [
        (4, ErrorCode::InvalidRecord),
        (5, ErrorCode::UnknownServerError),
    ] {
        let other = resealed(&|set| set[17] = codec);
        assert_eq!(code(other), expected, "codec {codec}");
    }

    let compacted = TopicSettings {
        compacted: true,
        ..NO_LIMIT
    };
    let mut log = PartitionLog::default();
    let error = append(&mut log, v1, &compacted).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRecord);
    assert_eq!(error.records[0].0, 1, "the second has no key");
}

#[test]
fn a_stored_message_set_does_not_retain_the_read_buffer() {
    let sent = set(&two(), LegacyMagic::V1, CompressionType::None);
    let mut read = vec![0; 256 * 1024];
    read[100..100 + sent.len()].copy_from_slice(&sent);
    let read = Bytes::from(read);
    let mut log = PartitionLog::default();
    append(&mut log, read.slice(100..100 + sent.len()), &NO_LIMIT).unwrap();
    assert!(read.is_unique());
    assert_eq!(log.batches()[0].bytes(), &sent);
}
