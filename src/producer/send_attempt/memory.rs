//! The wait of a send for buffer memory.

use std::sync::Arc;

use crate::clock::Instant;
use crate::metrics::tables::MemorySensor;
use crate::producer::accumulator::PartitionEntry;
use crate::producer::buffer_pool::Ticket;
use crate::producer::core::{Core, SerializedRecord};
use crate::producer::serializer::Serialized;
use crate::types::Magic;

/// State of a send that is queued in the buffer pool: the values that the append needs once memory is allocated.
pub(super) struct MemoryWait<'r> {
    pub(super) ticket: Ticket,
    /// Present while the send waits; dropped when the memory is allocated.
    pub(super) time: Option<MemoryWaitTimer<'r>>,
    pub(super) entry: Arc<PartitionEntry>,
    pub(super) bytes: SerializedRecord<Serialized<'r>>,
    pub(super) timestamp_ms: i64,
    /// Record format (magic) that the record was checked for. It is not loaded again: if an older broker connected
    /// during the wait, the batch would get a format that the record was not checked for.
    pub(super) magic: Magic,
}

/// Timer of a wait for memory: records the `bufferpool-wait-time` metrics when dropped.
pub(super) struct MemoryWaitTimer<'r> {
    core: &'r Core,
    since: Instant,
}

impl<'r> MemoryWaitTimer<'r> {
    pub(super) fn begin(core: &'r Core) -> Self {
        let since = core.clock.now();
        Self { core, since }
    }
}

impl Drop for MemoryWaitTimer<'_> {
    fn drop(&mut self) {
        let now = self.core.clock.now();
        let waited = (now - self.since).as_nanos() as f64;
        let memory = &self.core.sensors.memory;
        memory.record(MemorySensor::WaitTime, waited, now);
    }
}
