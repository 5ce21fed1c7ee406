//! LZ4 codec: frames as Kafka writes them, with independent blocks of 64 KiB, and no checksum but the header's.
//!
//! # Kafka
//! `KafkaLZ4BlockOutputStream`, `KafkaLZ4BlockInputStream`.

mod read;

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

use super::CompressionType;
use super::blocks::for_each_block;
use super::encoder::Encoder;
use super::error::CompressError;
use crate::types::Magic;

pub(super) use read::decode;

const FRAME_MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();
/// Version 1, independent blocks.
const FLAGS: u8 = 0x60;
/// Blocks of up to 64 KiB.
const BLOCK_DESCRIPTOR: u8 = 0x40;
/// Header checksum: the second byte of XXH32 over the two bytes above.
const HEADER_CHECKSUM: u8 = 0x82;
/// Header checksum that also covers the frame magic: Kafka's incorrect computation before 0.10 (KAFKA-3160), which
/// readers of record format 0 expect.
const BROKEN_HEADER_CHECKSUM: u8 = 0x1a;

const BLOCK_BYTES: usize = 64 * 1024;
/// Flag in a block's length: the block is not compressed.
const UNCOMPRESSED: u32 = 0x8000_0000;
const END_MARK: [u8; 4] = [0; 4];

/// LZ4 encoder.
pub(super) struct Lz4Encoder {
    /// Hash table, the large variant: as fast as the small one, and blocks of 16 KiB become 3 % smaller.
    table: CompressTable,
    /// Buffer for a block that spans several parts.
    block: Vec<u8>,
    /// Buffer for a compressed block, whose length is written before it.
    compressed: Vec<u8>,
}

impl Lz4Encoder {
    pub(super) fn new() -> Self {
        Self {
            table: CompressTable::large(),
            block: Vec::new(),
            compressed: Vec::new(),
        }
    }
}

impl Encoder for Lz4Encoder {
    fn encode(
        &mut self,
        magic: Magic,
        parts: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        let Self {
            table,
            block,
            compressed,
        } = self;
        out.extend_from_slice(&FRAME_MAGIC);
        let checksum = match magic {
            Magic::V0 => BROKEN_HEADER_CHECKSUM,
            Magic::V1 | Magic::V2 => HEADER_CHECKSUM,
        };
        out.extend_from_slice(&[FLAGS, BLOCK_DESCRIPTOR, checksum]);
        for_each_block(parts, BLOCK_BYTES, block, |block| {
            let bound = get_maximum_output_size(block.len());
            if compressed.len() < bound {
                compressed.resize(bound, 0);
            }
            let len = compress_into_with_table(block, compressed, table)
                .map_err(|error| CompressError::new(CompressionType::Lz4, error))?;
            let (len, mark, bytes) = if len < block.len() {
                (len, 0, &compressed[..len])
            } else {
                (block.len(), UNCOMPRESSED, block)
            };
            // Cannot truncate: a block has 64 KiB at most.
            out.extend_from_slice(&(len as u32 | mark).to_le_bytes());
            out.extend_from_slice(bytes);
            Ok(())
        })?;
        out.extend_from_slice(&END_MARK);
        Ok(())
    }
}
