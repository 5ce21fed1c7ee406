//! Warm-up: decides when a client is warm, and how many records its rounds have.

use std::time::Duration;

/// Decides after each warm-up round whether another one is needed. The rule is the same for all clients: a client is
/// warm when its cost has stopped falling, or when the time limit has passed.
///
/// It has stopped falling when none of some rounds in a row was cheaper by a few per cent than the cheapest round
/// before them, and no just-in-time compiler was at work in them. That a few rounds cost the same is not enough: while
/// a compiler works, its time hides what it gains, and rounds with a cold client look as steady as those with a warm
/// one. Noise only makes rounds more expensive, so it does not keep a client from being warm.
#[derive(Debug)]
pub struct WarmUp {
    round_seconds: f64,
    limit: Duration,
    records: u64,
    /// The cost of the cheapest round before the last `steady` rounds.
    cheapest: f64,
    /// The number of rounds in a row without a lower cost.
    steady: usize,
    rounds: usize,
    /// Records per second of each round of full length.
    rates: Vec<f64>,
    spent: Duration,
}

/// A finished warm-up round.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    pub seconds: f64,
    /// The CPU time per record.
    pub cost: f64,
    /// The time of a just-in-time compiler, as a share of the CPU time.
    pub compiling: f64,
}

/// The next step after a warm-up round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Again,
    /// Counted rounds may begin. `settled` is true if the cost has stopped falling, false if the time limit has passed.
    Ready {
        settled: bool,
    },
}

/// The number of rounds in a row without a lower cost, after which a client is warm.
const STEADY: usize = 4;
/// A cost below this share of the cheapest one is a lower cost.
const LOWER: f64 = 0.97;
/// The share of a compiler in the CPU time from which it is at work. Single methods are compiled at any time.
const COMPILING: f64 = 0.05;
const FEWEST_ROUNDS: usize = 2;
/// Maximum factor between the record counts of two warm-up rounds. The first round is short, in case the client is
/// slow.
const LARGEST_STEP: f64 = 20.0;
/// Rounds shorter than this share of a full round only determine the number of records.
const SHORT: f64 = 0.5;

impl WarmUp {
    pub fn new(first_records: u64, round_seconds: f64, limit: Duration) -> Self {
        Self {
            round_seconds,
            limit,
            records: first_records,
            cheapest: f64::INFINITY,
            steady: 0,
            rounds: 0,
            rates: Vec::new(),
            spent: Duration::ZERO,
        }
    }

    /// The number of records of the next round, or of the counted rounds.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Adds a round. In a paced one the number of records says nothing about the client's speed, and remains.
    pub fn take(&mut self, round: Taken, is_paced: bool) -> Next {
        self.rounds += 1;
        self.spent += Duration::from_secs_f64(round.seconds);
        if round.seconds >= self.round_seconds * SHORT {
            self.rates.push(self.records as f64 / round.seconds);
            if round.cost < self.cheapest * LOWER {
                self.cheapest = round.cost;
                self.steady = 0;
            } else if round.compiling > COMPILING {
                self.steady = 0;
            } else {
                self.steady += 1;
            }
        }
        if !is_paced {
            let step = (self.round_seconds / round.seconds.max(1e-6)).min(LARGEST_STEP);
            self.records = ((self.records as f64 * step) as u64).max(1);
        }
        let settled = self.steady >= STEADY;
        let is_over = self.spent >= self.limit && self.rounds >= FEWEST_ROUNDS;
        if settled || (is_over && !self.rates.is_empty()) {
            if !is_paced {
                self.records = self.records_at_best();
            }
            Next::Ready { settled }
        } else {
            Next::Again
        }
    }

    /// The records of a round at the highest rate of the last rounds. With the rate of the very last one, a slow moment
    /// would make all counted rounds short, and the costs of their begin and end large.
    fn records_at_best(&self) -> u64 {
        let last = self.rates.iter().rev().take(STEADY);
        let highest = last.copied().fold(0.0, f64::max);
        ((highest * self.round_seconds) as u64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warm_up() -> WarmUp {
        WarmUp::new(1_000, 1.0, Duration::from_secs(15))
    }

    fn round(seconds: f64, cost: f64) -> Taken {
        Taken {
            seconds,
            cost,
            compiling: 0.0,
        }
    }

    /// The number of full rounds of these costs after which the client is warm.
    fn rounds_until_warm(costs: impl IntoIterator<Item = f64>, compiling: f64) -> Option<usize> {
        let mut warm_up = warm_up();
        let settled = Next::Ready { settled: true };
        let mut costs = costs.into_iter();
        let at = costs.position(|cost| {
            let round = Taken {
                compiling,
                ..round(1.0, cost)
            };
            warm_up.take(round, false) == settled
        })?;
        Some(at + 1)
    }

    #[test]
    fn the_number_of_records_is_adapted_to_the_length_of_a_round() {
        let mut warm_up = warm_up();
        assert_eq!(warm_up.take(round(0.001, 9.0), false), Next::Again);
        assert_eq!(warm_up.records(), 20_000, "twenty-fold at most");
        assert_eq!(warm_up.take(round(0.5, 9.0), false), Next::Again);
        assert_eq!(warm_up.records(), 40_000);
        assert_eq!(warm_up.take(round(1.25, 9.0), false), Next::Again);
        assert_eq!(warm_up.records(), 32_000);
    }

    #[test]
    fn a_client_is_warm_after_four_rounds_without_a_lower_cost() {
        assert_eq!(rounds_until_warm([1.0; 9], 0.0), Some(5));
        let noisy = [1.0, 1.4, 0.99, 2.0, 1.1];
        assert_eq!(rounds_until_warm(noisy, 0.0), Some(5), "noise is no fall");
        let falling = [9.0, 5.0, 3.0, 3.0, 3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0];
        assert_eq!(rounds_until_warm(falling, 0.0), Some(10));
        let slowly = (0..15).map(|round| 0.98_f64.powi(round));
        assert_eq!(rounds_until_warm(slowly, 0.0), None, "2 % each time");
    }

    #[test]
    fn rounds_of_equal_cost_are_not_warm_while_a_compiler_works() {
        // As with Java 3.0.0 once: seven rounds of 5.2 µs, when it takes 1.2 as soon as the compiler has finished.
        assert_eq!(rounds_until_warm([5.2; 9], 0.5), None);
        assert_eq!(rounds_until_warm([5.2; 9], 0.01), Some(5));
    }

    #[test]
    fn a_slow_last_round_does_not_shorten_the_counted_ones() {
        let mut warm_up = warm_up();
        for _ in 0..4 {
            assert_eq!(warm_up.take(round(1.0, 1.0), false), Next::Again);
        }
        let next = warm_up.take(round(10.0, 9.0), false);
        assert_eq!(next, Next::Ready { settled: true });
        assert_eq!(warm_up.records(), 1_000);
    }

    #[test]
    fn short_rounds_do_not_count() {
        let mut warm_up = warm_up();
        for _ in 0..9 {
            assert_eq!(warm_up.take(round(0.1, 1.0), false), Next::Again);
        }
    }

    #[test]
    fn a_client_whose_cost_does_not_settle_is_measured_after_the_time_limit() {
        let mut warm_up = warm_up();
        let next = (1..=15)
            .map(|number| warm_up.take(round(1.0, 1.0 / f64::from(number)), false))
            .last();
        assert_eq!(next, Some(Next::Ready { settled: false }));
    }

    #[test]
    fn one_round_is_never_enough() {
        let mut warm_up = warm_up();
        assert_eq!(warm_up.take(round(40.0, 1.0), false), Next::Again);
        assert_eq!(
            warm_up.take(round(40.0, 1.0), false),
            Next::Ready { settled: false }
        );
    }

    #[test]
    fn a_paced_round_keeps_its_records() {
        let mut warm_up = warm_up();
        warm_up.take(round(2.0, 1.0), true);
        assert_eq!(warm_up.records(), 1_000);
    }
}
