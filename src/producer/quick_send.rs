//! The fast path of `send`: appends to an open batch without waiting, opening a batch or running user code. Any other
//! record takes the slow path, a [`SendAttempt`](super::send_attempt::SendAttempt).
//!
//! Values are passed in registers where possible. A value that is assembled in memory and read back at once in larger
//! pieces causes a store-forwarding stall: without such values, sending a record with a callback took 11 % less CPU
//! time.

use super::accumulator::{Admission, Choice, TopicEntry};
use super::core::{Core, Plugins};
use super::future::{PlaceInBatch, RecordInBatch};
use super::record::{ProducerRecord, RecordData};
use super::thunks::UntakenCallback;
use crate::record::builder::{RecordParts, batch_size_upper_bound};

/// Appends the record to an open batch, if no user code has to run for it, its topic is among this thread's recent
/// topics, and the batch has room. Else returns `None` and does not take `callback`; the only side effect is that a
/// batch without room was closed.
///
/// # Blocking
/// Never.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "inlined into the caller, a record that only borrows is not built in memory"
)]
pub(crate) fn send_quickly<K: ?Sized + RecordData, V: ?Sized + RecordData, C: UntakenCallback>(
    core: &Core,
    plugins: &Plugins<K, V>,
    of: impl Admission,
    record: &ProducerRecord<'_, K, V>,
    callback: Option<&mut C>,
) -> Option<RecordInBatch> {
    // Interceptors are user code, and may replace the record.
    if !plugins.interceptors.is_empty() {
        return None;
    }
    let bytes = plugins.borrow_bytes(record.key(), record.value())?;
    let parts = RecordParts {
        key: bytes.key,
        value: bytes.value,
        headers: record.headers.as_slice(),
        timestamp_ms: match record.timestamp {
            Some(timestamp) => timestamp,
            None => core.clock.timestamp().as_millis(),
        },
    };
    let choice = plugins.choice(record.partition, parts.key.is_some())?;
    let place = append_quickly(core, of, &record.topic, &parts, choice, callback)?;
    Some(RecordInBatch::new(place, &parts))
}

#[inline(never)]
fn append_quickly<C: UntakenCallback>(
    core: &Core,
    of: impl Admission,
    topic: &str,
    record: &RecordParts<'_>,
    choice: Choice,
    callback: Option<&mut C>,
) -> Option<PlaceInBatch> {
    // A negative timestamp is an error of the caller: the slow path reports it, as it reports a record that is too
    // large.
    if record.timestamp_ms < 0 {
        return None;
    }
    let payload_len = record.payload_len();
    let size = batch_size_upper_bound(payload_len);
    core.check_size(size, size).ok()?;
    let choose = |topic: &TopicEntry| topic.choose(choice, record.key, &core.random);
    core.accumulator
        .append_to_recent(of, topic, choose, record, payload_len, callback)
}
