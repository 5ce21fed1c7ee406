//! A filled batch: closed to records but still queued, and its packing (compression or down-conversion).

use std::sync::Arc;

use super::BatchId;
use super::packer::{BatchFormat, PackingBuffer};
use super::staging::Staging;
use crate::clock::Instant;
use crate::compress::{CompressionType, Compressor};
use crate::producer::buffer_pool::Lease;
use crate::producer::produce_request_result::ProduceRequestResult;
use crate::producer::thunks::Thunks;
use crate::record::builder::BatchFacts;
use crate::record::format::RECORD_BATCH_OVERHEAD;
use crate::record::legacy::{LegacyMagic, convert};
use crate::types::Magic;

/// A batch that is closed to records, in its queue.
///
/// # Kafka
/// `ProducerBatch` once it is closed for appends.
#[derive(Debug)]
pub(crate) struct FilledBatch {
    pub(super) id: BatchId,
    pub(super) created: Instant,
    pub(super) size_bytes: usize,
    pub(super) facts: BatchFacts,
    pub(super) result: Arc<ProduceRequestResult>,
    pub(super) thunks: Thunks,
    pub(super) body: FilledBody,
}

#[derive(Debug)]
pub(super) enum FilledBody {
    /// Packed: the bytes as they are sent.
    Ready {
        lease: Lease,
        /// `None` for format v2 without compression.
        format: Option<Box<PackedFormat>>,
    },
    /// Not packed yet: uncompressed records of format v2, first in the staging's leases, then in the batch's own.
    Staged { lease: Lease, staging: Box<Staging> },
}

/// The format a batch was packed in, needed to pack it again.
#[derive(Debug, Clone)]
pub(super) struct PackedFormat {
    pub(super) format: BatchFormat,
    /// Bytes of the records before compression.
    pub(super) plain_bytes: usize,
    /// The compression ratio (PB-7).
    pub(super) ratio: f32,
}

impl PackedFormat {
    pub(super) fn magic(&self) -> Magic {
        self.format.magic
    }
}

impl FilledBatch {
    pub(crate) fn id(&self) -> BatchId {
        self.id
    }

    pub(crate) fn created(&self) -> Instant {
        self.created
    }

    /// Size on the wire, in bytes: exact if the batch is packed, else an estimate.
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Whether the batch is still to be compressed or down-converted.
    pub(crate) fn needs_packing(&self) -> bool {
        matches!(self.body, FilledBody::Staged { .. })
    }

    /// Packs the batch: compresses its records, or converts them to an old format. A batch that is packed already is
    /// returned unchanged. Runs the codec: not to be called with a lock held.
    ///
    /// If the codec fails, which is a defect, the records are sent uncompressed.
    #[must_use]
    pub(crate) fn packed(self) -> Self {
        let FilledBody::Staged { lease, staging } = self.body else {
            return self;
        };
        let mut facts = self.facts;
        let body = pack(&mut facts, lease, staging);
        let size_bytes = match &body {
            FilledBody::Staged { .. } => self.size_bytes,
            FilledBody::Ready { lease, format } => {
                // Message sets of the old formats have no batch header.
                let is_set = format
                    .as_ref()
                    .is_some_and(|format| format.magic() < Magic::V2);
                lease.len() + if is_set { 0 } else { RECORD_BATCH_OVERHEAD }
            }
        };
        Self {
            size_bytes,
            facts,
            body,
            ..self
        }
    }
}

impl BatchFormat {
    /// Packs one piece of a split batch. `plain` contains its records in format v2, with offsets and timestamps
    /// relative to the piece.
    pub(super) fn pack_piece(
        &self,
        facts: &mut BatchFacts,
        plain: Lease,
    ) -> (Lease, Option<Box<PackedFormat>>) {
        match pack(facts, plain, Box::new(Staging::new(self.clone(), 0))) {
            FilledBody::Ready { lease, format } => (lease, format),
            FilledBody::Staged { .. } => panic!("{UNWRITABLE}"),
        }
    }
}

/// Packs records in the batch's format. The result is stored in one of the batch's own leases if it fits.
fn pack(facts: &mut BatchFacts, lease: Lease, staging: Box<Staging>) -> FilledBody {
    let format = staging.format.clone();
    let parts: Vec<&[u8]> = staging
        .pieces()
        .iter()
        .chain([&lease])
        .map(AsRef::as_ref)
        .collect();
    let Some(written) = write_records(facts, &staging.format, &parts) else {
        return FilledBody::Staged { lease, staging };
    };
    let remembered = PackedFormat {
        format,
        plain_bytes: written.plain_bytes,
        ratio: written.ratio,
    };
    facts.codec = written.codec;
    // The estimate is updated by compressed batches only; after a failure of the codec the batch is not compressed.
    if written.codec != CompressionType::None {
        remembered.format.ratio.update(written.ratio);
    }
    FilledBody::Ready {
        lease: store(written.bytes, staging.into_pieces(), lease),
        format: Some(Box::new(remembered)),
    }
}

/// Packed records, as they are sent.
struct WrittenRecords {
    bytes: PackingBuffer,
    codec: CompressionType,
    /// Bytes of the records in their format before compression.
    plain_bytes: usize,
    /// The compression ratio (PB-7).
    ratio: f32,
}

/// Packs the records; uncompressed if the codec fails. `None` if writing them uncompressed fails, too, which is a
/// defect.
fn write_records(
    facts: &BatchFacts,
    format: &BatchFormat,
    parts: &[&[u8]],
) -> Option<WrittenRecords> {
    let compressor = format.packer.compressor();
    // Two attempts at most. If the codec fails, which is a defect, the records are written uncompressed, not lost.
    let compressed = compressor.and_then(|codec| write_with(facts, format, parts, Some(codec)));
    compressed.or_else(|| write_with(facts, format, parts, None))
}

fn write_with(
    facts: &BatchFacts,
    format: &BatchFormat,
    parts: &[&[u8]],
    compressor: Option<&Compressor>,
) -> Option<WrittenRecords> {
    let codec = compressor.map_or(CompressionType::None, Compressor::codec);
    if let Some(magic) = LegacyMagic::of(format.magic) {
        let (bytes, converted) = format.packer.pack(|out| {
            convert(facts, parts, magic, compressor, out).map_err(|error| error.to_string())
        })?;
        return Some(WrittenRecords {
            bytes,
            codec,
            plain_bytes: converted.message_bytes,
            ratio: converted.compression_ratio(),
        });
    }
    let plain_bytes = parts.iter().map(|part| part.len()).sum();
    let (bytes, ()) = format.packer.pack(|out| {
        if let Some(compressor) = compressor {
            return compressor
                .compress(format.magic, parts, out)
                .map_err(|error| error.to_string());
        }
        for part in parts {
            out.extend_from_slice(part);
        }
        Ok(())
    })?;
    Some(WrittenRecords {
        ratio: bytes.len() as f32 / plain_bytes as f32,
        bytes,
        codec,
        plain_bytes,
    })
}

/// Copies the packed records into the smallest of the batch's leases that is large enough; the other leases return to
/// the pool. If none is large enough, because compression did not shrink the records, the scratch buffer itself becomes
/// a lease. The leases may then exceed the pool's total, as with the pieces of a split batch.
fn store(mut written: PackingBuffer, pieces: Vec<Lease>, last: Lease) -> Lease {
    let needed = written.len();
    let pool = last.pool();
    let mut best: Option<Lease> = None;
    // A lease that is not kept is dropped here, which returns its memory to the pool.
    for piece in pieces.into_iter().chain([last]) {
        let fits = piece.size_bytes() >= needed;
        if fits
            && best
                .as_ref()
                .is_none_or(|best| piece.size_bytes() < best.size_bytes())
        {
            best = Some(piece);
        }
    }
    match best {
        Some(mut lease) => {
            let buffer = lease.buffer();
            buffer.clear();
            buffer.extend_from_slice(&written);
            lease
        }
        None => pool.adopt(written.take()),
    }
}

/// Panic message if staged records cannot be packed: a defect, since the producer itself encoded them.
pub(super) const UNWRITABLE: &str = "the records of a batch cannot be packed in the batch's format";
