use proptest::prelude::*;

use super::super::convert;
use super::super::convert::ConvertError;
use super::super::fixture::{Plain, Staged, any_batch, codecs};
use super::super::write::MessageHead;
use super::*;
use crate::compress::{Compressor, DecompressError};

const LIMIT: usize = 1 << 20;
const SNAPPY: u8 = 2;

fn compressor() -> Compressor {
    Compressor::new(CompressionType::Snappy, None).expect("part of this build")
}

fn head(magic: LegacyMagic, offset: i64, codec: u8) -> MessageHead {
    MessageHead {
        magic,
        offset,
        codec,
        timestamp_ms: 7,
    }
}

fn plain(magic: LegacyMagic, offset: i64, value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    head(magic, offset, 0).put_message(&mut out, None, Some(value.as_bytes()));
    out
}

/// A wrapper with this offset, whose value is `inside`, compressed; `inside` need not be valid.
fn wrapper(magic: LegacyMagic, offset: i64, inside: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    head(magic, offset, SNAPPY)
        .put_around(&mut out, |out| -> Result<(), ConvertError> {
            Ok(compressor().compress(magic.magic(), &[inside], out)?)
        })
        .expect("written");
    out
}

/// Recomputes the checksum after a change.
fn seal(message: &mut [u8]) {
    let checksum = crc32fast::hash(&message[MAGIC_OFFSET..]);
    message[CRC_OFFSET..MAGIC_OFFSET].copy_from_slice(&checksum.to_be_bytes());
}

fn offsets(set: &[u8]) -> Result<Vec<i64>, SetError> {
    let mut offsets = Vec::new();
    visit_records(set, LIMIT, |message| offsets.push(message.offset))?;
    Ok(offsets)
}

fn problem(set: &[u8]) -> MessageError {
    offsets(set).unwrap_err().problem
}

proptest! {
    #[test]
    fn written_messages_are_read_back(batch in any_batch(), codec in codecs()) {
        let (records, per_chunk, headers) = batch;
        let compressor = Compressor::new(codec, None).expect("part of this build");
        let staged = Staged::new(&records, per_chunk, headers);
        for magic in [LegacyMagic::V0, LegacyMagic::V1] {
            let mut set = Vec::new();
            let converted =
                convert(&staged.facts, &staged.chunks(), magic, Some(&compressor), &mut set)
                    .expect("converted");
            let mut found = Vec::new();
            visit_records(&set, converted.message_bytes, |message| {
                assert_eq!((message.magic, message.codec()), (magic, 0));
                assert_eq!(message.offset, found.len() as i64);
                found.push(Plain {
                    timestamp_ms: message.timestamp_ms,
                    key: message.key.map(<[u8]>::to_vec),
                    value: message.value.map(<[u8]>::to_vec),
                });
            })
            .expect("a good set");
            let mut expected = records.clone();
            if magic == LegacyMagic::V0 {
                for record in &mut expected { record.timestamp_ms = NO_TIMESTAMP; }
            }
            prop_assert_eq!(&found, &expected);
            let lens = |field: &Option<Vec<u8>>| field.as_ref().map_or(0, Vec::len);
            let sizes = records.iter().map(|r| magic.message_size(lens(&r.key), lens(&r.value)));
            prop_assert_eq!(converted.message_bytes, sizes.sum::<usize>());
            let compressed = converted.compressed_bytes;
            prop_assert_eq!(compressed.is_some(), codec != CompressionType::None);
            let size = magic.set_overhead(compressed.is_some())
                + compressed.unwrap_or(converted.message_bytes);
            prop_assert_eq!(size, set.len());
        }
    }

    /// A truncated set, or one with a flipped bit, is not accepted as another set.
    #[test]
    fn truncation_and_bit_flips_are_detected(batch in any_batch(), codec in codecs(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let (records, per_chunk, _) = batch;
        let compressor = Compressor::new(codec, None).expect("part of this build");
        let staged = Staged::new(&records, per_chunk, 0);
        let mut set = Vec::new();
        convert(&staged.facts, &staged.chunks(), LegacyMagic::V1, Some(&compressor), &mut set)
            .expect("converted");
        let ends: Vec<_> = Messages::new(&set)
            .map(|message| message.map(|(at, message)| at + message.size_bytes).expect("good"))
            .collect();
        let cut = at.index(set.len());
        if cut > 0 && !ends.contains(&cut) {
            let error = offsets(&set[..cut]).unwrap_err();
            prop_assert!(matches!(error.problem, MessageError::Truncated { .. }), "{}", error);
        }
        let damaged = at.index(set.len());
        let begin = ends.iter().rev().find(|end| **end <= damaged).copied().unwrap_or(0);
        set[damaged] ^= 1_u8 << bit;
        // The checksum does not cover offsets: a broker sets them.
        if damaged - begin >= 8 {
            prop_assert_eq!(offsets(&set).unwrap_err().at_byte, begin);
        }
    }
}

/// Java: AbstractLegacyRecordBatchTest#testSetLastOffsetCompressed
#[test]
fn inner_offsets_end_at_the_offset_of_the_wrapper() {
    let [v0, v1] = [LegacyMagic::V0, LegacyMagic::V1]
        .map(|magic| [0, 1, 2].map(|offset| plain(magic, offset, "a")).concat());
    let at = |offset| offsets(&wrapper(LegacyMagic::V1, offset, &v1));
    assert_eq!(at(2), Ok(vec![0, 1, 2]));
    assert_eq!(at(44), Ok(vec![42, 43, 44]));
    // Some versions of librdkafka write 0 as the wrapper's offset.
    assert_eq!(at(0), Ok(vec![0, 1, 2]));
    assert_eq!(
        offsets(&wrapper(LegacyMagic::V0, 44, &v0)),
        Ok(vec![0, 1, 2])
    );
    // Several wrappers, and messages between them.
    let mixed = [
        wrapper(LegacyMagic::V1, 5, &v1),
        plain(LegacyMagic::V1, 9, "b"),
        wrapper(LegacyMagic::V1, 12, &v1),
    ];
    assert_eq!(offsets(&mixed.concat()), Ok(vec![3, 4, 5, 9, 10, 11, 12]));
    assert_eq!(offsets(&[]), Ok(vec![]));
}

/// Java: AbstractLegacyRecordBatchTest#testSetLogAppendTimeCompressedV1
#[test]
fn a_log_append_time_in_the_wrapper_applies_to_all_its_messages() {
    let inside = plain(LegacyMagic::V1, 0, "a");
    let mut set = wrapper(LegacyMagic::V1, 0, &inside);
    let mut timestamps = Vec::new();
    for append_time in [None, Some(1234_i64)] {
        if let Some(time) = append_time {
            set[ATTRIBUTES_OFFSET] |= LOG_APPEND_TIME_BIT;
            set[ATTRIBUTES_OFFSET + 1..][..8].copy_from_slice(&time.to_be_bytes());
            seal(&mut set);
        }
        visit_records(&set, LIMIT, |m| timestamps.push(m.timestamp_ms)).expect("good");
    }
    assert_eq!(timestamps, [7, 1234]);
}

/// Java: SimpleLegacyRecordTest#testCompressedIterationWithNullValue,
/// #testCompressedIterationWithEmptyRecords
#[test]
fn invalid_contents_of_a_wrapper_are_refused() {
    let message = plain(LegacyMagic::V1, 5, "a");
    let nested = wrapper(LegacyMagic::V1, 0, &wrapper(LegacyMagic::V1, 0, &message));
    let mut null = Vec::new();
    head(LegacyMagic::V1, 0, SNAPPY).put_message(&mut null, None, None);
    let mut zstd = wrapper(LegacyMagic::V1, 5, &message);
    zstd[ATTRIBUTES_OFFSET] = 4;
    seal(&mut zstd);
    let mut unknown = zstd.clone();
    unknown[ATTRIBUTES_OFFSET] = 6;
    seal(&mut unknown);
    let cases = [
        (nested, MessageError::Nested),
        (null, MessageError::EmptyWrapper),
        (wrapper(LegacyMagic::V1, 0, &[]), MessageError::EmptyWrapper),
        (
            wrapper(LegacyMagic::V0, 5, &message),
            MessageError::MixedMagic,
        ),
        (
            wrapper(LegacyMagic::V1, 4, &message),
            MessageError::WrapperOffset {
                wrapper: 4,
                last_inside: 5,
            },
        ),
        (zstd, MessageError::Codec(4)),
        (unknown, MessageError::Codec(6)),
    ];
    for (set, expected) in cases {
        assert_eq!(problem(&set), expected);
    }
}

#[test]
fn an_error_inside_a_wrapper_names_the_offsets_of_message_and_wrapper() {
    let mut inside = [0, 1].map(|at| plain(LegacyMagic::V1, at, "a")).concat();
    let last = inside.len() - 1;
    inside[last] ^= 1;
    let first = plain(LegacyMagic::V1, 0, "b");
    let set = [first.clone(), wrapper(LegacyMagic::V1, 2, &inside)].concat();
    let error = offsets(&set).unwrap_err();
    assert_eq!(error.at_byte, inside.len() / 2);
    assert_eq!(error.wrapper_at_byte, Some(first.len()));
    let text = error.to_string();
    assert!(
        text.starts_with("the message at byte 35 in the wrapper at byte 35: checksum "),
        "{text}"
    );
}

/// Java: ByteBufferLogInputStreamTest#iteratorRaisesOnTooSmallRecords, #iteratorRaisesOnInvalidMagic,
/// SimpleLegacyRecordTest#testIsValidWithTooSmallBuffer
#[test]
fn invalid_lengths_are_refused() {
    for magic in [LegacyMagic::V0, LegacyMagic::V1] {
        let good = plain(magic, 0, "abc");
        for (length, expected) in [
            (-1, MessageError::InvalidLength(-1)),
            (i32::MIN, MessageError::InvalidLength(i32::MIN)),
            (13, MessageError::InvalidLength(13)),
            (
                i32::MAX,
                MessageError::Truncated {
                    needed: i32::MAX as usize + LOG_OVERHEAD,
                    available: good.len(),
                },
            ),
        ] {
            let mut set = good.clone();
            set[LENGTH_OFFSET..CRC_OFFSET].copy_from_slice(&length.to_be_bytes());
            assert_eq!(problem(&set), expected);
        }
        let at = magic.head_bytes();
        for length in [4, i32::MAX, -2] {
            let mut set = good.clone();
            set[at + 4..at + 8].copy_from_slice(&length.to_be_bytes());
            seal(&mut set);
            let expected = MessageError::Field {
                field: "value",
                length,
                available: 3,
            };
            assert_eq!(problem(&set), expected);
        }
        let mut short = good.clone();
        short[at + 4..at + 8].copy_from_slice(&1_i32.to_be_bytes());
        seal(&mut short);
        assert_eq!(problem(&short), MessageError::Unused(2));
    }
    let mut newer = plain(LegacyMagic::V1, 0, "abc");
    newer[MAGIC_OFFSET] = 2;
    assert_eq!(problem(&newer), MessageError::UnsupportedMagic(2));
}

#[test]
fn a_wrapper_is_not_decompressed_beyond_the_limit() {
    let inside = plain(LegacyMagic::V1, 0, &"a".repeat(100_000));
    let set = wrapper(LegacyMagic::V1, 0, &inside);
    assert!(set.len() < inside.len() / 10);
    let within = |limit| visit_records(&set, limit, |_| ()).map_err(|error| error.problem);
    assert_eq!(within(inside.len()), Ok(()));
    let limit_bytes = inside.len() - 1;
    let expected = MessageError::Decompress(DecompressError::TooLarge { limit_bytes });
    assert_eq!(within(limit_bytes), Err(expected));
}
