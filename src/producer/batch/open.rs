//! An open batch, to which records are appended.

use std::sync::Arc;

use super::BatchId;
use super::filled::{FilledBatch, FilledBody};
use super::packer::BatchFormat;
use super::staging::Staging;
use crate::clock::Instant;
use crate::producer::buffer_pool::Lease;
use crate::producer::future::PlaceInBatch;
use crate::producer::produce_request_result::ProduceRequestResult;
use crate::producer::thunks::{SpareVector, Thunks, UntakenCallback};
use crate::record::builder::{RecordParts, RecordSize, RecordsBuilder};
use crate::record::format::RECORD_BATCH_OVERHEAD;

/// The arguments for a new batch.
#[derive(Debug)]
pub(crate) struct NewBatch {
    pub(crate) id: BatchId,
    pub(crate) lease: Lease,
    pub(crate) result: Arc<ProduceRequestResult>,
    pub(crate) created: Instant,
    /// Largest size of the batch, header included; a single record may exceed it (PB-2).
    pub(crate) limit_bytes: usize,
    /// The format that the batch is packed in; `None` for format v2 without compression.
    pub(crate) format: Option<BatchFormat>,
    /// Whether there are interceptors, which are called for every record, with or without a callback.
    pub(crate) track_all: bool,
    /// The emptied vector of a completed batch, for this batch's callbacks.
    pub(crate) spare: Option<SpareVector>,
}

/// An open batch in its partition's queue, which application threads fill under the queue's lock.
///
/// # Kafka
/// `ProducerBatch` while its builder is open.
#[derive(Debug)]
pub(crate) struct OpenBatch {
    id: BatchId,
    created: Instant,
    lease: Lease,
    records: RecordsBuilder,
    result: Arc<ProduceRequestResult>,
    thunks: Thunks,
    track_all: bool,
    staging: Option<Box<Staging>>,
}

impl OpenBatch {
    pub(crate) fn new(new: NewBatch) -> Self {
        Self {
            id: new.id,
            created: new.created,
            records: RecordsBuilder::new(new.limit_bytes),
            lease: new.lease,
            result: new.result,
            thunks: Thunks::in_spare(new.spare),
            track_all: new.track_all,
            staging: new
                .format
                .map(|format| Box::new(Staging::new(format, new.limit_bytes))),
        }
    }

    pub(crate) fn created(&self) -> Instant {
        self.created
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        let in_lease = self.lease.len();
        // The builder's limit is conservative and cheap to check; only past it is the compressed size estimated.
        self.records.is_full(in_lease)
            && self
                .staging
                .as_ref()
                .is_none_or(|staging| staging.is_full(in_lease))
    }

    /// Whether the batch must be packed (compressed or down-converted) after it is closed.
    pub(crate) fn needs_packing(&self) -> bool {
        self.staging.is_some()
    }

    /// Appends the record. `None` if there is no room; `callback` is then not taken.
    ///
    /// # Kafka
    /// `ProducerBatch#tryAppend`.
    #[inline]
    pub(crate) fn try_append<C: UntakenCallback + ?Sized>(
        &mut self,
        record: &RecordParts<'_>,
        payload_len: usize,
        callback: Option<&mut C>,
    ) -> Option<PlaceInBatch> {
        let size = self.records.size_of_next(record.timestamp_ms, payload_len);
        if !self.records.has_room_for(self.lease.len(), size) && !self.make_room(record, size) {
            return None;
        }
        let index = self.records.record_count();
        if index == 0 {
            // The number of callbacks is estimated from the size of the first record.
            self.thunks.expect(self.records.expected_count(size));
            if let Some(staging) = &mut self.staging {
                staging.begin(&mut self.records, &self.lease, record);
            }
        }
        self.records.append(self.lease.buffer(), record, size);
        match callback {
            Some(callback) => callback.move_to(&mut self.thunks, index, record),
            // Interceptors are called for every record, so its facts are stored even without a callback.
            None if self.track_all => self.thunks.push_silent(index, record),
            None => {}
        }
        let result = Arc::clone(&self.result);
        Some(PlaceInBatch { result, index })
    }

    #[cold]
    fn make_room(&mut self, record: &RecordParts<'_>, size: RecordSize) -> bool {
        self.staging.as_mut().is_some_and(|staging| {
            staging.make_room(&mut self.records, &mut self.lease, record, size)
        })
    }

    /// Size on the wire, in bytes: an estimate if the batch is to be packed.
    pub(crate) fn size_bytes(&self) -> usize {
        match &self.staging {
            None => RECORD_BATCH_OVERHEAD + self.lease.len(),
            Some(staging) => staging.estimate(self.lease.len()),
        }
    }

    /// Closes the batch to further records.
    pub(crate) fn close(self) -> FilledBatch {
        // Computed before `self` is taken apart. The drain limits requests by this size.
        let size_bytes = self.size_bytes();
        FilledBatch {
            id: self.id,
            created: self.created,
            size_bytes,
            facts: self.records.finish(),
            result: self.result,
            thunks: self.thunks,
            body: match self.staging {
                None => FilledBody::Ready {
                    lease: self.lease,
                    format: None,
                },
                Some(staging) => FilledBody::Staged {
                    lease: self.lease,
                    staging,
                },
            },
        }
    }
}
