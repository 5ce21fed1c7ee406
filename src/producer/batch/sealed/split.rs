//! Splitting a batch that the broker rejects as too large (`MESSAGE_TOO_LARGE`).

use std::sync::Arc;

use crate::planted::planted;
use crate::util::log::error;

use super::{BatchFate, SealedBatch};
use crate::clock::Instant;
use crate::compress::CompressionType;
use crate::producer::batch::BatchId;
use crate::producer::buffer_pool::BufferPool;
use crate::producer::produce_request_result::{ProduceRequestResult, ResultOfPiece};
use crate::producer::thunks::Thunks;
use crate::record::builder::ProducerState;
use crate::record::format::RECORD_BATCH_OVERHEAD;
use crate::record::split::{Piece, divide};

/// A split batch: its pieces, in order, which are not yet among the incomplete batches.
#[derive(Debug)]
pub(crate) struct SplitBatch {
    whole: BatchId,
    result: Arc<ProduceRequestResult>,
    pieces: Vec<SealedBatch>,
}

impl SealedBatch {
    /// Splits the batch. Before compression each piece is at most half as large as the batch, unless it is a single
    /// record. The pieces inherit its callbacks, creation time, sequence numbers and the fate of its attempts; their
    /// retries start at zero, as in Kafka. Returns the batch as `Err` if it cannot be split.
    ///
    /// Decompresses the batch and compresses the pieces on this thread.
    ///
    /// # Kafka
    /// `ProducerBatch#split`. Differs: the pieces' memory is counted by the pool (Java's is not), and an uncompressed
    /// message set is split, too: a single message may be too large for the broker, and the other messages need not
    /// fail with it (PB-24).
    pub(crate) fn split(
        mut self: Box<Self>,
        pool: &Arc<BufferPool>,
        now: Instant,
    ) -> Result<SplitBatch, Box<Self>> {
        let divided = match self.divide() {
            Ok(divided) if divided.len() > 1 => divided,
            Ok(_) => return Err(self),
            Err(wrong) => {
                debug_assert!(false, "a batch that was written here is read here: {wrong}");
                let log = self.result.instance().log();
                error!(
                    log,
                    "{}: cannot split a batch: {wrong}",
                    self.topic_partition()
                );
                return Err(self);
            }
        };
        if let Some(packed) = &self.format {
            // As in Kafka: the next batches are closed as if compression did not shrink them, so that they are not too
            // large as well.
            packed.format.ratio.reset(packed.ratio);
        }
        // The attempt ends before the pieces are made: they inherit the batch's times.
        self.mark_returned(now);
        let mut thunks = std::mem::take(&mut self.thunks);
        let mut pieces = Vec::with_capacity(divided.len());
        let mut records_before = 0;
        for piece in divided {
            let count = piece.facts.record_count;
            let own = thunks.take_front(count);
            pieces.push(self.piece(records_before, piece, own, pool, now));
            records_before += count;
        }
        Ok(SplitBatch {
            whole: self.id,
            result: self.result,
            pieces,
        })
    }

    fn divide(&self) -> Result<Vec<Piece>, String> {
        if planted!(PlainSetNotDivided) && self.facts.codec == CompressionType::None {
            return Ok(Vec::new());
        }
        let (facts, plain) = self.restaged()?;
        let limit_bytes = usize::midpoint(RECORD_BATCH_OVERHEAD, plain.len());
        divide(&facts, &plain, limit_bytes).map_err(|wrong| format!("{wrong:?}"))
    }

    fn piece(
        &self,
        records_before: u32,
        piece: Piece,
        thunks: Thunks,
        pool: &Arc<BufferPool>,
        now: Instant,
    ) -> Self {
        // The pieces share out the whole's range of sequence numbers, so later batches keep theirs.
        let state = self.producer_state().map(|state| ProducerState {
            base_sequence: state.base_sequence.advance(records_before),
            ..state
        });
        let mut facts = piece.facts;
        let plain = pool.adopt(piece.records);
        let (lease, format) = match &self.format {
            None => (plain, None),
            Some(packed) => packed.format.pack_piece(&mut facts, plain),
        };
        Self {
            id: self.id.piece_after(records_before),
            created: self.created,
            facts,
            body: lease.into_bytes(),
            format,
            result: Arc::new(ProduceRequestResult::new(
                self.topic_partition().clone(),
                self.result.instance().clone(),
            )),
            thunks,
            state: state.unwrap_or(ProducerState::NONE),
            attempts: 0,
            times_drained: self.times_drained,
            waiting_since: now,
            retry_at: now,
            drained: None,
            queued: self.queued,
            in_flight: self.in_flight,
            // A broker that has written the whole batch does not recognize the pieces as duplicates by their
            // sequences, so its responses to them cannot settle whether the records are in the log.
            fate: match self.fate {
                _ if planted!(PieceForgetsFate) => BatchFate::NotWritten,
                BatchFate::NotWritten => BatchFate::NotWritten,
                BatchFate::Disputed | BatchFate::Unknown => BatchFate::Unknown,
            },
            troubles: self.troubles.clone(),
        }
    }
}

impl SplitBatch {
    /// The batch that was split.
    pub(crate) fn whole(&self) -> BatchId {
        self.whole
    }

    pub(crate) fn pieces(&self) -> &[SealedBatch] {
        &self.pieces
    }

    /// Redirects waiters of the whole batch to the pieces, and returns these for sending. To be called after
    /// `RecordAccumulator::replace_by_pieces`: a flush that begins now must find the pieces (KAFKA-19479).
    pub(crate) fn release(self) -> Vec<SealedBatch> {
        let mut records_before = 0;
        let results = self.pieces.iter().map(|piece| {
            let result = ResultOfPiece {
                records_before,
                result: Arc::clone(&piece.result),
            };
            records_before += piece.record_count();
            result
        });
        self.result.publish_split(results.collect());
        self.result.release_waiters();
        self.pieces
    }
}
