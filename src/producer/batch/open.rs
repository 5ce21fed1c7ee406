//! A batch that takes records.

use std::sync::Arc;

use super::BatchId;
use crate::clock::Instant;
use crate::producer::buffer_pool::Lease;
use crate::producer::future::Place;
use crate::producer::produce_request_result::ProduceRequestResult;
use crate::producer::thunks::{Thunks, UntakenCallback};
use crate::record::builder::{BatchFacts, RecordParts, RecordsBuilder};
use crate::record::format::RECORD_BATCH_OVERHEAD;

/// What a new batch is made of.
#[derive(Debug)]
pub(crate) struct NewBatch {
    pub(crate) id: BatchId,
    pub(crate) lease: Lease,
    pub(crate) result: Arc<ProduceRequestResult>,
    pub(crate) created: Instant,
    /// Largest size of the batch, header included; a single record may exceed it (PB-2).
    pub(crate) limit_bytes: usize,
    /// Whether every record's end is reported, callback or not: there are interceptors.
    pub(crate) track_all: bool,
}

/// A batch in its partition's queue, being filled by application threads under the queue's lock.
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
}

impl OpenBatch {
    pub(crate) fn new(new: NewBatch) -> Self {
        Self {
            id: new.id,
            created: new.created,
            records: RecordsBuilder::new(new.limit_bytes),
            lease: new.lease,
            result: new.result,
            thunks: Thunks::default(),
            track_all: new.track_all,
        }
    }

    pub(crate) fn created(&self) -> Instant {
        self.created
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records.is_full(self.lease.len())
    }

    /// Takes the record, or says that there is no room for it and leaves `callback` where it is.
    ///
    /// # Kafka
    /// `ProducerBatch#tryAppend`.
    #[inline]
    pub(crate) fn try_append<C: UntakenCallback + ?Sized>(
        &mut self,
        record: &RecordParts<'_>,
        payload_len: usize,
        callback: Option<&mut C>,
    ) -> Option<Place> {
        let size = self.records.size_of_next(record.timestamp_ms, payload_len);
        if !self.records.has_room_for(self.lease.len(), size) {
            return None;
        }
        let index = self.records.record_count();
        if index == 0 {
            self.thunks.expect(self.records.expected_count(size));
        }
        self.records.append(self.lease.buffer(), record, size);
        match callback {
            Some(callback) => callback.move_to(&mut self.thunks, index, record),
            None if self.track_all => self.thunks.push_silent(index, record),
            None => {}
        }
        let result = Arc::clone(&self.result);
        Some(Place { result, index })
    }

    /// Bytes the batch has on the wire.
    pub(crate) fn size_bytes(&self) -> usize {
        RECORD_BATCH_OVERHEAD + self.lease.len()
    }

    /// Closes the batch to records.
    pub(crate) fn close(self) -> FilledBatch {
        FilledBatch(self)
    }
}

/// A batch in its queue that takes no more records.
#[derive(Debug)]
pub(crate) struct FilledBatch(OpenBatch);

impl FilledBatch {
    pub(crate) fn created(&self) -> Instant {
        self.0.created
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.0.size_bytes()
    }

    pub(super) fn into_parts(self) -> OpenParts {
        let open = self.0;
        OpenParts {
            id: open.id,
            created: open.created,
            facts: open.records.finish(),
            lease: open.lease,
            result: open.result,
            thunks: open.thunks,
        }
    }
}

/// What sealing takes over.
pub(super) struct OpenParts {
    pub(super) id: BatchId,
    pub(super) created: Instant,
    pub(super) facts: BatchFacts,
    pub(super) lease: Lease,
    pub(super) result: Arc<ProduceRequestResult>,
    pub(super) thunks: Thunks,
}
