//! Warm-up: decides when a client is warm, and how many records its rounds have.

use std::time::Duration;

/// Decides after each warm-up round whether another one is needed. The rule is the same for all clients: a client is
/// warm when three rounds in a row cost the same within 5 %, or when the time limit has passed.
#[derive(Debug)]
pub struct WarmUp {
    round_seconds: f64,
    limit: Duration,
    records: u64,
    costs: Vec<f64>,
    rounds: usize,
    spent: Duration,
}

/// The next step after a warm-up round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Again,
    /// Counted rounds may begin. `settled` is true if the cost was stable, false if the time limit has passed.
    Ready {
        settled: bool,
    },
}

const ALIKE: usize = 3;
const TOLERANCE: f64 = 1.05;
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
            costs: Vec::new(),
            rounds: 0,
            spent: Duration::ZERO,
        }
    }

    /// The number of records of the next round, or of the counted rounds.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Adds a round that lasted `seconds`; `cost` is the CPU time per record.
    pub fn take(&mut self, seconds: f64, cost: f64, is_paced: bool) -> Next {
        self.rounds += 1;
        self.spent += Duration::from_secs_f64(seconds);
        if seconds >= self.round_seconds * SHORT {
            self.costs.push(cost);
        }
        if !is_paced {
            let step = (self.round_seconds / seconds.max(1e-6)).min(LARGEST_STEP);
            self.records = ((self.records as f64 * step) as u64).max(1);
        }
        let settled = self.has_settled();
        let is_over = self.spent >= self.limit && self.rounds >= FEWEST_ROUNDS;
        if settled || (is_over && !self.costs.is_empty()) {
            Next::Ready { settled }
        } else {
            Next::Again
        }
    }

    fn has_settled(&self) -> bool {
        let Some(last) = self.costs.last_chunk::<ALIKE>() else {
            return false;
        };
        let least = last.iter().copied().fold(f64::INFINITY, f64::min);
        let most = last.iter().copied().fold(0.0, f64::max);
        most <= least * TOLERANCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warm_up() -> WarmUp {
        WarmUp::new(1_000, 1.0, Duration::from_secs(15))
    }

    #[test]
    fn the_number_of_records_is_adapted_to_the_length_of_a_round() {
        let mut warm_up = warm_up();
        assert_eq!(warm_up.take(0.001, 9.0, false), Next::Again);
        assert_eq!(warm_up.records(), 20_000, "twenty-fold at most");
        assert_eq!(warm_up.take(0.5, 9.0, false), Next::Again);
        assert_eq!(warm_up.records(), 40_000);
        assert_eq!(warm_up.take(1.25, 9.0, false), Next::Again);
        assert_eq!(warm_up.records(), 32_000);
    }

    #[test]
    fn three_rounds_of_equal_cost_in_a_row_are_warm_and_short_rounds_do_not_count() {
        let mut warm_up = warm_up();
        for cost in [1.0, 1.0, 1.0] {
            assert_eq!(warm_up.take(0.1, cost, false), Next::Again);
        }
        for cost in [3.0, 2.0, 1.9, 1.8] {
            assert_eq!(warm_up.take(1.0, cost, false), Next::Again);
        }
        assert_eq!(warm_up.take(1.0, 1.81, false), Next::Again);
        assert_eq!(
            warm_up.take(1.0, 1.79, false),
            Next::Ready { settled: true }
        );
    }

    #[test]
    fn a_client_whose_cost_does_not_settle_is_measured_after_the_time_limit() {
        let mut warm_up = warm_up();
        let next = (1..=15)
            .map(|round| warm_up.take(1.0, f64::from(round), false))
            .last();
        assert_eq!(next, Some(Next::Ready { settled: false }));
    }

    #[test]
    fn one_round_is_never_enough() {
        let mut warm_up = warm_up();
        assert_eq!(warm_up.take(40.0, 1.0, false), Next::Again);
        assert_eq!(
            warm_up.take(40.0, 1.0, false),
            Next::Ready { settled: false }
        );
    }

    #[test]
    fn a_paced_round_keeps_its_records() {
        let mut warm_up = warm_up();
        warm_up.take(2.0, 1.0, true);
        assert_eq!(warm_up.records(), 1_000);
    }
}
