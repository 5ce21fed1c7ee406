//! Identity of a producer within the process: id, clock, log prefix.

use std::fmt;
use std::sync::Arc;

use crate::clock::Clock;
use crate::util::log::LogContext;
use crate::util::process::Process;

/// Handle to the id, the clock and the log context of a producer, for all parts that run user code, wait or log. Cheap
/// to clone. Batches and futures keep it after the producer was dropped.
#[derive(Clone)]
pub(crate) struct Instance {
    /// Outside the `Arc`, to avoid false sharing: each `send` that runs user code reads the id, and every batch changes
    /// the `Arc`'s reference count, which shares a cache line with its contents.
    id: InstanceId,
    shared: Arc<InstanceParts>,
}

struct InstanceParts {
    clock: Arc<dyn Clock>,
    log: LogContext,
}

impl Instance {
    pub(crate) fn new(id: InstanceId, clock: Arc<dyn Clock>, log: LogContext) -> Self {
        Self {
            id,
            shared: Arc::new(InstanceParts { clock, log }),
        }
    }

    /// The identity of a producer on the system's clock.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self::on_clock(Arc::new(crate::clock::SystemClock::new()))
    }

    #[cfg(test)]
    pub(crate) fn on_clock(clock: Arc<dyn Clock>) -> Self {
        Self::new(InstanceId::next(), clock, LogContext::for_tests())
    }

    pub(crate) fn id(&self) -> InstanceId {
        self.id
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    pub(crate) fn log(&self) -> &LogContext {
        &self.shared.log
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.log.fmt(f)
    }
}

/// Unique id of a producer within the process. Not Kafka's producer id, which a broker assigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InstanceId {
    pub(super) number: u64,
    process: Process,
}

impl InstanceId {
    /// An id that no other producer of this process has.
    pub(crate) fn next() -> Self {
        Self::built_in(Process::current())
    }

    /// The id of a producer that was built in `process`.
    pub(crate) fn built_in(process: Process) -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            process,
        }
    }

    /// Whether this process is a fork of the one that the producer's sender thread runs in.
    pub(crate) fn is_forked(self) -> bool {
        self.process.is_forked()
    }
}
