//! The axis of throughput.

use super::{Tick, round_step};
use crate::html::number;

/// A scale from 0, with equal steps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinearScale {
    end: f64,
    step: f64,
}

impl LinearScale {
    /// A scale up to the first multiple of a round step that is not below `max`, with four to ten steps.
    pub(crate) fn up_to(max: f64) -> Self {
        let max = if max > 0.0 { max } else { 1.0 };
        let step = round_step(max / 4.0);
        Self {
            end: (max / step - 1e-9).ceil() * step,
            step,
        }
    }

    pub(crate) fn position(self, value: f64) -> f64 {
        (value / self.end).clamp(0.0, 1.0)
    }

    pub(crate) fn ticks(self) -> Vec<Tick> {
        let steps = (self.end / self.step).round() as u32;
        let tick = |index| {
            let label = number::with_prefix(f64::from(index) * self.step);
            Tick::new(f64::from(index) / f64::from(steps), label)
        };
        (0..=steps).map(tick).collect()
    }
}
