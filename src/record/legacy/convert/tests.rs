use super::super::fixture::{Plain, Staged};
use super::*;

type Never = Compression<fn(&[u8], &mut Vec<u8>) -> Result<(), ConvertError>>;

/// What none of these formats compresses like; its number is gzip's.
fn reversed(messages: &[u8], out: &mut Vec<u8>) -> Result<(), ConvertError> {
    out.extend(messages.iter().rev());
    Ok(())
}

fn plain_set(records: &[Plain], per_chunk: usize, headers: usize, magic: LegacyMagic) -> Vec<u8> {
    let staged = Staged::new(records, per_chunk, headers);
    let mut out = b"before".to_vec();
    let converted = convert_with(
        &staged.facts,
        &staged.chunks(),
        magic,
        None::<Never>,
        &mut out,
    );
    let set = out.split_off(6);
    assert_eq!(out, b"before");
    let expected = Converted {
        message_bytes: set.len(),
        compressed_bytes: None,
    };
    assert_eq!(converted, Ok(expected));
    assert!((expected.compression_ratio() - 1.0).abs() < f32::EPSILON);
    set
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|c| !c.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| {
        u8::from_str_radix(std::str::from_utf8(pair).expect("ascii"), 16).expect("hex")
    };
    digits.chunks(2).map(byte).collect()
}

/// Checksums from zlib's `crc32`. Java: SimpleLegacyRecordTest, LegacyRecordTest
#[test]
fn a_message_has_its_known_bytes() {
    let record = [Plain::new(1_234_567_890_123, Some("key"), Some("value"))];
    assert_eq!(
        plain_set(&record, 1, 0, LegacyMagic::V0),
        bytes("0000000000000000 00000016 2356c137 00 00 00000003 6b6579 00000005 76616c7565")
    );
    assert_eq!(
        plain_set(&record, 1, 0, LegacyMagic::V1),
        bytes(
            "0000000000000000 0000001e a70000e9 01 00 0000011f71fb04cb
             00000003 6b6579 00000005 76616c7565"
        )
    );
}

#[test]
fn null_and_empty_are_told_apart_and_offsets_count() {
    let records = [Plain::new(0, None, Some("")), Plain::new(7, Some(""), None)];
    let v0 = "0000000000000000 0000000e 795748e0 00 00 ffffffff 00000000
              0000000000000001 0000000e 3d314895 00 00 00000000 ffffffff";
    assert_eq!(plain_set(&records, 2, 0, LegacyMagic::V0), bytes(v0));
    let v1 = "0000000000000000 00000016 1294593a 01 00 0000000000000000 ffffffff 00000000
              0000000000000001 00000016 32933486 01 00 0000000000000007 00000000 ffffffff";
    assert_eq!(plain_set(&records, 2, 0, LegacyMagic::V1), bytes(v1));
}

#[test]
fn chunks_and_headers_leave_no_trace() {
    let records: Vec<_> = (0..7)
        .map(|at| Plain::new(at * 1000, None, Some("value")))
        .collect();
    for magic in [LegacyMagic::V0, LegacyMagic::V1] {
        let whole = plain_set(&records, 7, 0, magic);
        assert_eq!(plain_set(&records, 1, 0, magic), whole);
        assert_eq!(plain_set(&records, 3, 2, magic), whole);
        assert_eq!(whole.len(), 7 * magic.message_size(0, 5));
    }
}

/// Java: MemoryRecordsBuilderTest#testCompressionRateV0, #testCompressionRateV1
#[test]
fn a_compressed_set_is_one_message_with_the_last_offset_and_largest_timestamp() {
    let records = [
        Plain::new(5, Some("a"), Some("b")),
        Plain::new(3, None, Some("c")),
    ];
    let expected = [
        (
            LegacyMagic::V0,
            "0000000000000001 00000045 cc270d4f 00 01 ffffffff 00000037
             6301000000ffffffff00001e5bd1bf0f000000010000000000000062010000006101
             00000000001120ada4100000000000000000000000",
        ),
        (
            LegacyMagic::V1,
            "0000000000000001 0000005d 569b88b8 01 01 0000000000000005 ffffffff 00000047
             6301000000ffffffff03000000000000000001c6188b321700000001000000000000
             006201000000610100000005000000000000000001f7ea9dc4180000000000000000000000",
        ),
    ];
    for (magic, set) in expected {
        let staged = Staged::new(&records, 1, 0);
        let compression = Compression {
            codec: 1,
            compress: reversed,
        };
        let mut out = b"before".to_vec();
        let converted = convert_with(
            &staged.facts,
            &staged.chunks(),
            magic,
            Some(compression),
            &mut out,
        );
        assert_eq!(out[6..], bytes(set), "{magic:?}");
        let inner = magic.message_size(1, 1) + magic.message_size(0, 1);
        let expected = Converted {
            message_bytes: inner,
            compressed_bytes: Some(inner),
        };
        assert_eq!(converted, Ok(expected));
        assert_eq!(out.len() - 6, magic.set_overhead(true) + inner);
    }
}

/// Java: MemoryRecordsBuilderTest#testWriteEmptyRecordSet
#[test]
fn no_records_are_no_bytes() {
    let staged = Staged::new(&[], 1, 0);
    for magic in [LegacyMagic::V0, LegacyMagic::V1] {
        assert!(plain_set(&[], 1, 0, magic).is_empty());
        let mut out = Vec::new();
        let compression = Compression {
            codec: 1,
            compress: reversed,
        };
        let converted = convert_with(&staged.facts, &[], magic, Some(compression), &mut out);
        let ratio = converted.map(Converted::compression_ratio);
        assert_eq!((ratio, out.len()), (Ok(1.0), 0));
    }
}

/// Java: MemoryRecordsBuilderTest#testUnsupportedCompress
#[test]
fn zstd_is_refused_with_what_to_do() {
    let staged = Staged::new(&[Plain::default()], 1, 0);
    let compression = Compression {
        codec: ZSTD,
        compress: reversed,
    };
    let mut out = Vec::new();
    let converted = convert_with(
        &staged.facts,
        &staged.chunks(),
        LegacyMagic::V1,
        Some(compression),
        &mut out,
    );
    assert_eq!(converted, Err(ConvertError::Zstd));
    assert!(ConvertError::Zstd.to_string().contains("compression.type"));
    assert!(out.is_empty());
}

#[test]
fn after_an_error_nothing_was_written() {
    let records = [Plain::new(1, None, Some("a")), Plain::new(2, None, None)];
    let staged = Staged::new(&records, 1, 0);
    let (first, second) = (staged.chunks()[0], staged.chunks()[1]);
    let cut = &second[..second.len() - 1];
    let negative = [&second[..1], &[0, 0, 0, 3, 1, 0]].concat();
    let refused: [(&[&[u8]], ConvertError); 4] = [
        (
            &[first],
            ConvertError::Count {
                expected: 2,
                found: 1,
            },
        ),
        (
            &[first, second, first],
            ConvertError::Count {
                expected: 2,
                found: 3,
            },
        ),
        (&[first, cut], VarintError::Truncated.into()),
        (&[&negative], VarintError::Truncated.into()),
    ];
    for (chunks, expected) in refused {
        for magic in [LegacyMagic::V0, LegacyMagic::V1] {
            let mut out = b"before".to_vec();
            let converted = convert_with(&staged.facts, chunks, magic, None::<Never>, &mut out);
            assert_eq!(
                (converted, &out[..]),
                (Err(expected.clone()), &b"before"[..])
            );
        }
    }
}

#[test]
fn a_compressor_that_fails_leaves_nothing_behind() {
    let staged = Staged::new(&[Plain::default()], 1, 0);
    let compress = |_: &[u8], out: &mut Vec<u8>| {
        out.extend_from_slice(b"half");
        Err(ConvertError::TooLarge { bytes: 5 })
    };
    let mut out = b"before".to_vec();
    let compression = Some(Compression { codec: 1, compress });
    let converted = convert_with(
        &staged.facts,
        &staged.chunks(),
        LegacyMagic::V0,
        compression,
        &mut out,
    );
    assert_eq!(converted, Err(ConvertError::TooLarge { bytes: 5 }));
    assert_eq!(out, b"before");
}
