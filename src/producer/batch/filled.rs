//! A batch in its queue that takes no more records, and how it becomes what is sent.

use std::sync::Arc;

use super::BatchId;
use super::packer::{BatchFormat, Scratch};
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

/// See the [module](self).
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
    /// As it is sent.
    Ready {
        lease: Lease,
        /// `None` for format v2 without compression.
        format: Option<Box<PackedFormat>>,
    },
    /// Plain records of format v2: those of the staging's pieces, then those of the lease.
    Staged { lease: Lease, staging: Box<Staging> },
}

/// How a batch was written, for when it must be written again.
#[derive(Debug, Clone)]
pub(super) struct PackedFormat {
    pub(super) format: BatchFormat,
    /// Bytes of the records before compression.
    pub(super) plain_bytes: usize,
    /// What they shrank to, as a part of that (PB-7).
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

    /// Bytes it has on the wire, or will have by estimate.
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Whether it is still to be compressed, or written in an old format.
    pub(crate) fn needs_packing(&self) -> bool {
        matches!(self.body, FilledBody::Staged { .. })
    }

    /// Compresses its records, or writes them in an old format, if that is still to be done. Takes as long
    /// as the codec does: not to be called with a lock held.
    ///
    /// If the codec fails, which is a defect, the records are sent as they are.
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
                let is_set = format.as_ref().is_some_and(|it| it.magic() < Magic::V2);
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
    /// Writes the records of a part of a batch, each in its place there already.
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

/// Writes the records as the batch's format has them, into one of their own pieces of memory if they fit.
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
    if written.codec != CompressionType::None {
        remembered.format.ratio.update(written.ratio);
    }
    FilledBody::Ready {
        lease: place(written.bytes, staging.into_pieces(), lease),
        format: Some(Box::new(remembered)),
    }
}

/// Records as they are sent.
struct Written {
    bytes: Scratch,
    codec: CompressionType,
    /// What they take in their format without compression.
    plain_bytes: usize,
    /// What they shrank to, as a part of that (PB-7).
    ratio: f32,
}

/// Plain, if the codec fails. `None` if even that cannot be done, which is a defect.
fn write_records(facts: &BatchFacts, format: &BatchFormat, parts: &[&[u8]]) -> Option<Written> {
    let compressor = format.packer.compressor();
    let compressed = compressor.and_then(|it| write_with(facts, format, parts, Some(it)));
    compressed.or_else(|| write_with(facts, format, parts, None))
}

fn write_with(
    facts: &BatchFacts,
    format: &BatchFormat,
    parts: &[&[u8]],
    compressor: Option<&Compressor>,
) -> Option<Written> {
    let codec = compressor.map_or(CompressionType::None, Compressor::codec);
    if let Some(magic) = LegacyMagic::of(format.magic) {
        let (bytes, converted) = format.packer.pack(|out| {
            convert(facts, parts, magic, compressor, out).map_err(|error| error.to_string())
        })?;
        return Some(Written {
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
    Some(Written {
        ratio: bytes.len() as f32 / plain_bytes as f32,
        bytes,
        codec,
        plain_bytes,
    })
}

/// Puts what was written into the smallest piece of the batch's memory that holds it; the others are given
/// back. If none does, records that did not shrink take what they need, as pieces of a batch that is split
/// do.
fn place(mut written: Scratch, pieces: Vec<Lease>, last: Lease) -> Lease {
    let needed = written.len();
    let pool_of = last.pool();
    let mut best: Option<Lease> = None;
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
        None => pool_of.adopt(written.take()),
    }
}

/// A defect, for which the producer fails: what is staged was written here.
pub(super) const UNWRITABLE: &str =
    "a batch's own records cannot be written in the format it is for";
