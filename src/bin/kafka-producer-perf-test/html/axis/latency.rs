//! The axis of latency.

use super::{Tick, round_step};
use crate::html::number;

/// A logarithmic scale of latencies in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LatencyScale {
    /// Logarithms to base 10.
    pub(super) begin: f64,
    pub(super) end: f64,
}

impl LatencyScale {
    /// A scale that contains all values between `min` and `max`, bounded by 1, 2 or 5 times a power of ten.
    pub(crate) fn over(min: u64, max: u64) -> Self {
        let min = min.max(1) as f64;
        let max = (max as f64).max(min);
        let begin = round_step(min * (1.0 + 1e-9));
        let mut end = 10_f64.powf(max.log10().ceil());
        for digit in [2.0, 5.0] {
            if end / 10.0 * digit >= max {
                end = end / 10.0 * digit;
                break;
            }
        }
        // A curve of equal values is in the middle of at least one decade.
        if end / begin < 10.0 {
            let (begin, end) = if begin > 1.0 {
                (round_step(begin / 1.9), end * 5.0)
            } else {
                (1.0, 10.0)
            };
            return Self::between(begin, end);
        }
        Self::between(begin, end)
    }

    fn between(begin: f64, end: f64) -> Self {
        Self {
            begin: begin.log10(),
            end: end.log10(),
        }
    }

    pub(crate) fn position(self, us: u64) -> f64 {
        self.at((us.max(1) as f64).log10())
    }

    fn at(self, logarithm: f64) -> f64 {
        ((logarithm - self.begin) / (self.end - self.begin)).clamp(0.0, 1.0)
    }

    /// Labels at the powers of ten, and at 2 and 5 if there is room for them; grid lines at all three.
    pub(crate) fn ticks(self) -> Vec<Tick> {
        let is_short = self.end - self.begin <= 2.4;
        let (first, last) = (self.begin.floor() as i32, self.end.ceil() as i32);
        let all = (first..=last).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| (power, digit)));
        let ticks = all.filter_map(|(power, digit)| {
            let value = digit * 10_f64.powi(power);
            let logarithm = value.log10();
            let is_inside = logarithm > self.begin - 1e-6 && logarithm < self.end + 1e-6;
            is_inside.then(|| {
                let has_label = digit < 1.5 || is_short;
                let label = has_label.then(|| number::latency_tick(value));
                Tick::new(self.at(logarithm), label.unwrap_or_default())
            })
        });
        ticks.collect()
    }
}
