//! Snappy codec, in the framing of snappy-java (`SnappyOutputStream`): a header of 16 bytes, then blocks of 32 KiB,
//! each with its compressed length before it.
//!
//! Some clients (librdkafka) write one unframed Snappy block instead; it is read, too.

use snap::raw::{self, max_compress_len};

use super::CompressionType;
use super::blocks::for_each_block;
use super::encoder::Encoder;
use super::error::{CompressError, DecompressError};
use crate::types::Magic;

/// Header of a snappy-java stream: `\x82SNAPPY\0`, version 1, compatible since version 1.
const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
const MAGIC_LEN: usize = 8;
/// Uncompressed size of a block: snappy-java's default, which Kafka uses.
const BLOCK_BYTES: usize = 32 * 1024;
/// Size of a block's length prefix: the compressed length, big-endian.
const LENGTH_LEN: usize = 4;
/// Upper bound of Snappy's compression ratio: a copy of 64 bytes is encoded in 3 bytes.
const BEST_RATIO: usize = 22;

/// Snappy encoder.
pub(super) struct SnappyEncoder {
    encoder: raw::Encoder,
    /// Buffer for a block that spans several parts.
    block: Vec<u8>,
    /// Buffer for a compressed block, whose length is written before it.
    compressed: Vec<u8>,
}

impl SnappyEncoder {
    pub(super) fn new() -> Self {
        Self {
            encoder: raw::Encoder::new(),
            block: Vec::new(),
            compressed: Vec::new(),
        }
    }
}

impl Encoder for SnappyEncoder {
    fn encode(
        &mut self,
        _magic: Magic,
        parts: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        let Self {
            encoder,
            block,
            compressed,
        } = self;
        out.extend_from_slice(&HEADER);
        for_each_block(parts, BLOCK_BYTES, block, |block| {
            let bound = max_compress_len(block.len());
            if compressed.len() < bound {
                compressed.resize(bound, 0);
            }
            let len = encoder
                .compress(block, compressed)
                .map_err(|error| CompressError::new(CompressionType::Snappy, error))?;
            // Cannot truncate: a block has 32 KiB at most.
            out.extend_from_slice(&(len as u32).to_be_bytes());
            out.extend_from_slice(&compressed[..len]);
            Ok(())
        })
    }
}

/// Decompresses one or more snappy-java streams, or one unframed block.
///
/// # Kafka
/// `SnappyInputStream`.
pub(super) fn decode(compressed: &[u8], limit_bytes: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    if !compressed.starts_with(&HEADER[..MAGIC_LEN]) {
        append_block(compressed, limit_bytes, &mut out)?;
        return Ok(out);
    }
    let mut rest = compressed;
    while !rest.is_empty() {
        // A header may also be between blocks, where streams were concatenated.
        if rest.starts_with(&HEADER[..MAGIC_LEN]) {
            rest = take_header(rest)?;
            continue;
        }
        let (length, behind) = rest
            .split_first_chunk::<LENGTH_LEN>()
            .ok_or_else(|| corrupt("the length of a block is cut off"))?;
        let length = usize::try_from(i32::from_be_bytes(*length))
            .map_err(|_| corrupt("the length of a block is negative"))?;
        let (block, behind) = behind
            .split_at_checked(length)
            .ok_or_else(|| corrupt("a block is cut off"))?;
        append_block(block, limit_bytes, &mut out)?;
        rest = behind;
    }
    Ok(out)
}

/// Skips a header, whose magic is present.
fn take_header(input: &[u8]) -> Result<&[u8], DecompressError> {
    let (header, rest) = input
        .split_at_checked(HEADER.len())
        .ok_or_else(|| corrupt("the header is cut off"))?;
    // As in snappy-java: any version from 1 on is accepted.
    match header[MAGIC_LEN..].first_chunk() {
        Some(version) if i32::from_be_bytes(*version) >= 1 => Ok(rest),
        _ => Err(corrupt("the header names a version below 1")),
    }
}

fn append_block(
    block: &[u8],
    limit_bytes: usize,
    out: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    let length = raw::decompress_len(block).map_err(corrupt)?;
    if length > limit_bytes - out.len() {
        return Err(DecompressError::TooLarge { limit_bytes });
    }
    // The length is untrusted: if the block cannot decompress to it, no memory is reserved for it.
    if length / BEST_RATIO > block.len() {
        return Err(corrupt("a block announces more than it can hold"));
    }
    let start = out.len();
    out.resize(start + length, 0);
    raw::Decoder::new()
        .decompress(block, &mut out[start..])
        .map_err(corrupt)?;
    Ok(())
}

fn corrupt(reason: impl std::fmt::Display) -> DecompressError {
    DecompressError::corrupt(CompressionType::Snappy, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        SnappyEncoder::new()
            .encode(Magic::V2, parts, &mut out)
            .unwrap();
        out
    }

    /// snappy-java writes the header even if no block follows.
    #[test]
    fn an_empty_stream_is_a_header_without_blocks() {
        assert_eq!(encode(&[]), HEADER);
        assert_eq!(decode(&HEADER, 0), Ok(Vec::new()));
    }

    #[test]
    fn a_stream_has_blocks_of_32_kib_each_with_a_length_prefix() {
        let bytes: Vec<u8> = (0..70_000_u32).map(|n| (n / 7) as u8).collect();
        let stream = encode(&[&bytes[..40_000], &bytes[40_000..]]);
        let mut rest = stream.strip_prefix(&HEADER).unwrap();
        let mut blocks = Vec::new();
        while let Some((length, behind)) = rest.split_first_chunk() {
            let (block, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
            blocks.push(raw::Decoder::new().decompress_vec(block).unwrap());
            rest = behind;
        }
        let lengths: Vec<_> = blocks.iter().map(Vec::len).collect();
        assert_eq!(lengths, [32_768, 32_768, 4_464]);
        assert_eq!(blocks.concat(), bytes);
        assert_eq!(decode(&stream, bytes.len()), Ok(bytes));
    }

    /// librdkafka and others write Snappy without snappy-java's framing.
    #[test]
    fn an_unframed_block_is_decompressed() {
        let bare = raw::Encoder::new().compress_vec(b"no framing").unwrap();
        assert_eq!(decode(&bare, 100), Ok(b"no framing".to_vec()));
        assert_eq!(
            decode(&bare, 9),
            Err(DecompressError::TooLarge { limit_bytes: 9 })
        );
    }
}
