//! The files beside this one were written by Kafka 3.0.0's `CompressionType#wrapForOutput` (lz4-java
//! 1.7.1, snappy-java 1.1.8.1, zstd-jni 1.5.0-2, Java 17) and hold [`lines`](super::lines).

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

/// Framing: what is in front of the first block, and what is behind the last.
#[test]
fn compressed_data_has_the_frames_that_java_writes() {
    for (codec, magic, file) in FILES {
        let ours = compress(codec, magic, &[&lines()]);
        // zstd's header differs by design: the size of the content stands in it.
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

/// Snappy has no freedom left: the same blocks, by the same algorithm.
#[test]
fn snappy_is_the_same_byte_by_byte() {
    let (codec, magic, file) = FILES[1];
    assert!(compress(codec, magic, &[&lines()]) == file);
}

/// Java: `ZstdOutputStream` writes a frame only when something is put into it.
#[test]
fn a_zstd_stream_without_a_frame_is_empty() {
    let read = decompress(CompressionType::Zstd, Magic::V2, &[], 0);
    assert_eq!(read, Ok(Vec::new()));
}
