//! Kafka's codecs as this project's producer uses them: the same crates at the same levels, a whole batch at a
//! time, with reused memory.

use std::fmt::Display;

use crc32fast::Hasher;
use driver_kit::Setup;
use flate2::{Compress, Compression, FlushCompress, Status};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use snap::raw::{Encoder, max_compress_len};
use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

/// A codec and its memory.
pub struct Codec {
    kind: Kind,
    /// Compressed bytes before their length is known.
    scratch: Vec<u8>,
}

enum Kind {
    Gzip(Box<Compress>),
    Snappy(Box<Encoder>),
    /// The large table, which the library uses for small blocks too.
    Lz4(Box<CompressTable>),
    Zstd(Compressor<'static>),
}

/// The gzip header that Java writes: deflate, no flags, no time, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The header of snappy-java's format: its name, version 1, compatible with version 1. Blocks with a length field
/// follow.
const SNAPPY_HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
const SNAPPY_BLOCK_BYTES: usize = 32 * 1024;
/// The header of an LZ4 frame: version 1, independent blocks of up to 64 KiB, no checksum except that of the header.
const LZ4_HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
const LZ4_BLOCK_BYTES: usize = 64 * 1024;
const LZ4_UNCOMPRESSED: u32 = 0x8000_0000;
/// Zstandard's default, and Kafka's.
const ZSTD_LEVEL: i32 = 3;

impl Codec {
    /// The codec of a setup; `None` without compression.
    ///
    /// # Errors
    /// If there is no codec of this name.
    pub fn of(setup: &Setup) -> Result<Option<Self>, String> {
        if setup.compresses() {
            Self::named(&setup.compression)
        } else {
            Ok(None)
        }
    }

    /// The codec of this name; `None` for `none`.
    ///
    /// # Errors
    /// If there is no codec of this name.
    pub fn named(name: &str) -> Result<Option<Self>, String> {
        let kind = match name {
            "none" => return Ok(None),
            // Level 6, the common default.
            "gzip" => Kind::Gzip(Box::new(Compress::new(Compression::default(), false))),
            "snappy" => Kind::Snappy(Box::new(Encoder::new())),
            "lz4" => Kind::Lz4(Box::new(CompressTable::large())),
            "zstd" => Kind::Zstd(Compressor::new(ZSTD_LEVEL).map_err(text)?),
            other => return Err(format!("there is no codec {other}")),
        };
        Ok(Some(Self {
            kind,
            scratch: Vec::new(),
        }))
    }

    /// The codec's number in the attributes of a batch.
    pub fn attribute(&self) -> u8 {
        match self.kind {
            Kind::Gzip(_) => 1,
            Kind::Snappy(_) => 2,
            Kind::Lz4(_) => 3,
            Kind::Zstd(_) => 4,
        }
    }

    /// Compresses `plain`, and appends the result to `out`.
    ///
    /// # Errors
    /// If the codec fails.
    pub fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let scratch = &mut self.scratch;
        match &mut self.kind {
            Kind::Gzip(deflate) => gzip(deflate, plain, out),
            Kind::Snappy(encoder) => {
                out.extend_from_slice(&SNAPPY_HEADER);
                for block in plain.chunks(SNAPPY_BLOCK_BYTES) {
                    grow(scratch, max_compress_len(block.len()));
                    let len = encoder.compress(block, scratch).map_err(text)?;
                    out.extend_from_slice(&(len as u32).to_be_bytes());
                    out.extend_from_slice(&scratch[..len]);
                }
                Ok(())
            }
            Kind::Lz4(table) => lz4(table, plain, scratch, out),
            Kind::Zstd(compressor) => {
                scratch.clear();
                scratch.reserve(compress_bound(plain.len()));
                let len = compressor
                    .compress_to_buffer(plain, scratch)
                    .map_err(text)?;
                out.extend_from_slice(&scratch[..len]);
                Ok(())
            }
        }
    }
}

fn gzip(deflate: &mut Compress, plain: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let mut checksum = Hasher::new();
    checksum.update(plain);
    deflate.reset();
    out.extend_from_slice(&GZIP_HEADER);
    loop {
        // Usually more than the remaining output needs.
        out.reserve(plain.len() / 4 + 64);
        let taken = deflate.total_in() as usize;
        let status = deflate
            .compress_vec(&plain[taken..], out, FlushCompress::Finish)
            .map_err(text)?;
        if status == Status::StreamEnd {
            break;
        }
    }
    out.extend_from_slice(&checksum.finalize().to_le_bytes());
    out.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    Ok(())
}

fn lz4(
    table: &mut CompressTable,
    plain: &[u8],
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    out.extend_from_slice(&LZ4_HEADER);
    for block in plain.chunks(LZ4_BLOCK_BYTES) {
        grow(scratch, get_maximum_output_size(block.len()));
        let len = compress_into_with_table(block, scratch, table).map_err(text)?;
        let (length, bytes) = if len < block.len() {
            (len as u32, &scratch[..len])
        } else {
            (block.len() as u32 | LZ4_UNCOMPRESSED, block)
        };
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(bytes);
    }
    out.extend_from_slice(&[0; 4]);
    Ok(())
}

fn grow(scratch: &mut Vec<u8>, len: usize) {
    if scratch.len() < len {
        scratch.resize(len, 0);
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}

#[cfg(test)]
pub mod tests {
    use std::io::Read;

    use super::*;

    pub const NAMES: [&str; 4] = ["gzip", "snappy", "lz4", "zstd"];

    /// Decompresses, if possible with another implementation than the one that compressed.
    pub fn decompressed(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match name {
            "gzip" => drop(
                flate2::read::GzDecoder::new(bytes)
                    .read_to_end(&mut plain)
                    .unwrap(),
            ),
            "lz4" => {
                let mut frame = lz4_flex::frame::FrameDecoder::new(bytes);
                frame.read_to_end(&mut plain).unwrap();
            }
            "zstd" => plain = zstd::decode_all(bytes).unwrap(),
            _ => {
                let mut rest = bytes.strip_prefix(&SNAPPY_HEADER).unwrap();
                while let Some((length, behind)) = rest.split_first_chunk::<4>() {
                    let (block, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
                    plain.extend(snap::raw::Decoder::new().decompress_vec(block).unwrap());
                    rest = behind;
                }
            }
        }
        plain
    }

    #[test]
    fn compressed_data_is_decompressed_unchanged() {
        let text: Vec<u8> = (0..40_000_u32)
            .flat_map(|n| n.to_string().into_bytes())
            .collect();
        // Each codec compresses twice: state of one batch must not affect the next.
        for name in NAMES {
            let mut codec = Codec::named(name).unwrap().unwrap();
            for len in [0, 1, 1_000, 65_535, 65_536, 150_000, text.len(), 1_000] {
                let mut out = b"before".to_vec();
                codec.compress(&text[..len], &mut out).unwrap();
                let compressed = out.strip_prefix(b"before").unwrap();
                assert!(
                    decompressed(name, compressed) == text[..len],
                    "{name}, {len}"
                );
                assert!(compressed.len() < len || len < 5_000, "{name}, {len}");
            }
        }
    }

    #[test]
    fn incompressible_data_is_decompressed_unchanged() {
        let noise: Vec<u8> = (0..70_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13 ^ n.wrapping_mul(40_503)) as u8)
            .collect();
        for name in NAMES {
            let mut out = Vec::new();
            let mut codec = Codec::named(name).unwrap().unwrap();
            codec.compress(&noise, &mut out).unwrap();
            assert!(decompressed(name, &out) == noise, "{name}");
        }
    }

    #[test]
    fn names_are_kafkas() {
        assert!(Codec::named("none").unwrap().is_none());
        assert!(Codec::named("brotli").is_err());
    }
}
