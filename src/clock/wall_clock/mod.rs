//! The wall clock that records are stamped with.
//!
//! Reading the system's clock for every record was a fifth of all that a `send` costs. So it is read about once in a
//! millisecond: the reading holds until the next millisecond begins, and the processor's time-stamp counter, which is read
//! in a third of the time, tells when that is.

use std::fmt;

use crate::sync::{Padded, SeqLock};

/// The counter and the clocks of the system.
pub(super) trait TimeSources: fmt::Debug {
    /// The processor's counter, of an unknown frequency. It may jump if a virtual machine moves to other hardware.
    fn ticks(&self) -> u64;

    /// The wall clock, in nanoseconds since the epoch.
    fn wall_nanos(&self) -> i64;

    /// Nanoseconds since the system has started, the time of its sleep included, as in the counter.
    fn nanos_since_boot(&self) -> u64;
}

/// The wall clock in milliseconds, read for every record by any number of threads.
///
/// A reading is never ahead of the system's clock, and behind it by less than a millisecond. A clock that is set is
/// followed within a millisecond.
#[derive(Debug)]
pub(super) struct WallClock<S> {
    sources: S,
    /// On cache lines of its own: written a thousand times a second, read for every record.
    window: Padded<SeqLock<3>>,
    frequency: Padded<SeqLock<4>>,
}

/// A time, in ticks of the counter, in which the wall clock shows the same millisecond.
struct Window {
    /// Compared too, since the counter may have been set back.
    first: u64,
    end: u64,
    ms: i64,
}

/// The frequency of the counter, measured again and again.
struct Frequency {
    /// When the current measurement began.
    ticks: u64,
    nanos: u64,
    /// The last two results, in ticks per nanosecond times 2²⁰; 0 before the first.
    last: u64,
    before: u64,
}

/// Two results agree if they differ by no more than this part.
const AGREEMENT: u64 = 16;

/// The shortest measurement of the frequency.
const MEASUREMENT_NANOS: u64 = 10_000_000;

const NANOS_PER_MS: i64 = 1_000_000;

impl<S: TimeSources> WallClock<S> {
    pub(super) fn new(sources: S) -> Self {
        let start = Frequency {
            nanos: sources.nanos_since_boot(),
            ticks: sources.ticks(),
            last: 0,
            before: 0,
        };
        Self {
            sources,
            window: Padded::new(SeqLock::new([0, 0, 0])),
            frequency: Padded::new(SeqLock::new(start.numbers())),
        }
    }

    /// Milliseconds since the epoch.
    #[inline]
    pub(super) fn ms(&self) -> i64 {
        let ticks = self.sources.ticks();
        if let Some([first, end, ms]) = self.window.read() {
            if first <= ticks && ticks < end {
                return ms as i64;
            }
        }
        self.read_system()
    }

    /// Reads the system's clock, and notes how long the reading holds.
    #[cold]
    #[inline(never)]
    fn read_system(&self) -> i64 {
        // The counter first: if the thread is interrupted in between, the reading holds for a shorter time, not longer.
        let ticks = self.sources.ticks();
        let nanos = self.sources.wall_nanos();
        let ms = nanos.div_euclid(NANOS_PER_MS);
        // From 1 ns to 1 ms.
        let left = (NANOS_PER_MS - nanos.rem_euclid(NANOS_PER_MS)) as u64;
        self.frequency.try_write(|numbers| {
            let frequency = Frequency::from(numbers);
            frequency.measured(&self.sources, ticks).numbers()
        });
        let frequency = self.frequency.read().map(Frequency::from);
        let holds = frequency.map_or(0, |it| it.ticks_in(left));
        let window = Window {
            first: ticks,
            end: ticks.saturating_add(holds),
            ms,
        };
        self.window.try_write(|_| window.numbers());
        ms
    }
}

impl Window {
    fn numbers(&self) -> [u64; 3] {
        [self.first, self.end, self.ms as u64]
    }
}

impl Frequency {
    fn numbers(&self) -> [u64; 4] {
        [self.ticks, self.nanos, self.last, self.before]
    }

    /// Ends the measurement if it has taken long enough, and begins the next. `ticks` was read just now.
    fn measured(self, sources: &impl TimeSources, ticks: u64) -> Self {
        let nanos = sources.nanos_since_boot();
        let took = nanos.saturating_sub(self.nanos);
        let counted = ticks.checked_sub(self.ticks);
        match counted {
            Some(_) if took < MEASUREMENT_NANOS => self,
            // Interruptions only make the result smaller, and windows shorter: at the beginning the counter is read
            // after the clock, at the end before it.
            Some(counted) => Self {
                nanos,
                ticks: sources.ticks(),
                last: u64::try_from((u128::from(counted) << 20) / u128::from(took)).unwrap_or(0),
                before: self.last,
            },
            // The counter was set back.
            None => Self {
                nanos,
                ticks: sources.ticks(),
                ..self
            },
        }
    }

    /// The number of ticks in `nanos` nanoseconds, or less; 0 if the last two results differ, as they do after the
    /// counter was set forward.
    fn ticks_in(&self, nanos: u64) -> u64 {
        let (less, more) = (self.last.min(self.before), self.last.max(self.before));
        if more - less > less / AGREEMENT {
            return 0;
        }
        let ticks = u128::from(nanos) * u128::from(less);
        u64::try_from(ticks >> 20).unwrap_or(0)
    }
}

impl From<[u64; 4]> for Frequency {
    fn from([ticks, nanos, last, before]: [u64; 4]) -> Self {
        Self {
            ticks,
            nanos,
            last,
            before,
        }
    }
}

#[cfg(test)]
mod tests;
