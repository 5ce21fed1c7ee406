//! Properties that all codecs share.

mod hostile;
mod java;

use std::io::Read;
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::types::Magic;

const CODECS: [CompressionType; 5] = [
    CompressionType::None,
    CompressionType::Gzip,
    CompressionType::Snappy,
    CompressionType::Lz4,
    CompressionType::Zstd,
];
const MAGICS: [Magic; 3] = [Magic::V0, Magic::V1, Magic::V2];

fn compress(codec: CompressionType, magic: Magic, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let compressor = Compressor::new(codec, None).unwrap();
    compressor.compress(magic, parts, &mut out).unwrap();
    out
}

/// Text like the log of a service. The files in `tests/java` are this text, compressed by Java.
fn lines() -> Vec<u8> {
    let line = |n: u32| {
        let customer = n % 7;
        format!("{{\"order\":{n},\"customer\":\"customer-{customer}\",\"state\":\"paid\"}}\n")
    };
    (0..1500).map(line).collect::<String>().into_bytes()
}

/// Incompressible bytes.
fn noise(len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..len).map(|_| random.u8(..)).collect()
}

/// Inputs whose sizes are near those of blocks.
fn inputs() -> Vec<Vec<u8>> {
    let mut inputs = vec![Vec::new(), vec![1], lines(), noise(100), noise(70_000)];
    for len in [32_768, 65_535, 65_536, 65_537, 200_000] {
        inputs.push(lines().into_iter().cycle().take(len).collect());
    }
    inputs.push(vec![0; 200_000]);
    inputs
}

/// Decompresses with another implementation.
fn decode_elsewhere(codec: CompressionType, magic: Magic, compressed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match codec {
        CompressionType::None => out.extend_from_slice(compressed),
        CompressionType::Gzip => {
            let mut decoder = flate2::read::GzDecoder::new(compressed);
            decoder.read_to_end(&mut out).unwrap();
        }
        CompressionType::Snappy => {
            let mut rest = &compressed[16..];
            while let Some((length, behind)) = rest.split_first_chunk() {
                let (block, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
                out.extend(snap::raw::Decoder::new().decompress_vec(block).unwrap());
                rest = behind;
            }
        }
        CompressionType::Lz4 => {
            let mut frame = compressed.to_vec();
            if magic == Magic::V0 {
                // Format 0 requires a header checksum that other readers reject.
                assert_eq!(frame[6], 0x1a);
                frame[6] = 0x82;
            }
            let mut decoder = lz4_flex::frame::FrameDecoder::new(&frame[..]);
            decoder.read_to_end(&mut out).unwrap();
        }
        #[cfg(feature = "zstd")]
        CompressionType::Zstd => out = ::zstd::decode_all(compressed).unwrap(),
        // Without the C library there is no other implementation; the tests in `java` decompress frames of Java.
        #[cfg(not(feature = "zstd"))]
        CompressionType::Zstd => out = zstd::decode(compressed, usize::MAX).unwrap(),
    }
    out
}

#[test]
fn compressed_data_is_decompressed_by_this_crate_and_by_other_implementations() {
    for codec in CODECS {
        // Only lz4 depends on the record format.
        let magics = match codec {
            CompressionType::Lz4 => &MAGICS[..],
            _ => &[Magic::V2],
        };
        for &magic in magics {
            for input in inputs() {
                let compressed = compress(codec, magic, &[&input]);
                let case = format!("{codec} {magic:?} {} bytes", input.len());
                let read = decompress(codec, magic, &compressed, input.len());
                assert!(read.as_ref() == Ok(&input), "{case}");
                assert!(
                    decode_elsewhere(codec, magic, &compressed) == input,
                    "{case}"
                );
            }
        }
    }
}

#[test]
fn data_that_exceeds_the_limit_is_rejected() {
    for codec in CODECS {
        for input in inputs().iter().filter(|input| !input.is_empty()) {
            let limit_bytes = input.len() - 1;
            let compressed = compress(codec, Magic::V2, &[input]);
            assert_eq!(
                decompress(codec, Magic::V2, &compressed, limit_bytes),
                Err(DecompressError::TooLarge { limit_bytes }),
                "{codec}"
            );
        }
    }
}

#[test]
fn data_compressed_at_any_level_is_decompressed() {
    let input = lines();
    let levels = (-1..=9).map(|level| (CompressionType::Gzip, level));
    let zstd = [-131_072, -5, 0, 1, 3, 9, 12, 16, 19, 22];
    for (codec, level) in levels.chain(zstd.map(|level| (CompressionType::Zstd, level))) {
        let mut out = Vec::new();
        let compressor = Compressor::new(codec, Some(level)).unwrap();
        compressor.compress(Magic::V2, &[&input], &mut out).unwrap();
        let read = decode_elsewhere(codec, Magic::V2, &out);
        assert!(read == input, "{codec} at level {level}");
    }
}

/// Java's sizes are those of Kafka's codecs at their default levels, and of gzip at level 1, where zlib-rs differs
/// most.
#[test]
fn compressed_data_is_at_most_5_percent_larger_than_that_of_java() {
    let java = [
        (CompressionType::Gzip, None, 5_458),
        (CompressionType::Gzip, Some(1), 5_438),
        (CompressionType::Snappy, None, 9_839),
        (CompressionType::Lz4, None, 12_382),
        (CompressionType::Zstd, None, 2_512),
    ];
    for (codec, level, java) in java {
        let mut out = Vec::new();
        let compressor = Compressor::new(codec, level).unwrap();
        compressor
            .compress(Magic::V2, &[&lines()], &mut out)
            .unwrap();
        assert!(
            out.len() * 100 <= java * 105,
            "{codec} {level:?}: {} bytes, Java {java}",
            out.len()
        );
    }
}

#[test]
fn compressed_data_is_appended_to_the_output() {
    for codec in CODECS {
        let mut out = b"before".to_vec();
        let compressor = Compressor::new(codec, None).unwrap();
        compressor
            .compress(Magic::V2, &[b"a", b"b"], &mut out)
            .unwrap();
        let compressed = out.strip_prefix(b"before").unwrap();
        assert_eq!(compressed, compress(codec, Magic::V2, &[b"ab"]));
    }
}

#[test]
fn a_reused_encoder_writes_the_same_bytes_as_a_new_one() {
    for codec in CODECS {
        let compressor = Compressor::new(codec, None).unwrap();
        for (input, magic) in inputs().iter().zip(MAGICS.into_iter().cycle()) {
            let mut out = Vec::new();
            compressor.compress(magic, &[input], &mut out).unwrap();
            assert!(out == compress(codec, magic, &[input]), "{codec}");
        }
        assert_eq!(compressor.idle_encoders(), 1, "{codec}");
    }
}

#[test]
fn threads_compress_concurrently_and_return_their_encoders_to_the_pool() {
    let input = lines();
    for codec in CODECS {
        let compressor = Compressor::new(codec, None).unwrap();
        assert_eq!(compressor.idle_encoders(), 0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let mut out = Vec::new();
                        compressor.compress(Magic::V2, &[&input], &mut out).unwrap();
                        assert!(decompress(codec, Magic::V2, &out, input.len()).unwrap() == input);
                    }
                });
            }
        });
        assert!((1..=4).contains(&compressor.idle_encoders()), "{codec}");
    }
}

#[test]
fn the_error_for_a_codec_that_is_not_compiled_in_names_its_feature() {
    let missing = FeatureMissing::of(CompressionType::Lz4);
    assert_eq!(
        missing.to_string(),
        "the codec lz4 is not part of this build"
    );
    assert_eq!(
        missing.remedy(),
        "Build kafka-producer with its feature `lz4`"
    );
    let missing = FeatureMissing::of(CompressionType::Zstd);
    assert!(missing.remedy().contains("`zstd-pure`"));
}

/// `compress` and `decompress` use the C library if the feature `zstd` is on, too; else they use the Rust backend, and
/// the test compares it with itself.
#[cfg(feature = "zstd-pure")]
#[test]
fn each_zstd_backend_decompresses_the_output_of_the_other() {
    use super::encoder::Encoder;
    use super::zstd::pure;

    for input in inputs() {
        for level in [None, Some(-5), Some(1), Some(9), Some(19), Some(22)] {
            let mut out = Vec::new();
            let mut encoder = pure::ZstdEncoder::new(level).unwrap();
            encoder.encode(Magic::V2, &[&input], &mut out).unwrap();
            let read = decompress(CompressionType::Zstd, Magic::V2, &out, input.len());
            assert!(read == Ok(input.clone()), "{level:?} {}", input.len());
        }
        let compressed = compress(CompressionType::Zstd, Magic::V2, &[&input]);
        assert!(pure::decode(&compressed, input.len()) == Ok(input.clone()));
        if let Some(limit_bytes) = input.len().checked_sub(1) {
            let too_large = DecompressError::TooLarge { limit_bytes };
            assert_eq!(pure::decode(&compressed, limit_bytes), Err(too_large));
        }
    }
}

fn codec() -> impl Strategy<Value = CompressionType> {
    prop::sample::select(&CODECS[..])
}

fn magic() -> impl Strategy<Value = Magic> {
    prop::sample::select(&MAGICS[..])
}

/// A few words, repeated many times, so that codecs find matches.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::collection::vec(any::<u8>(), 1..12);
    let words = prop::collection::vec(word, 1..8);
    (
        words,
        prop::collection::vec(any::<prop::sample::Index>(), 0..2_000),
    )
        .prop_map(|(words, places)| {
            places
                .iter()
                .flat_map(|place| place.get(&words).clone())
                .collect()
        })
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![text(), prop::collection::vec(any::<u8>(), 0..3_000)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_input_may_be_split_into_parts_anywhere(
        input in content(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        codec in codec(),
        magic in magic(),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        let mut parts = Vec::new();
        let mut rest = &input[..];
        for cut in cuts {
            let (part, behind) = rest.split_at(cut - (input.len() - rest.len()));
            parts.push(part);
            rest = behind;
        }
        parts.push(rest);
        let compressed = compress(codec, magic, &parts);
        prop_assert_eq!(decode_elsewhere(codec, magic, &compressed), &input[..]);
        prop_assert_eq!(decompress(codec, magic, &compressed, input.len()), Ok(input));
    }
}
