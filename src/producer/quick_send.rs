//! The way of nearly every record into its batch: nothing is asked for, waited for, made or refused. What
//! takes more goes step by step, as a [`SendAttempt`](super::send_attempt::SendAttempt).
//!
//! What can be is passed and returned in registers: a value that is put together in memory and read back
//! at once, in larger pieces than it was written in, stalls the processor for longer than the rest takes.

use super::accumulator::{Choice, TopicEntry};
use super::core::{Core, Plugins};
use super::future::{Place, RecordInBatch};
use super::record::ProducerRecord;
use super::thunks::UntakenCallback;
use crate::record::builder::{RecordParts, batch_size_upper_bound};

/// Appends the record to an open batch, if none of the user's code is to be run for it, this thread sent
/// to its topic before, and the batch has room. Else nothing has happened but that a batch without room
/// was closed, and `callback` is where it was.
///
/// # Blocking
/// Never.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "in the caller's own code a record that borrows all is not even built"
)]
pub(crate) fn send_quickly<K: ?Sized + ToOwned, V: ?Sized + ToOwned, C: UntakenCallback>(
    core: &Core,
    plugins: &Plugins<K, V>,
    record: &ProducerRecord<'_, K, V>,
    callback: Option<&mut C>,
) -> Option<RecordInBatch> {
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
    let place = append_quickly(core, &record.topic, &parts, choice, callback)?;
    Some(RecordInBatch::new(place, &parts))
}

#[inline(never)]
fn append_quickly<C: UntakenCallback>(
    core: &Core,
    topic: &str,
    record: &RecordParts<'_>,
    choice: Choice,
    callback: Option<&mut C>,
) -> Option<Place> {
    if record.timestamp_ms < 0 {
        return None;
    }
    let payload_len = record.payload_len();
    let size = batch_size_upper_bound(payload_len);
    core.check_size(size, size).ok()?;
    let choose = |topic: &TopicEntry| topic.choose(choice, record.key, &core.random);
    core.accumulator
        .append_to_recent(topic, choose, record, payload_len, callback)
}
