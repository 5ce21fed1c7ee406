//! Clocks, injected everywhere: a monotonic [`Instant`] for timeouts, a wall-clock [`Timestamp`] for records, and a
//! [`Deadline`], which may be `Never`. Monotonic and wall-clock time are different types, so that they cannot be mixed
//! up: the wall clock can be set forward or back, the monotonic clock cannot.

pub(crate) mod log_limit;
pub(crate) mod repeat_limiter;
#[cfg(any(test, all(target_os = "linux", target_arch = "x86_64")))]
mod wall_clock;

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A time that a caller gives or gets; only its `now` would read the system's clock.
pub(crate) use std::time::SystemTime;

/// A time on the monotonic clock, in nanoseconds since the clock's origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Instant(u64);

impl Instant {
    /// The clock's origin.
    pub(crate) const ORIGIN: Self = Self(0);

    /// The instant `nanos` nanoseconds after the origin.
    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub(crate) const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Duration since `earlier`; zero if `earlier` is in fact later.
    pub(crate) fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Saturating addition; the maximum is 584 years after the origin.
    #[must_use]
    pub(crate) fn saturating_add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        self.saturating_add(duration)
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_since(earlier)
    }
}

/// Wall-clock time in milliseconds since 1970-01-01 UTC: the timestamp of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Timestamp(i64);

impl Timestamp {
    /// "No timestamp" on the wire.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const NONE: Self = Self(-1);

    /// 1970-01-01 UTC.
    pub(crate) const EPOCH: Self = Self(0);

    /// A timestamp of `millis` milliseconds since the epoch.
    pub(crate) const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub(crate) const fn as_millis(self) -> i64 {
        self.0
    }

    /// Rounded down to a millisecond; negative before the epoch. Saturates.
    pub(crate) fn from_system_time(time: SystemTime) -> Self {
        let millis = |nanos: u128| i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX);
        Self(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => millis(after.as_nanos()),
            Err(before) => -millis(before.duration().as_nanos().saturating_add(999_999)),
        })
    }

    /// `None` if it is negative, or out of the range of the system's times.
    pub(crate) fn to_system_time(self) -> Option<SystemTime> {
        let since_epoch = Duration::from_millis(u64::try_from(self.0).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(since_epoch)
    }
}

#[cfg(any(feature = "testing", feature = "msk-iam"))]
impl Timestamp {
    /// This time plus `duration`; saturates.
    pub(crate) fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// A deadline, or none.
///
/// Ordered by time; `Never` is after every instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums, reason = "a deadline is an instant or never")]
pub(crate) enum Deadline {
    /// Expired once the clock has reached this instant.
    At(Instant),
    /// Never expires.
    Never,
}

impl Deadline {
    /// The deadline `timeout` after `now`; `Never` if that instant cannot be represented.
    pub(crate) fn after(now: Instant, timeout: Duration) -> Self {
        match u64::try_from(timeout.as_nanos())
            .ok()
            .and_then(|n| now.0.checked_add(n))
        {
            Some(nanos) => Self::At(Instant(nanos)),
            None => Self::Never,
        }
    }

    /// True if the deadline has expired.
    pub(crate) fn is_over(self, now: Instant) -> bool {
        match self {
            Self::At(at) => now >= at,
            Self::Never => false,
        }
    }

    /// Time left: `None` for `Never`, zero if expired.
    pub(crate) fn remaining(self, now: Instant) -> Option<Duration> {
        match self {
            Self::At(at) => Some(at.saturating_since(now)),
            Self::Never => None,
        }
    }

    /// Time left, but no longer than `limit`.
    pub(crate) fn remaining_or(self, now: Instant, limit: Duration) -> Duration {
        self.remaining(now).map_or(limit, |left| left.min(limit))
    }
}

/// Source of time: the system's clocks, or a mock in tests and simulations.
///
/// # Threads
/// Called from every thread; must not block.
/// # Kafka
/// `org.apache.kafka.common.utils.Time`.
pub(crate) trait Clock: Send + Sync + fmt::Debug {
    /// The monotonic clock: never goes back.
    fn now(&self) -> Instant;
    /// The wall clock: may jump either way.
    fn timestamp(&self) -> Timestamp;

    /// How long a thread may sleep, in real time, before it reads the clock again, if `left` remains on this clock. The
    /// system's clock runs in real time, so the thread may sleep for all of `left`. A mock clock may be set at any
    /// moment, so the thread may sleep only briefly. The clock of a mock producer skips a wait for metadata that will
    /// not come.
    fn real_time(&self, left: Duration, _awaits_metadata: bool) -> Duration {
        left.min(LOOK_AT_CLOCK)
    }
}

/// Interval at which a sleeping thread reads a mock clock.
const LOOK_AT_CLOCK: Duration = Duration::from_millis(1);

/// A clock of the system, in nanoseconds. It takes the system's numbers directly: the standard library's conversion to a
/// `Duration` takes longer than the system call.
#[cfg(unix)]
fn system_nanos(clock: nix::time::ClockId) -> i64 {
    // Cannot fail: the clocks that are read here are in each version of the system.
    let now = nix::time::clock_gettime(clock).unwrap_or(nix::sys::time::TimeSpec::new(0, 0));
    now.tv_sec() * 1_000_000_000 + now.tv_nsec()
}

/// The wall clock in nanoseconds.
#[cfg(unix)]
fn wall_clock_nanos() -> i64 {
    system_nanos(nix::time::ClockId::CLOCK_REALTIME)
}

#[cfg(not(unix))]
#[allow(
    clippy::disallowed_methods,
    reason = "the one place that reads the system's clocks"
)]
fn wall_clock_nanos() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    // Not `as_nanos`, which needs a 128-bit multiplication.
    since_epoch.as_secs() as i64 * 1_000_000_000 + i64::from(since_epoch.subsec_nanos())
}

/// The operating system's clocks.
#[derive(Debug)]
pub(crate) struct SystemClock {
    origin: std::time::Instant,
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    counter: Option<wall_clock::WallClock<counter::Sources>>,
}

#[allow(
    clippy::disallowed_methods,
    reason = "the one place that reads the system's clocks"
)]
impl SystemClock {
    /// A clock whose monotonic time starts at one second.
    pub(crate) fn new() -> Self {
        let origin = std::time::Instant::now();
        Self {
            origin,
            #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
            counter: counter::Sources::of_this_machine().map(wall_clock::WallClock::new),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the one place that reads the system's clocks"
)]
impl Clock for SystemClock {
    fn now(&self) -> Instant {
        // Starts at one second, so that instants before the start can be represented.
        Instant(1_000_000_000 + u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    #[inline]
    fn timestamp(&self) -> Timestamp {
        #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
        if let Some(counter) = &self.counter {
            return Timestamp(counter.ms());
        }
        Timestamp(wall_clock_nanos().div_euclid(1_000_000))
    }

    fn real_time(&self, left: Duration, _awaits_metadata: bool) -> Duration {
        left
    }
}

/// The time-stamp counter of x86-64 processors, and the clocks of the system that it is set by.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod counter {
    use nix::time::ClockId;

    use super::wall_clock::TimeSources;

    #[derive(Debug)]
    pub(super) struct Sources(());

    impl Sources {
        /// `None` if the kernel does not take its own time from the counter: it checks that all processors' counters run
        /// alike and never stop.
        pub(super) fn of_this_machine() -> Option<Self> {
            let source = std::fs::read_to_string(CLOCK_SOURCE).ok()?;
            (source.trim() == "tsc").then_some(Self(()))
        }
    }

    impl TimeSources for Sources {
        #[inline]
        fn ticks(&self) -> u64 {
            safe_arch::read_timestamp_counter()
        }

        fn wall_nanos(&self) -> i64 {
            super::wall_clock_nanos()
        }

        fn nanos_since_boot(&self) -> u64 {
            super::system_nanos(ClockId::CLOCK_BOOTTIME) as u64
        }
    }

    const CLOCK_SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
}

/// A clock that moves only by calls of its methods.
#[cfg(any(test, all(feature = "testing", feature = "_internals")))]
pub(crate) mod mock {
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
    use std::time::Duration;

    use super::{Clock, Instant, Timestamp};

    /// A clock that moves only by calls of its methods.
    ///
    /// Its monotonic time and its wall-clock time start far apart, and the wall clock can be set alone, so that code
    /// which confuses the two fails in tests.
    ///
    /// # Kafka
    /// `org.apache.kafka.common.utils.MockTime`.
    #[derive(Debug)]
    pub(crate) struct MockClock {
        nanos: AtomicU64,
        /// Nanoseconds since the epoch, so that steps below a millisecond add up.
        wall_nanos: AtomicI64,
    }

    impl MockClock {
        /// A clock that reads one hour on the monotonic clock, and 2021-09-21 on the wall clock.
        pub(crate) fn new() -> Self {
            Self {
                nanos: AtomicU64::new(3_600_000_000_000),
                wall_nanos: AtomicI64::new(1_632_182_400_000_000_000),
            }
        }

        /// Advances both clocks.
        pub(crate) fn advance(&self, by: Duration) {
            let nanos = u64::try_from(by.as_nanos()).expect("tests pass less than 584 years");
            self.nanos.fetch_add(nanos, Ordering::SeqCst);
            self.wall_nanos.fetch_add(nanos as i64, Ordering::SeqCst);
        }

        /// Advances both clocks until the monotonic one reads `at`; no effect if that time has passed.
        pub(crate) fn advance_to(&self, at: Instant) {
            self.advance(at - self.now());
        }

        /// Moves the wall clock alone by `millis` milliseconds, forward or back.
        pub(crate) fn jump_wall(&self, millis: i64) {
            self.wall_nanos
                .fetch_add(millis * 1_000_000, Ordering::SeqCst);
        }
    }

    impl Default for MockClock {
        fn default() -> Self {
            Self::new()
        }
    }

    impl Clock for MockClock {
        fn now(&self) -> Instant {
            Instant::from_nanos(self.nanos.load(Ordering::SeqCst))
        }

        fn timestamp(&self) -> Timestamp {
            Timestamp::from_millis(self.wall_nanos.load(Ordering::SeqCst).div_euclid(1_000_000))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_is_after_every_instant() {
        assert!(Deadline::At(Instant::from_nanos(u64::MAX)) < Deadline::Never);
        assert!(!Deadline::Never.is_over(Instant::from_nanos(u64::MAX)));
    }

    #[test]
    fn a_timeout_too_long_to_represent_is_never() {
        let now = Instant::from_nanos(5);
        assert_eq!(Deadline::after(now, Duration::MAX), Deadline::Never);
        assert_eq!(
            Deadline::after(now, Duration::from_nanos(2)),
            Deadline::At(Instant::from_nanos(7))
        );
    }

    #[test]
    fn the_time_left_is_bounded_by_the_limit() {
        let now = Instant::from_nanos(10);
        let limit = Duration::from_nanos(4);
        assert_eq!(Deadline::Never.remaining_or(now, limit), limit);
        assert_eq!(
            Deadline::At(Instant::from_nanos(11))
                .remaining_or(now, limit)
                .as_nanos(),
            1
        );
        assert_eq!(
            Deadline::At(Instant::from_nanos(3))
                .remaining_or(now, limit)
                .as_nanos(),
            0
        );
    }

    #[test]
    fn the_mock_clock_moves_only_by_calls_and_its_wall_clock_can_jump_alone() {
        let clock = mock::MockClock::new();
        let (now, wall) = (clock.now(), clock.timestamp());
        assert_eq!((clock.now(), clock.timestamp()), (now, wall));
        clock.advance(Duration::from_millis(7));
        assert_eq!(clock.now() - now, Duration::from_millis(7));
        assert_eq!(clock.timestamp().as_millis() - wall.as_millis(), 7);
        clock.jump_wall(-1_000);
        assert_eq!(clock.now() - now, Duration::from_millis(7));
        assert_eq!(clock.timestamp().as_millis() - wall.as_millis(), -993);
    }
}
