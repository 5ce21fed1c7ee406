//! Staging buffers of an open batch that is compressed or down-converted when it is closed.

use super::packer::BatchFormat;
use crate::producer::buffer_pool::Lease;
use crate::record::builder::{RecordParts, RecordSize, RecordsBuilder};
use crate::record::format::RECORD_BATCH_OVERHEAD;
use crate::record::legacy::LegacyMagic;

/// The staging of an open batch whose records are packed later.
///
/// Records are staged uncompressed in format v2, in one or more leases, of which the last is the batch's own; no record
/// spans two leases. The compressed size is estimated from the compression ratio of the topic's earlier batches.
///
/// # Kafka
/// The size estimate of `MemoryRecordsBuilder`. Differs: records are compressed all at once when the batch is closed,
/// not as they are appended, which would need an open stream for each batch and run the codec under the queue's lock.
// Invariant: a record that fits by the builder's limit fits by the estimate, and into the lease.
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) format: BatchFormat,
    /// Upper limit of the estimated batch size; a single record may exceed it.
    limit_bytes: usize,
    /// The estimated compression ratio, by which uncompressed sizes are multiplied: fixed when the batch is opened
    /// (PB-6).
    factor: f32,
    /// The leases that are full.
    pieces: Vec<Lease>,
    /// Bytes in the full leases.
    bytes_in_pieces: usize,
    legacy: Option<Legacy>,
}

/// The size count for an old format, whose messages have other sizes than the staged records.
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
            // Fixed now: an estimate that changed while records are appended would break the builder's limit.
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

    /// The full leases, which precede the batch's own.
    pub(super) fn pieces(&self) -> &[Lease] {
        &self.pieces
    }

    pub(super) fn into_pieces(self) -> Vec<Lease> {
        self.pieces
    }

    /// Starts the staging with the first record, which always has room.
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

    /// Makes room for a record beyond the builder's limit. Returns false if the estimate does not allow the record, or
    /// its memory is not available.
    #[cold]
    pub(super) fn make_room(
        &mut self,
        records: &mut RecordsBuilder,
        lease: &mut Lease,
        record: &RecordParts<'_>,
        size: RecordSize,
    ) -> bool {
        let more_bytes = match &self.legacy {
            // Old formats have no record headers, so the record would lose its own. The slow path, which opens the next
            // batch, rejects the record, or finds that all brokers understand format v2 by now.
            Some(_) if !record.headers.is_empty() => return false,
            Some(legacy) => legacy.size_of(record),
            None => size.total_bytes(),
        };
        if self.estimate(lease.len()) + more_bytes > self.limit_bytes {
            return false;
        }
        if lease.len() + size.total_bytes() > lease.size_bytes() {
            // `None` if threads wait for memory, or too little is free: the batch is closed instead.
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

    /// The estimated size of the batch, with `in_lease` bytes of records in its own lease.
    ///
    /// # Kafka
    /// `MemoryRecordsBuilder#estimatedBytesWritten` (PB-5).
    pub(super) fn estimate(&self, in_lease: usize) -> usize {
        self.head_bytes() + (self.plain_bytes(in_lease) as f32 * self.factor) as usize
    }

    pub(super) fn is_full(&self, in_lease: usize) -> bool {
        self.estimate(in_lease) >= self.limit_bytes
    }

    /// The uncompressed size of the records in the target format.
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

    /// A conservative limit for the builder, which counts only the records in the batch's own lease: any record that it
    /// admits, [`Self::make_room`] would admit too.
    ///
    /// With `b` bytes in the full leases, `w` bytes in the batch's own lease and a record of `s` bytes, `make_room`
    /// requires `head + (b + w) · factor + s <= limit`, and the builder requires `head + w + s <= quick`.
    fn quick_limit(&self, lease: &Lease) -> usize {
        // Zero makes every record after the first go through `make_room`, which counts message sizes.
        if self.legacy.is_some() {
            return 0;
        }
        let before = self.bytes_in_pieces as f32 * self.factor;
        let room = (self.limit_bytes.saturating_sub(RECORD_BATCH_OVERHEAD) as f32 - before)
            / self.factor.max(1.0);
        let room = (room.max(0.0) as usize).min(lease.size_bytes());
        // One byte is subtracted: rounding of the float must not admit a byte too many.
        RECORD_BATCH_OVERHEAD + room.saturating_sub(1)
    }
}
