//! Medians, their intervals, ratios and percentiles.

use serde::{Deserialize, Serialize};

/// The median of some rounds, its confidence interval, and the extremes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    pub median: f64,
    pub low: f64,
    pub high: f64,
    pub least: f64,
    pub most: f64,
}

impl Figure {
    /// A figure that is known exactly.
    pub fn exactly(value: f64) -> Self {
        Self {
            median: value,
            low: value,
            high: value,
            least: value,
            most: value,
        }
    }

    /// `None` without values, or if a value is infinite or not a number.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        if sorted.is_empty() || sorted.iter().any(|value| !value.is_finite()) {
            return None;
        }
        sorted.sort_by(f64::total_cmp);
        let (count, skip) = (sorted.len(), ranks_to_skip(sorted.len()));
        Some(Self {
            median: f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2]),
            low: sorted[skip],
            high: sorted[count - 1 - skip],
            least: sorted[0],
            most: sorted[count - 1],
        })
    }

    pub fn map(self, change: impl Fn(f64) -> f64) -> Self {
        Self {
            median: change(self.median),
            low: change(self.low),
            high: change(self.high),
            least: change(self.least),
            most: change(self.most),
        }
    }
}

/// The number of values to leave out at each end so that the range of the remaining values still contains the true
/// median with a probability of 95 %, for any distribution. Five or fewer values cannot reach 95 %; then none are left
/// out.
///
/// Each value is below the median with probability 1/2, like heads in a coin throw. The whole interval is above the
/// median if at most `skip` of the `count` values are below it, and that is as probable as at most `skip` heads in
/// `count` throws. It is below the median with the same probability.
fn ranks_to_skip(count: usize) -> usize {
    let mut skip = 0;
    while 2.0 * at_most_heads(count, skip + 1) <= 0.05 {
        skip += 1;
    }
    skip
}

/// The probability of at most `heads` heads in `count` throws.
fn at_most_heads(count: usize, heads: usize) -> f64 {
    let mut term = 0.5_f64.powi(count as i32);
    let mut sum = term;
    for k in 1..=heads.min(count) {
        term *= (count - k + 1) as f64 / k as f64;
        sum += term;
    }
    sum
}

/// Compares values with others of the same rounds, round by round.
pub fn paired(values: &[f64], others: &[f64], compare: fn(f64, f64) -> f64) -> Option<Figure> {
    if values.len() != others.len() {
        return None;
    }
    Figure::of(
        values
            .iter()
            .zip(others)
            .map(|(value, other)| compare(*value, *other)),
    )
}

/// The ratio of the first to the second.
pub fn ratio(one: f64, other: f64) -> f64 {
    one / other
}

/// The difference of the first minus the second.
pub fn difference(one: f64, other: f64) -> f64 {
    one - other
}

/// The merged latencies of several rounds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Latencies {
    sorted: Vec<(u64, u64)>,
    count: u64,
}

impl Latencies {
    pub fn merge<'a>(parts: impl IntoIterator<Item = &'a [(u64, u64)]>) -> Self {
        let mut sorted: Vec<(u64, u64)> = parts.into_iter().flatten().copied().collect();
        sorted.sort_unstable();
        let count = sorted.iter().map(|(_, count)| count).sum();
        Self { sorted, count }
    }

    /// The smallest latency that the given share of records did not exceed, in nanoseconds.
    pub fn percentile(&self, percent: f64) -> Option<u64> {
        let rank = ((percent / 100.0 * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        self.sorted.iter().find_map(|(value, count)| {
            seen += count;
            (seen >= rank).then_some(*value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outliers_are_left_out_of_more_than_eight_rounds() {
        assert_eq!(
            [1, 5, 7, 8, 9, 12, 20].map(ranks_to_skip),
            [0, 0, 0, 0, 1, 2, 5]
        );
        let figure = Figure::of([7.0, 1.0, 3.0, 2.0, 5.0, 4.0, 100.0]).unwrap();
        assert_eq!((figure.low, figure.median, figure.high), (1.0, 4.0, 100.0));
        let figure = Figure::of((0..9).map(f64::from)).unwrap();
        assert_eq!((figure.low, figure.median, figure.high), (1.0, 4.0, 7.0));
        assert_eq!((figure.least, figure.most), (0.0, 8.0), "of all rounds");
    }

    #[test]
    fn an_even_number_of_rounds_has_its_median_between_two() {
        assert_eq!(Figure::of([1.0, 2.0]).unwrap().median, 1.5);
    }

    #[test]
    fn without_rounds_or_with_a_value_that_is_not_finite_there_is_no_figure() {
        assert_eq!(Figure::of([]), None);
        assert_eq!(Figure::of([1.0, f64::NAN]), None);
        assert_eq!(Figure::of([1.0, 1.0 / 0.0]), None);
    }

    #[test]
    fn ratios_pair_the_rounds_so_that_a_slow_moment_of_both_cancels() {
        let ratios = paired(&[2.0, 20.0, 2.0], &[1.0, 10.0, 1.0], ratio).unwrap();
        assert_eq!((ratios.low, ratios.median, ratios.high), (2.0, 2.0, 2.0));
        let above = paired(&[2.0, 20.0, 2.0], &[1.0, 19.0, 1.0], difference).unwrap();
        assert_eq!((above.low, above.median, above.high), (1.0, 1.0, 1.0));
        assert_eq!(paired(&[1.0], &[1.0, 2.0], ratio), None);
    }

    #[test]
    fn percentiles_are_those_of_all_rounds_together() {
        let rounds: [&[(u64, u64)]; 2] = [&[(10, 98), (500, 1)], &[(20, 100), (900, 1)]];
        let latencies = Latencies::merge(rounds);
        assert_eq!(latencies.percentile(50.0), Some(20));
        assert_eq!(latencies.percentile(49.0), Some(10));
        assert_eq!(latencies.percentile(99.5), Some(500));
        assert_eq!(latencies.percentile(100.0), Some(900));
        assert_eq!(Latencies::default().percentile(50.0), None);
    }
}
