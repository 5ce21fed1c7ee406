//! Decompressing LZ4 frames.

use std::fmt::Display;

use lz4_flex::block::{DecompressError as BlockError, decompress_into};
use twox_hash::XxHash32;

use super::{FRAME_MAGIC, UNCOMPRESSED};
use crate::compress::CompressionType;
use crate::compress::error::DecompressError;
use crate::types::Magic;

/// Upper bound of LZ4's compression ratio: one length byte encodes at most 255 bytes of output.
const BEST_RATIO: usize = 255;
/// Constant term of the upper bound: the first and the last literals.
const BEST_RATIO_EXTRA: usize = 64;
const SEED: u32 = 0;

/// Decompresses one frame with independent blocks.
///
/// # Kafka
/// `KafkaLZ4BlockInputStream`, which rejects dependent blocks, too. Differs: content checksum and content size are
/// verified if present, and trailing bytes are an error.
pub(in crate::compress) fn decode(
    magic: Magic,
    compressed: &[u8],
    limit_bytes: usize,
) -> Result<Vec<u8>, DecompressError> {
    let (header, mut rest) = FrameHeader::take(magic, compressed)?;
    if header
        .content_size
        .is_some_and(|size| size > limit_bytes as u64)
    {
        return Err(DecompressError::TooLarge { limit_bytes });
    }
    let mut out = Vec::new();
    let mut room = Vec::new();
    loop {
        let length = u32::from_le_bytes(take(&mut rest, "the length of a block")?);
        if length == 0 {
            break;
        }
        let size = (length & !UNCOMPRESSED) as usize;
        if size > header.block_bytes {
            return Err(corrupt("a block is longer than the header permits"));
        }
        let (block, behind) = rest
            .split_at_checked(size)
            .ok_or_else(|| corrupt("a block is cut off"))?;
        rest = behind;
        if header.block_checksums {
            check(
                block,
                take(&mut rest, "the checksum of a block")?,
                "a block",
            )?;
        }
        let bytes = if length & UNCOMPRESSED == 0 {
            let most = header.block_bytes.min(limit_bytes - out.len());
            uncompress(block, most, header.block_bytes, &mut room)?
        } else {
            Some(block)
        };
        match bytes.filter(|bytes| bytes.len() <= limit_bytes - out.len()) {
            Some(bytes) => out.extend_from_slice(bytes),
            None => return Err(DecompressError::TooLarge { limit_bytes }),
        }
    }
    if header.content_checksum {
        check(
            &out,
            take(&mut rest, "the checksum of the content")?,
            "the content",
        )?;
    }
    if header
        .content_size
        .is_some_and(|size| size != out.len() as u64)
    {
        return Err(corrupt("the content is not of the size announced"));
    }
    if !rest.is_empty() {
        return Err(corrupt("bytes follow the end of the frame"));
    }
    Ok(out)
}

/// Decompresses a block into `room`; `None` if the output exceeds `most` bytes, and `most` is less than the frame's
/// block size.
fn uncompress<'a>(
    block: &[u8],
    most: usize,
    block_bytes: usize,
    room: &'a mut Vec<u8>,
) -> Result<Option<&'a [u8]>, DecompressError> {
    // Reserve no more than the block can decompress to: its size is bounded by the bytes present.
    let possible = block.len() * BEST_RATIO + BEST_RATIO_EXTRA;
    let size = most.min(possible);
    if room.len() < size {
        room.resize(size, 0);
    }
    match decompress_into(block, &mut room[..size]) {
        Ok(len) => Ok(Some(&room[..len])),
        Err(BlockError::OutputTooSmall { .. }) if most < block_bytes => Ok(None),
        Err(error) => Err(corrupt(error)),
    }
}

/// The frame's header.
struct FrameHeader {
    block_bytes: usize,
    block_checksums: bool,
    content_checksum: bool,
    content_size: Option<u64>,
}

impl FrameHeader {
    fn take(magic: Magic, input: &[u8]) -> Result<(Self, &[u8]), DecompressError> {
        let mut rest = input
            .strip_prefix(&FRAME_MAGIC)
            .ok_or_else(|| corrupt("no frame begins there"))?;
        let fields = rest;
        let [flags, descriptor] = take(&mut rest, "the header")?;
        if flags >> 6 != 1 || flags & 0b11 != 0 || descriptor & 0b1000_1111 != 0 {
            return Err(corrupt("the header is of another version"));
        }
        if flags & 0x20 == 0 {
            return Err(corrupt(
                "blocks depend on each other, which Kafka does not take either",
            ));
        }
        let block_bytes = match descriptor >> 4 {
            size @ 4..=7 => 1 << (2 * size + 8),
            _ => return Err(corrupt("the header names no size of blocks")),
        };
        let content_size = if flags & 0x08 == 0 {
            None
        } else {
            Some(u64::from_le_bytes(take(&mut rest, "the header")?))
        };
        let fields = &fields[..fields.len() - rest.len()];
        let [checksum] = take(&mut rest, "the header")?;
        let [_, expected, ..] = XxHash32::oneshot(SEED, fields).to_le_bytes();
        // Not verified in record format 0, as in Kafka: frames with the incorrect checksum exist.
        if magic != Magic::V0 && checksum != expected {
            return Err(corrupt("the header does not match its checksum"));
        }
        let header = Self {
            block_bytes,
            block_checksums: flags & 0x10 != 0,
            content_checksum: flags & 0x04 != 0,
            content_size,
        };
        Ok((header, rest))
    }
}

fn take<const N: usize>(rest: &mut &[u8], what: &str) -> Result<[u8; N], DecompressError> {
    let (taken, behind) = rest
        .split_first_chunk()
        .ok_or_else(|| corrupt(format_args!("{what} is cut off")))?;
    *rest = behind;
    Ok(*taken)
}

fn check(bytes: &[u8], checksum: [u8; 4], what: &str) -> Result<(), DecompressError> {
    if XxHash32::oneshot(SEED, bytes) == u32::from_le_bytes(checksum) {
        Ok(())
    } else {
        Err(corrupt(format_args!("{what} does not match its checksum")))
    }
}

fn corrupt(reason: impl Display) -> DecompressError {
    DecompressError::corrupt(CompressionType::Lz4, reason)
}
