//! Turns of the calls that may ask a KDC: one at a time in the whole process.

use std::sync::{Arc, Weak};
use std::time::Duration;

#[cfg(feature = "gssapi")]
use crate::clock::SystemClock;
use crate::clock::{Clock, Instant};
use crate::security::sasl::dependencies::Wake;
#[cfg(feature = "gssapi")]
use crate::sync::OnceLock;
use crate::sync::{Mutex, Rank};
use crate::util::log::{self, LogContext};

/// A call that has run for longer counts as hung, and no longer prevents others. Doubled for each hung call, up to
/// [`MAX_PATIENCE`]: a KDC that stays hung costs few threads.
const PATIENCE: Duration = Duration::from_secs(30);
const MAX_PATIENCE: Duration = Duration::from_secs(3600);
/// Limit of hung calls, and thereby of their threads. With these intervals it is reached after about nine hours.
pub(super) const MAX_CALLS: usize = 16;

/// The answer to a call that asks for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KdcTurn {
    /// The call may start, and gives back the turn with this id.
    Granted(u64),
    /// Another call is running. After this time, at the latest, it counts as hung.
    Awaited(Duration),
    /// [`MAX_CALLS`] calls hang.
    Exhausted,
}

/// An event that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HungCallEvent {
    /// The first call counts as hung, after this time.
    First(Duration),
    /// The last call that the limit allows counts as hung.
    Limit,
}

#[derive(Default)]
struct KdcTurnsState {
    /// Number of turns so far: the id of the last one.
    count: u64,
    /// Ids and start times of the calls that have not ended, oldest first.
    running: Vec<(u64, Instant)>,
    /// Whether [`HungCallEvent::Limit`] was logged since a call has ended.
    is_limit_logged: bool,
    /// The wakers of the producers, whose connections may wait for a turn.
    wakes: Vec<Weak<Wake>>,
}

impl KdcTurnsState {
    fn next(&mut self, now: Instant) -> (KdcTurn, Option<HungCallEvent>) {
        let count = self.running.len();
        let newest = self.running.last().map(|(_, started)| *started);
        if let Some(newest) = newest {
            let patience = if count < MAX_CALLS {
                let doublings = u32::try_from(count - 1).unwrap_or(u32::MAX);
                let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
                PATIENCE.saturating_mul(factor).min(MAX_PATIENCE)
            } else {
                PATIENCE
            };
            let left = patience.saturating_sub(now.saturating_since(newest));
            if !left.is_zero() {
                return (KdcTurn::Awaited(left), None);
            }
            if count >= MAX_CALLS {
                let is_new = !std::mem::replace(&mut self.is_limit_logged, true);
                return (KdcTurn::Exhausted, is_new.then_some(HungCallEvent::Limit));
            }
        }
        self.count += 1;
        self.running.push((self.count, now));
        let event = newest.filter(|_| count == 1);
        let event = event.map(|newest| HungCallEvent::First(now.saturating_since(newest)));
        (KdcTurn::Granted(self.count), event)
    }
}

/// The turns of one process, whose producers share the ticket cache of the library. They share the limit of hung calls
/// too: otherwise a program that builds its producer anew after each failure would lose threads without end.
///
/// # Threads
/// Sender threads take turns; helper threads give them back.
pub(in crate::security::sasl::gssapi) struct KdcTurns {
    /// A clock for all producers: the instants of their own clocks have different origins.
    clock: Arc<dyn Clock>,
    state: Mutex<KdcTurnsState>,
}

impl KdcTurns {
    pub(in crate::security::sasl::gssapi) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            state: Mutex::new(Rank::LEAF, KdcTurnsState::default()),
        })
    }

    /// The turns of this process.
    #[cfg(feature = "gssapi")]
    pub(in crate::security::sasl::gssapi) fn of_process() -> Arc<Self> {
        static TURNS: OnceLock<Arc<KdcTurns>> = OnceLock::new();
        Arc::clone(TURNS.get_or_init(|| Self::new(Arc::new(SystemClock::new()))))
    }

    /// Adds the waker of a producer. It is called at each end of a call, until the producer is dropped.
    pub(super) fn add_wake(&self, wake: &Arc<Wake>) {
        let mut state = self.state.lock();
        state.wakes.retain(|wake| wake.strong_count() > 0);
        state.wakes.push(Arc::downgrade(wake));
    }

    /// Takes a turn, if there is one. Logs the first hung call, and the last one that the limit allows.
    pub(super) fn take(&self, log: &LogContext) -> KdcTurn {
        let now = self.clock.now();
        // In its own statement: the lock is released before anything is logged.
        let (turn, event) = self.state.lock().next(now);
        match event {
            Some(HungCallEvent::First(age)) => log::warn!(
                log,
                "a call of the Kerberos library has not returned for {} s: perhaps a KDC has accepted a connection and \
                 does not respond; the call keeps its thread, and another one is made",
                age.as_secs()
            ),
            Some(HungCallEvent::Limit) => log::warn!(log, "{}", exhausted()),
            None => {}
        }
        turn
    }

    /// Gives a turn back, and wakes all producers: each may have connections that wait for it.
    pub(super) fn give_back(&self, id: u64) {
        let wakes = {
            let mut state = self.state.lock();
            state.running.retain(|(running, _)| *running != id);
            state.is_limit_logged = false;
            state.wakes.clone()
        };
        for wake in wakes.iter().filter_map(Weak::upgrade) {
            wake.wake();
        }
    }
}

/// The text for [`KdcTurn::Exhausted`].
pub(super) fn exhausted() -> String {
    format!(
        "{MAX_CALLS} calls of the Kerberos library have not returned; only a restart of the program ends them"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN.saturating_add(Duration::from_secs(seconds))
    }

    #[test]
    fn a_hung_call_delays_others_until_there_are_too_many() {
        let mut state = KdcTurnsState::default();
        let (mut now, mut waited, mut events) = (0, Vec::new(), Vec::new());
        loop {
            let (turn, event) = state.next(at(now));
            events.extend(event);
            match turn {
                KdcTurn::Granted(_) => {}
                KdcTurn::Awaited(left) => {
                    // One second before, it is still awaited.
                    let early = at(now + left.as_secs() - 1);
                    let second = Duration::from_secs(1);
                    assert_eq!(state.next(early), (KdcTurn::Awaited(second), None));
                    now += left.as_secs();
                    waited.push(left.as_secs());
                }
                KdcTurn::Exhausted => break,
            }
        }
        assert_eq!(waited[..5], [30, 60, 120, 240, 480]);
        assert_eq!(waited[14..], [3600, 30]);
        assert_eq!(state.running.len(), MAX_CALLS);
        let first = HungCallEvent::First(Duration::from_secs(30));
        assert_eq!(events, [first, HungCallEvent::Limit], "each is logged once");
        assert_eq!(state.next(at(now + 1_000_000)), (KdcTurn::Exhausted, None));
    }
}
