//! Decompression of invalid and malicious data.

use super::*;

/// A limit that only decompression bombs exceed in these tests.
const ENOUGH: usize = 1 << 20;

/// A short compressed sample of each codec and framing.
fn samples() -> Vec<(CompressionType, Magic, Vec<u8>)> {
    let input = &lines()[..600];
    let mut samples = Vec::new();
    for codec in CODECS.into_iter().skip(1) {
        for magic in [Magic::V0, Magic::V2] {
            samples.push((codec, magic, compress(codec, magic, &[input])));
        }
    }
    let bare = snap::raw::Encoder::new().compress_vec(input).unwrap();
    samples.push((CompressionType::Snappy, Magic::V2, bare));
    samples
}

#[test]
fn truncated_data_is_an_error_unless_it_is_a_complete_snappy_stream() {
    let input = &lines()[..600];
    for (codec, magic, sample) in samples() {
        for len in 1..sample.len() {
            let read = decompress(codec, magic, &sample[..len], ENOUGH);
            match codec {
                // A Snappy stream has no end mark: a header alone is a valid stream.
                CompressionType::Snappy if read == Ok(Vec::new()) => assert_eq!(len, 16),
                _ => assert!(
                    matches!(read, Err(DecompressError::Corrupt { .. })),
                    "{codec} cut at {len}: {read:?}"
                ),
            }
        }
        let read = decompress(codec, magic, &sample, ENOUGH);
        assert_eq!(read.as_deref(), Ok(input));
    }
}

#[test]
fn a_changed_bit_never_makes_a_reader_panic_or_exceed_its_limit() {
    let input = &lines()[..600];
    for (codec, magic, sample) in samples() {
        for bit in 0..sample.len() * 8 {
            let mut changed = sample.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            for limit in [input.len() - 1, input.len(), ENOUGH] {
                let read = decompress(codec, magic, &changed, limit);
                assert!(read.as_ref().is_ok_and(|out| out.len() <= limit) || read.is_err());
                // gzip has a checksum over the content.
                if codec == CompressionType::Gzip {
                    assert!(read.is_err() || read.as_deref() == Ok(input), "bit {bit}");
                }
            }
        }
    }
}

/// Decompression bombs: a small stream decompresses to 16 MiB, in pieces of 1 MiB that compress very well.
#[test]
fn decompression_bombs_are_rejected() {
    let piece = vec![0; ENOUGH];
    for codec in CODECS.into_iter().skip(1) {
        let one = compress(codec, Magic::V2, &[&piece]);
        // Of LZ4 only the blocks are repeated, because bytes after the end mark are an error. Streams of the other
        // formats can be concatenated.
        let bomb = match codec {
            CompressionType::Lz4 => {
                let blocks = one[7..one.len() - 4].repeat(16);
                [&one[..7], &blocks, &one[one.len() - 4..]].concat()
            }
            _ => one.repeat(16),
        };
        for limit_bytes in [0, 100_000, 16 * ENOUGH - 1] {
            assert_eq!(
                decompress(codec, Magic::V2, &bomb, limit_bytes),
                Err(DecompressError::TooLarge { limit_bytes }),
                "{codec}"
            );
        }
        let read = decompress(codec, Magic::V2, &bomb, 16 * ENOUGH).unwrap();
        assert_eq!(read.len(), 16 * ENOUGH, "{codec}");
    }
}

/// No memory is allocated for a size that a header claims but the data does not have.
#[test]
fn claimed_sizes_are_not_trusted() {
    // An unframed Snappy block that claims 2^31 - 1 bytes.
    let snappy = [0xff, 0xff, 0xff, 0xff, 0x07, 0];
    // Two zstd frames of one segment, which claim 2^40 and 2^30 bytes.
    let frame = |size: u64| {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
        frame.extend_from_slice(&size.to_le_bytes());
        frame.extend_from_slice(&[1, 0, 0]);
        frame
    };
    let cases = [
        (CompressionType::Snappy, snappy.to_vec()),
        (CompressionType::Zstd, frame(1 << 40)),
        (CompressionType::Zstd, frame(1 << 30)),
    ];
    for (codec, bytes) in cases {
        let limit_bytes = ENOUGH;
        assert_eq!(
            decompress(codec, Magic::V2, &bytes, limit_bytes),
            Err(DecompressError::TooLarge { limit_bytes })
        );
        let read = decompress(codec, Magic::V2, &bytes, i32::MAX as usize);
        assert!(read.is_err(), "{codec}: {read:?}");
    }
}

/// A frame of Java's highest level declares a window of 128 MiB, even for little content.
#[test]
#[cfg(feature = "zstd")] // The C library writes the frame.
fn a_frame_with_a_large_window_and_little_content_is_decompressed() {
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    std::io::Write::write_all(&mut encoder, b"little").unwrap();
    let frame = encoder.finish().unwrap();
    let read = decompress(CompressionType::Zstd, Magic::V2, &frame, 6);
    assert_eq!(read, Ok(b"little".to_vec()));
}

/// Java: KafkaLZ4Test#testNotSupported, #testBadFrameChecksum, #testBadBlockSize, FLG#validate
#[test]
fn lz4_frames_that_kafkas_reader_rejects_are_rejected_with_the_reason() {
    let good = compress(CompressionType::Lz4, Magic::V2, &[b"some bytes"]);
    let with = |at: usize, byte: u8| {
        let mut changed = good.clone();
        changed[at] = byte;
        changed
    };
    let cases = [
        (with(0, 0), "no frame begins there"),
        (with(4, 0x40), "blocks depend on each other"),
        (with(4, 0xa0), "another version"),
        (with(4, 0x61), "another version"),
        (with(5, 0x30), "no size of blocks"),
        (with(5, 0xc0), "another version"),
        (with(6, 0), "does not match its checksum"),
        (with(9, 0x7f), "longer than the header permits"),
        ([&good[..], b"x"].concat(), "bytes follow"),
    ];
    for (frame, reason) in cases {
        let error = decompress(CompressionType::Lz4, Magic::V2, &frame, ENOUGH).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    let read = decompress(CompressionType::Lz4, Magic::V0, &with(6, 0), ENOUGH);
    assert_eq!(read, Ok(b"some bytes".to_vec()));
}

/// Java: `KafkaLZ4BlockInputStream` with block checksums, content checksum and content size set.
#[test]
fn all_optional_fields_of_an_lz4_frame_are_verified() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

    let input = lines();
    let info = FrameInfo::new()
        .block_mode(BlockMode::Independent)
        .block_size(BlockSize::Max256KB)
        .block_checksums(true)
        .content_checksum(true)
        .content_size(Some(input.len() as u64));
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    std::io::Write::write_all(&mut encoder, &input).unwrap();
    let frame = encoder.finish().unwrap();
    let read = |frame: &[u8]| decompress(CompressionType::Lz4, Magic::V2, frame, input.len());
    assert!(read(&frame) == Ok(input.clone()));
    // The checksum of the content is last, that of the block is before the end mark.
    for (from_end, what) in [(1, "the content does not"), (9, "a block does not")] {
        let mut changed = frame.clone();
        let at = changed.len() - from_end;
        changed[at] ^= 1;
        let error = read(&changed).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_decompressed_or_rejected(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        kept in 0..40_usize,
        codec in codec(),
        magic in magic(),
        limit in 0..5_000_usize,
    ) {
        let good = compress(codec, magic, &[b"some bytes, and some bytes once more"]);
        let started = [&good[..kept.min(good.len())], &bytes].concat();
        for input in [&bytes, &started] {
            if let Ok(out) = decompress(codec, magic, input, limit) {
                prop_assert!(out.len() <= limit);
            }
        }
    }
}
