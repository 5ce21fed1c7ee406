//! What became of a batch: one latch that all its records' futures share.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use super::callback_scope::ProducerId;
use crate::error::ProduceError;
use crate::sync::{Condvar, Mutex, Rank};
use crate::types::TopicPartition;

/// How a batch ended.
#[derive(Debug, Clone)]
pub(crate) enum BatchOutcome {
    /// Its records are in the log from `base_offset` on.
    Written {
        /// -1 when the broker does not tell (acks=0, a duplicate it no longer remembers).
        base_offset: i64,
        /// -1 when records keep their own timestamps.
        log_append_time_ms: i64,
    },
    /// All its records failed alike.
    Failed(ProduceError),
    /// The broker named the records that were wrong; the others failed with them (PB-16).
    FailedByRecord {
        /// By place in the batch, ascending.
        named: Vec<(u32, ProduceError)>,
        rest: ProduceError,
    },
}

impl BatchOutcome {
    /// What the record at `index` got: base offset and append time, or its error.
    pub(crate) fn for_record(&self, index: u32) -> Result<(i64, i64), &ProduceError> {
        match self {
            Self::Written {
                base_offset,
                log_append_time_ms,
            } => Ok((*base_offset, *log_append_time_ms)),
            Self::Failed(error) => Err(error),
            Self::FailedByRecord { named, rest } => Err(named
                .iter()
                .find(|(at, _)| *at == index)
                .map_or(rest, |(_, error)| error)),
        }
    }
}

/// The latch of one batch: first the outcome is published, then callbacks run, then waiters are
/// released, so that a `get` that returned has seen its callback run (PB-15).
///
/// # Kafka
/// `ProduceRequestResult`.
pub(crate) struct ProduceRequestResult {
    topic_partition: TopicPartition,
    producer: ProducerId,
    outcome: OnceLock<BatchOutcome>,
    released: AtomicBool,
    waiters: Mutex<Waiters>,
    condvar: Condvar,
}

#[derive(Debug, Default)]
struct Waiters {
    threads: usize,
    wakers: Vec<Waker>,
}

impl ProduceRequestResult {
    pub(crate) fn new(topic_partition: TopicPartition, producer: ProducerId) -> Self {
        Self {
            topic_partition,
            producer,
            outcome: OnceLock::new(),
            released: AtomicBool::new(false),
            waiters: Mutex::new(Rank::LEAF, Waiters::default()),
            condvar: Condvar::new(),
        }
    }

    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    pub(crate) fn producer(&self) -> ProducerId {
        self.producer
    }

    /// Sets the outcome. A batch is consumed by being completed, so this happens once.
    pub(crate) fn publish(&self, outcome: BatchOutcome) {
        let set = self.outcome.set(outcome);
        debug_assert!(set.is_ok(), "a batch is completed once");
    }

    /// Lets every waiter go on.
    pub(crate) fn release_waiters(&self) {
        debug_assert!(
            self.outcome.get().is_some(),
            "released before it was published"
        );
        let wakers = {
            let mut waiters = self.waiters.lock();
            self.released.store(true, Ordering::Release);
            if waiters.threads > 0 {
                self.condvar.notify_all();
            }
            std::mem::take(&mut waiters.wakers)
        };
        // Wakers are user code: no lock is held.
        for waker in wakers {
            waker.wake();
        }
    }

    /// The outcome, once waiters have been released.
    #[inline]
    pub(crate) fn outcome(&self) -> Option<&BatchOutcome> {
        if self.released.load(Ordering::Acquire) {
            self.outcome.get()
        } else {
            None
        }
    }

    /// The outcome as soon as it is published, also while callbacks still run.
    pub(crate) fn published_outcome(&self) -> Option<&BatchOutcome> {
        self.outcome.get()
    }

    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    /// Waits for the outcome; `None` when `timeout` passed first.
    ///
    /// # Blocking
    /// Up to `timeout`; without one until the batch is done.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> Option<&BatchOutcome> {
        if self.is_released() {
            return self.outcome.get();
        }
        let started = Elapsed::start(timeout);
        let mut waiters = self.waiters.lock();
        waiters.threads += 1;
        while !self.released.load(Ordering::Acquire) {
            match started.remaining() {
                None => self.condvar.wait(&mut waiters),
                Some(left) if left.is_zero() => break,
                Some(left) => self.condvar.wait_for(&mut waiters, left),
            }
        }
        waiters.threads -= 1;
        drop(waiters);
        self.outcome()
    }

    /// Registers a task to be woken; false when there is nothing to wait for any more.
    pub(crate) fn register(&self, waker: &Waker) -> bool {
        let mut waiters = self.waiters.lock();
        if self.released.load(Ordering::Acquire) {
            return false;
        }
        if !waiters.wakers.iter().any(|known| known.will_wake(waker)) {
            waiters.wakers.push(waker.clone());
        }
        true
    }
}

impl fmt::Debug for ProduceRequestResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProduceRequestResult")
            .field("topic_partition", &self.topic_partition)
            .field("outcome", &self.outcome.get())
            .finish_non_exhaustive()
    }
}

/// How much of a caller's timeout is left. A thread that waits in a condition variable waits in real
/// time whatever clock the producer runs on, so this reads the system's clock.
pub(crate) struct Elapsed {
    limit: Option<(crate::clock::SystemClock, crate::clock::Instant, Duration)>,
}

impl Elapsed {
    pub(crate) fn start(timeout: Option<Duration>) -> Self {
        use crate::clock::Clock;
        Self {
            limit: timeout.map(|timeout| {
                let clock = crate::clock::SystemClock::new();
                let now = clock.now();
                (clock, now, timeout)
            }),
        }
    }

    /// `None` without a limit; zero when it has passed.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        use crate::clock::Clock;
        self.limit
            .as_ref()
            .map(|(clock, start, timeout)| timeout.saturating_sub(clock.now() - *start))
    }
}
