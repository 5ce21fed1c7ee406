//! The way of nearly every record into its batch: nothing is asked for, waited for, made or refused. What
//! takes more goes step by step, as a [`SendAttempt`](super::send_attempt::SendAttempt).

use super::accumulator::Append;
use super::core::{Core, Plugins};
use super::future::RecordInBatch;
use super::record::ProducerRecord;
use super::thunks::UntakenCallback;
use crate::record::Header;
use crate::record::builder::{RecordParts, batch_size_upper_bound};
use crate::types::PartitionId;

/// What there is to a record. Taken from it before the call rather than in it: the compiler then sees in
/// the caller's code that nothing of a record's has to be dropped when all of it was borrowed.
pub(crate) struct RecordView<'r, K: ?Sized, V: ?Sized> {
    topic: &'r str,
    partition: Option<PartitionId>,
    timestamp: Option<i64>,
    key: Option<&'r K>,
    value: Option<&'r V>,
    headers: &'r [Header],
}

impl<'r, K: ?Sized + ToOwned, V: ?Sized + ToOwned> RecordView<'r, K, V> {
    #[inline]
    pub(crate) fn of(record: &'r ProducerRecord<'_, K, V>) -> Self {
        Self {
            topic: &record.topic,
            partition: record.partition,
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: record.headers.as_slice(),
        }
    }
}

/// Appends the record to an open batch, if this thread sent to its topic before, none of the user's code
/// is to be run for it, and the batch has room. Else nothing has happened but that a batch without room
/// was closed, and `callback` is where it was.
///
/// # Blocking
/// Never.
#[inline(never)]
pub(crate) fn send_quickly<K: ?Sized + ToOwned, V: ?Sized + ToOwned, C: UntakenCallback>(
    core: &Core,
    plugins: &Plugins<K, V>,
    record: &RecordView<'_, K, V>,
    callback: Option<&mut C>,
) -> Option<RecordInBatch> {
    debug_assert!(
        plugins.interceptors.is_empty(),
        "they have the record first"
    );
    core.accumulator.with_recent_topic(record.topic, |topic| {
        let bytes = plugins.borrow_bytes(record.key, record.value)?;
        let timestamp_ms = match record.timestamp {
            None => core.clock.timestamp().as_millis(),
            Some(timestamp) if timestamp >= 0 => timestamp,
            Some(_) => return None,
        };
        let parts = RecordParts {
            key: bytes.key,
            value: bytes.value,
            headers: record.headers,
            timestamp_ms,
        };
        let partition = plugins.stock_partition(core, topic, record.partition, bytes.key)?;
        let entry = topic.partition(partition)?;
        let payload_len = parts.payload_len();
        core.check_size(batch_size_upper_bound(payload_len)).ok()?;
        topic.mark_used();
        match core
            .accumulator
            .try_append(entry, &parts, payload_len, callback)
        {
            Append::Done(place) => Some(RecordInBatch::new(place, &parts)),
            Append::NeedsBatch | Append::Closed => None,
        }
    })
}
