//! Spinning: after work the sender polls a few times without blocking, where the next work mostly comes soon.
//!
//! Where records are sent one by one and waited for, most of the time goes to waking threads: of the four that wake up for
//! a record two are the sender, once for the record and once for its answer. A sender that spins is awake already. It
//! spins for about as long as a few wake-ups take, only after waits that were short, and the less often the more often it
//! was in vain. A broker on another machine mostly answers later than that, and there the sender sleeps.

use std::time::Duration;

use crate::clock::Instant;

/// Whether to spin, by how soon work has come lately.
#[derive(Debug)]
pub(super) struct Spin {
    /// When the sender last had work.
    idle_since: Option<Instant>,
    /// The polls without work since then.
    polls: u32,
    /// How many waits in a row were short.
    short_waits: u32,
    /// How many have to be, before the sender spins: twice as many each time that it has spun in vain.
    needed: u32,
}

/// How long the sender spins at most, and the longest wait that is short.
const LONGEST: Duration = Duration::from_micros(50);

/// The longest wait in sleep that is short: it includes waking up.
const LONGEST_ASLEEP: Duration = Duration::from_micros(100);

const FEWEST_NEEDED: u32 = 2;
const MOST_NEEDED: u32 = 64;

/// Limit of the polls, for a clock that stands still.
const MOST_POLLS: u32 = 500;

impl Spin {
    pub(super) fn new() -> Self {
        Self {
            idle_since: None,
            polls: 0,
            short_waits: 0,
            needed: FEWEST_NEEDED,
        }
    }

    /// Whether the sender should poll without blocking. `worked` is whether it has had anything to do since the last
    /// call.
    pub(super) fn polls_again(&mut self, worked: bool, now: Instant) -> bool {
        if worked {
            self.end_wait(now);
        }
        let spins = self.short_waits >= self.needed
            && self.polls < MOST_POLLS
            && self.waited(now).is_some_and(|waited| waited < LONGEST);
        if spins {
            self.polls += 1;
        } else if self.polls > 0 {
            // In vain.
            self.polls = 0;
            self.short_waits = 0;
            self.needed = MOST_NEEDED.min(self.needed * 2);
        }
        spins
    }

    fn end_wait(&mut self, now: Instant) {
        let has_spun = self.polls > 0;
        let limit = if has_spun { LONGEST } else { LONGEST_ASLEEP };
        if self.waited(now).is_some_and(|waited| waited <= limit) {
            self.short_waits = self.short_waits.saturating_add(1);
            if has_spun {
                self.needed = FEWEST_NEEDED;
            }
        } else {
            self.short_waits = 0;
        }
        self.idle_since = Some(now);
        self.polls = 0;
    }

    fn waited(&self, now: Instant) -> Option<Duration> {
        let since = self.idle_since?;
        Some(now.saturating_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a sender that gets work at these times, in microseconds, until the last. A poll takes one microsecond, and
    /// so does waking up. Returns the times of the polls that do not block.
    fn polls(work: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut spin = Spin::new();
        let mut polls = Vec::new();
        let mut work = work.into_iter().peekable();
        let mut at = 0;
        while let Some(next) = work.peek().copied() {
            let worked = at >= next;
            if worked {
                work.next();
            }
            if spin.polls_again(worked, Instant::from_nanos(1_000_000 + at * 1_000)) {
                polls.push(at);
                at += 1;
            } else if let Some(next) = work.peek().copied() {
                at = at.max(next) + 1;
            }
        }
        polls
    }

    #[test]
    fn after_two_short_waits_the_sender_polls_until_work_comes() {
        let polled = polls([0, 50, 100, 130, 150]);
        assert_eq!(polled, (101..151).collect::<Vec<_>>());
    }

    #[test]
    fn waits_that_are_longer_than_it_may_spin_are_slept_through() {
        let polled = polls((0..100).map(|number| number * 150));
        assert_eq!(polled, <[u64; 0]>::default());
    }

    #[test]
    fn it_spins_the_less_often_the_more_often_it_was_in_vain() {
        // Too long to spin for, and short enough for somebody who sleeps.
        let all = 2_000;
        let polled = polls((0..all).map(|number| number * 80)).len() as u64;
        let each = LONGEST.as_micros() as u64;
        let in_vain = polled.div_ceil(each);
        assert!(
            (1..=5 + all / u64::from(MOST_NEEDED)).contains(&in_vain),
            "{in_vain}"
        );
    }

    #[test]
    fn once_it_pays_again_it_spins_as_before() {
        let in_vain = (0..500).map(|number| number * 80);
        let soon = (0..200).map(|number| 40_000 + number * 20);
        let polled = polls(in_vain.chain(soon));
        let last = polled.iter().filter(|at| **at >= 42_000).count();
        assert!(last >= 1_900, "{last} of 2,000 microseconds");
    }

    #[test]
    fn with_a_clock_that_stands_still_it_ends() {
        let mut spin = Spin::new();
        for _ in 0..3 {
            spin.polls_again(true, Instant::ORIGIN);
        }
        let mut polls = 0;
        while spin.polls_again(false, Instant::ORIGIN) {
            polls += 1;
        }
        assert!((1..=MOST_POLLS).contains(&polls), "{polls}");
    }
}
