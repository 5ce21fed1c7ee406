//! One producer of this process, as its parts know it.

use std::fmt;
use std::sync::Arc;

use super::callback_scope::ProducerId;
use crate::clock::Clock;
use crate::util::log::LogContext;

/// What any part of a producer needs that runs the user's code, waits, or writes to the log: which producer it is of,
/// whose time counts, and what its lines begin with. Batches and their futures keep it when the producer is gone.
#[derive(Clone)]
pub(crate) struct Instance {
    /// Not beside the counter of what is shared, which every batch changes: a `send` that runs user code reads it.
    id: ProducerId,
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    log: LogContext,
}

impl Instance {
    pub(crate) fn new(id: ProducerId, clock: Arc<dyn Clock>, log: LogContext) -> Self {
        Self {
            id,
            shared: Arc::new(Shared { clock, log }),
        }
    }

    /// A producer on the system's clock.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self::on_clock(Arc::new(crate::clock::SystemClock::new()))
    }

    #[cfg(test)]
    pub(crate) fn on_clock(clock: Arc<dyn Clock>) -> Self {
        Self::new(ProducerId::next(), clock, LogContext::for_tests())
    }

    pub(crate) fn id(&self) -> ProducerId {
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
