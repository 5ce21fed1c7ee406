use super::super::fixture::{Plain, Staged};
use super::*;

fn plain_set(records: &[Plain], per_chunk: usize, headers: usize, magic: LegacyMagic) -> Vec<u8> {
    let staged = Staged::new(records, per_chunk, headers);
    let mut out = b"before".to_vec();
    let converted = convert(&staged.facts, &staged.chunks(), magic, None, &mut out);
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

fn compressor(codec: CompressionType) -> Compressor {
    Compressor::new(codec, None).expect("part of this build")
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|c| !c.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| {
        u8::from_str_radix(std::str::from_utf8(pair).expect("ascii"), 16).expect("hex")
    };
    digits.chunks(2).map(byte).collect()
}

/// The checksums were computed by zlib's `crc32`. Java: LegacyRecordTest#testFields, #testChecksum
#[test]
fn a_message_has_the_known_bytes() {
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
fn null_differs_from_empty_and_offsets_ascend() {
    let records = [Plain::new(0, None, Some("")), Plain::new(7, Some(""), None)];
    let v0 = "0000000000000000 0000000e 795748e0 00 00 ffffffff 00000000
              0000000000000001 0000000e 3d314895 00 00 00000000 ffffffff";
    assert_eq!(plain_set(&records, 2, 0, LegacyMagic::V0), bytes(v0));
    let v1 = "0000000000000000 00000016 1294593a 01 00 0000000000000000 ffffffff 00000000
              0000000000000001 00000016 32933486 01 00 0000000000000007 00000000 ffffffff";
    assert_eq!(plain_set(&records, 2, 0, LegacyMagic::V1), bytes(v1));
}

#[test]
fn chunk_boundaries_and_headers_do_not_change_the_message_set() {
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

/// Java: MemoryRecordsBuilder#writeLegacyCompressedWrapperHeader
#[test]
fn a_compressed_set_is_one_message_with_the_last_offset_and_largest_timestamp() {
    let records = [
        Plain::new(5, Some("a"), Some("b")),
        Plain::new(3, None, Some("c")),
    ];
    let expected = [
        (
            LegacyMagic::V0,
            "00 02 ffffffff",
            "0000000000000000 00000010 a4ad2011 00 00 00000001 61 00000001 62
             0000000000000001 0000000f bfd15b1e 00 00 ffffffff 00000001 63",
        ),
        (
            LegacyMagic::V1,
            "01 02 0000000000000005 ffffffff",
            "0000000000000000 00000018 c49deaf7 01 00 0000000000000005 00000001 61 00000001 62
             0000000000000001 00000017 328b18c6 01 00 0000000000000003 ffffffff 00000001 63",
        ),
    ];
    for (magic, head, inner) in expected {
        let (head, inner) = (bytes(head), bytes(inner));
        let mut compressed = Vec::new();
        let snappy = compressor(CompressionType::Snappy);
        snappy
            .compress(magic.magic(), &[&inner], &mut compressed)
            .expect("compressed");
        let length = (compressed.len() as u32).to_be_bytes();
        let covered = [&head[..], &length, &compressed].concat();
        let checksum = crc32fast::hash(&covered).to_be_bytes();
        let size = (covered.len() as u32 + 4).to_be_bytes();
        let expected = [&1_u64.to_be_bytes()[..], &size, &checksum, &covered].concat();

        let staged = Staged::new(&records, 1, 0);
        let mut out = b"before".to_vec();
        let converted = convert(
            &staged.facts,
            &staged.chunks(),
            magic,
            Some(&snappy),
            &mut out,
        );
        assert_eq!(out[6..], expected, "{magic:?}");
        let expected = Converted {
            message_bytes: inner.len(),
            compressed_bytes: Some(compressed.len()),
        };
        assert_eq!(converted, Ok(expected));
        assert_eq!(out.len() - 6, magic.set_overhead(true) + compressed.len());
    }
}

/// Java: MemoryRecordsBuilderTest#testWriteEmptyRecordSet
#[test]
fn a_set_without_records_has_no_bytes() {
    let staged = Staged::new(&[], 1, 0);
    for magic in [LegacyMagic::V0, LegacyMagic::V1] {
        assert!(plain_set(&[], 1, 0, magic).is_empty());
        let mut out = Vec::new();
        let snappy = compressor(CompressionType::Snappy);
        let converted = convert(&staged.facts, &[], magic, Some(&snappy), &mut out);
        let ratio = converted.map(Converted::compression_ratio);
        assert_eq!((ratio, out.len()), (Ok(1.0), 0));
    }
}

/// Java: MemoryRecordsBuilderTest#testUnsupportedCompress
#[test]
fn zstd_is_refused_with_the_remedy() {
    let staged = Staged::new(&[Plain::default()], 1, 0);
    let mut out = Vec::new();
    let converted = convert(
        &staged.facts,
        &staged.chunks(),
        LegacyMagic::V1,
        Some(&compressor(CompressionType::Zstd)),
        &mut out,
    );
    assert_eq!(converted, Err(ConvertError::Zstd));
    assert!(ConvertError::Zstd.to_string().contains("compression.type"));
    assert!(out.is_empty());
}

#[test]
fn an_error_leaves_the_output_unchanged() {
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
            let converted = convert(&staged.facts, chunks, magic, None, &mut out);
            assert_eq!(
                (converted, &out[..]),
                (Err(expected.clone()), &b"before"[..])
            );
        }
    }
}

/// PB-7. Java: MemoryRecordsBuilderTest#testCompressionRateV0, #testCompressionRateV1
#[test]
fn the_compression_ratio_excludes_the_wrapper() {
    let records = vec![Plain::new(0, None, Some(&"a".repeat(1000))); 10];
    let staged = Staged::new(&records, 3, 0);
    for magic in [LegacyMagic::V0, LegacyMagic::V1] {
        let mut out = Vec::new();
        let snappy = compressor(CompressionType::Snappy);
        let converted = convert(
            &staged.facts,
            &staged.chunks(),
            magic,
            Some(&snappy),
            &mut out,
        );
        let compressed = (out.len() - magic.set_overhead(true)) as f32;
        let expected = compressed / (10 * magic.message_size(0, 1000)) as f32;
        assert_eq!(converted.map(Converted::compression_ratio), Ok(expected));
        assert!(expected < 0.5);
    }
}

#[test]
fn the_codec_none_makes_a_plain_set() {
    let records = [Plain::new(1, None, Some("a"))];
    let staged = Staged::new(&records, 1, 0);
    let none = compressor(CompressionType::None);
    let mut out = Vec::new();
    let (chunks, magic) = (staged.chunks(), LegacyMagic::V1);
    convert(&staged.facts, &chunks, magic, Some(&none), &mut out).expect("converted");
    assert_eq!(out, plain_set(&records, 1, 0, magic));
}
