//! Throttle for a target rate of records.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock::RunClock;

const SECOND: u64 = 1_000_000_000;

/// Minimum sleep, in nanoseconds: records due within it are sent together, to save system calls.
const SHORTEST_PAUSE: u64 = 500_000;

/// Schedules each record: record `n` is due at `n / rate` seconds after the first. A run that is late catches up, so
/// that the average rate is kept, as in Kafka's tool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Throttle {
    /// Records per second; `None` for no limit.
    rate: Option<NonZeroU32>,
}

impl Throttle {
    pub(crate) fn new(rate: Option<NonZeroU32>) -> Self {
        Self { rate }
    }

    /// Waits until the record after the first `sent` ones is due, unless it is due within `SHORTEST_PAUSE`. `sent_at`
    /// is the time before the last send, in nanoseconds of `clock`. Returns earlier if `ends` returns true when another
    /// thread unparks this one.
    #[inline]
    pub(crate) fn pace(self, sent: u64, sent_at: u64, clock: RunClock, ends: impl Fn() -> bool) {
        if let Some(rate) = self.rate {
            // `sent_at` is earlier than now. To save a reading of the clock, the current time is read only if the
            // record is early at `sent_at`.
            if early(rate, sent, sent_at).is_some() {
                while let Some(pause) = early(rate, sent, clock.now()) {
                    if ends() {
                        return;
                    }
                    std::thread::park_timeout(pause);
                }
            }
        }
    }
}

/// Time until the record after the first `sent` ones is due; `None` if it is due within `SHORTEST_PAUSE`. `now` is in
/// nanoseconds since the start of the run.
fn early(rate: NonZeroU32, sent: u64, now: u64) -> Option<Duration> {
    let rate = u64::from(rate.get());
    let due = (sent / rate)
        .saturating_mul(SECOND)
        .saturating_add(sent % rate * SECOND / rate);
    let early = due.saturating_sub(now);
    (early >= SHORTEST_PAUSE).then(|| Duration::from_nanos(early))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(rate: u32) -> NonZeroU32 {
        NonZeroU32::new(rate).unwrap()
    }

    #[test]
    fn each_record_is_due_at_its_number_divided_by_the_rate() {
        assert_eq!(early(rate(100), 0, 0), None);
        assert_eq!(early(rate(100), 1, 0), Some(Duration::from_millis(10)));
        assert_eq!(
            early(rate(100), 250, 2_000_000_000),
            Some(Duration::from_millis(500))
        );
        assert_eq!(
            early(rate(3), 1, 0),
            Some(Duration::from_nanos(333_333_333))
        );
    }

    #[test]
    fn a_run_that_is_late_or_hardly_early_does_not_pause() {
        assert_eq!(early(rate(100), 250, 2_500_000_000), None);
        assert_eq!(early(rate(100), 250, 9_000_000_000), None);
        assert_eq!(early(rate(100_000), 1, 0), None);
        assert!(early(rate(100_000), 50, 0).is_some());
    }

    #[test]
    fn a_pause_ends_when_the_thread_is_unparked_and_the_run_ends() {
        use std::sync::atomic::{AtomicU32, Ordering};
        use std::sync::mpsc::channel;

        let (sender, pausing) = channel();
        let thread = std::thread::spawn(move || {
            let calls = AtomicU32::new(0);
            let ends = || {
                // An error would mean that the test has failed.
                let _ = sender.send(());
                calls.fetch_add(1, Ordering::Relaxed) > 0
            };
            let throttle = Throttle::new(Some(rate(1)));
            // A pause of a day.
            throttle.pace(86_400, 0, RunClock::start(), ends);
        });
        pausing.recv().unwrap();
        thread.thread().unpark();
        thread.join().unwrap();
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        assert!(early(rate(1), u64::MAX, 0).is_some());
        assert!(early(rate(u32::MAX), u64::MAX, 0).is_some());
    }
}
