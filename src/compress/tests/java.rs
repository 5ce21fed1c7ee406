//! The files in `java` were written by Kafka 3.0.0's `CompressionType#wrapForOutput` (lz4-java 1.7.1, snappy-java
//! 1.1.8.1, zstd-jni 1.5.0-2, Java 17) and contain [`lines`](super::lines).

use super::*;

const FILES: [(CompressionType, Magic, &[u8]); 5] = [
    (
        CompressionType::Gzip,
        Magic::V2,
        include_bytes!("java/lines.gz"),
    ),
    (
        CompressionType::Snappy,
        Magic::V2,
        include_bytes!("java/lines.snappy"),
    ),
    (
        CompressionType::Lz4,
        Magic::V2,
        include_bytes!("java/lines.lz4"),
    ),
    (
        CompressionType::Lz4,
        Magic::V0,
        include_bytes!("java/lines-format-0.lz4"),
    ),
    (
        CompressionType::Zstd,
        Magic::V2,
        include_bytes!("java/lines.zst"),
    ),
];

#[test]
fn data_compressed_by_java_is_decompressed() {
    for (codec, magic, file) in FILES {
        let read = decompress(codec, magic, file, lines().len());
        assert!(read == Ok(lines()), "{codec} {magic:?}");
    }
}

/// Framing: the bytes before the first block, and those after the last one.
#[test]
fn compressed_data_has_the_frames_that_java_writes() {
    for (codec, magic, file) in FILES {
        let ours = compress(codec, magic, &[&lines()]);
        // zstd's header differs by design: it contains the content size.
        let (front, back) = match codec {
            CompressionType::Gzip => (10, 8),
            CompressionType::Snappy => (16, 0),
            CompressionType::Lz4 => (7, 4),
            _ => (4, 0),
        };
        assert_eq!(ours[..front], file[..front], "{codec} {magic:?}");
        assert_eq!(
            ours[ours.len() - back..],
            file[file.len() - back..],
            "{codec} {magic:?}"
        );
    }
}

/// Snappy's output is fully determined by the block size and the algorithm, which are the same here and in Java.
#[test]
fn snappy_output_equals_that_of_java_byte_for_byte() {
    let (codec, magic, file) = FILES[1];
    assert!(compress(codec, magic, &[&lines()]) == file);
}

/// Java: `ZstdOutputStream` writes a frame only if something is written to it.
#[test]
fn zstd_data_without_a_frame_is_decompressed_to_nothing() {
    let read = decompress(CompressionType::Zstd, Magic::V2, &[], 0);
    assert_eq!(read, Ok(Vec::new()));
}
