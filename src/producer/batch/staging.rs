//! Records that wait to be compressed, or to be written in an old format, as one.

use super::packer::BatchFormat;
use crate::producer::buffer_pool::Lease;
use crate::record::builder::{RecordParts, RecordSize, RecordsBuilder};
use crate::record::format::RECORD_BATCH_OVERHEAD;
use crate::record::legacy::LegacyMagic;

/// What an open batch knows beside its records when they are not sent as they are staged.
///
/// The records are staged plain, as format v2 has them, in pieces of memory of which the last is the
/// batch's own lease; no record is in two pieces. How large they will be is estimated from how well the
/// topic's earlier batches shrank.
///
/// # Kafka
/// The part of `MemoryRecordsBuilder` that estimates. Differs: records are not compressed one after
/// the other as they are appended, under the queue's lock and with an open stream for each batch, but all
/// at once when the batch is complete.
// Invariant: a record that fits by the builder's limit fits by the estimate, and into the memory.
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) format: BatchFormat,
    /// Largest size of the batch as it is estimated; one record may exceed it.
    limit_bytes: usize,
    /// What plain sizes are multiplied with: fixed when the batch is opened (PB-6).
    factor: f32,
    /// Pieces that are full.
    pieces: Vec<Lease>,
    /// Bytes in them.
    bytes_in_pieces: usize,
    legacy: Option<Legacy>,
}

/// What is counted for an old format, whose records have other sizes than the staged ones.
#[derive(Debug)]
struct Legacy {
    magic: LegacyMagic,
    /// Bytes of the messages before compression.
    message_bytes: usize,
}

impl Legacy {
    fn size_of(&self, record: &RecordParts<'_>) -> usize {
        let [key, value] = [record.key, record.value].map(|field| field.map_or(0, <[u8]>::len));
        self.magic.message_size(key, value)
    }
}

impl Staging {
    pub(super) fn new(format: BatchFormat, limit_bytes: usize) -> Self {
        let factor = match format.packer.compressor() {
            Some(_) => format.ratio.factor(),
            None => 1.0,
        };
        let legacy = LegacyMagic::of(format.magic).map(|magic| Legacy {
            magic,
            message_bytes: 0,
        });
        Self {
            format,
            limit_bytes,
            factor,
            pieces: Vec::new(),
            bytes_in_pieces: 0,
            legacy,
        }
    }

    /// The pieces that are full; the lease of the batch comes after them.
    pub(super) fn pieces(&self) -> &[Lease] {
        &self.pieces
    }

    pub(super) fn into_pieces(self) -> Vec<Lease> {
        self.pieces
    }

    /// The first record, which always has room.
    #[cold]
    pub(super) fn begin(
        &mut self,
        records: &mut RecordsBuilder,
        lease: &Lease,
        record: &RecordParts<'_>,
    ) {
        if let Some(legacy) = &mut self.legacy {
            legacy.message_bytes = legacy.size_of(record);
        }
        records.set_limit(self.quick_limit(lease));
    }

    /// Whether there is room for a record that the builder's limit would refuse; makes it.
    #[cold]
    pub(super) fn make_room(
        &mut self,
        records: &mut RecordsBuilder,
        lease: &mut Lease,
        record: &RecordParts<'_>,
        size: RecordSize,
    ) -> bool {
        let more_bytes = match &self.legacy {
            // They would be lost. What opens the next batch refuses them, or finds newer brokers.
            Some(_) if !record.headers.is_empty() => return false,
            Some(legacy) => legacy.size_of(record),
            None => size.total_bytes(),
        };
        if self.estimate(lease.len()) + more_bytes > self.limit_bytes {
            return false;
        }
        if lease.len() + size.total_bytes() > lease.size_bytes() {
            // Who waits for memory goes first.
            let Some(next) = lease.another(size.total_bytes()) else {
                return false;
            };
            self.bytes_in_pieces += lease.len();
            self.pieces.push(std::mem::replace(lease, next));
        }
        if let Some(legacy) = &mut self.legacy {
            legacy.message_bytes += more_bytes;
        }
        records.set_limit(self.quick_limit(lease));
        true
    }

    /// The size the batch will have, after `in_lease` bytes of records in its lease.
    ///
    /// # Kafka
    /// `MemoryRecordsBuilder#estimatedBytesWritten` (PB-5).
    pub(super) fn estimate(&self, in_lease: usize) -> usize {
        self.head_bytes() + (self.plain_bytes(in_lease) as f32 * self.factor) as usize
    }

    pub(super) fn is_full(&self, in_lease: usize) -> bool {
        self.estimate(in_lease) >= self.limit_bytes
    }

    /// Bytes that the records take without compression in the format they are for.
    pub(super) fn plain_bytes(&self, in_lease: usize) -> usize {
        match &self.legacy {
            Some(legacy) => legacy.message_bytes,
            None => self.bytes_in_pieces + in_lease,
        }
    }

    fn head_bytes(&self) -> usize {
        let is_compressed = self.format.packer.compressor().is_some();
        match &self.legacy {
            Some(legacy) => legacy.magic.set_overhead(is_compressed),
            None => RECORD_BATCH_OVERHEAD,
        }
    }

    /// A limit that the builder can apply to what is in the lease without asking: whatever it lets in,
    /// [`Self::make_room`] would let in too.
    ///
    /// With `b` bytes before the lease, `w` in it and a record of `s`, that asks for
    /// `head + (b + w) · factor + s <= limit`, and of the builder's limit for `head + w + s <= quick`.
    fn quick_limit(&self, lease: &Lease) -> usize {
        if self.legacy.is_some() {
            return 0;
        }
        let before = self.bytes_in_pieces as f32 * self.factor;
        let room = (self.limit_bytes.saturating_sub(RECORD_BATCH_OVERHEAD) as f32 - before)
            / self.factor.max(1.0);
        let room = (room.max(0.0) as usize).min(lease.size_bytes());
        // The float's rounding is not to let in a byte more.
        RECORD_BATCH_OVERHEAD + room.saturating_sub(1)
    }
}
