//! The axis of percentiles.

use super::Tick;

/// A scale of percentiles by the logarithm of the share above them: 0 %, 90 %, 99 %, 99.9 % are at equal distances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PercentileScale {
    /// The number of nines at the end of the axis: 2 is 99 %.
    nines: f64,
}

/// More are not shown: the percentile of one record in ten millions.
const MOST_NINES: f64 = 7.0;

impl PercentileScale {
    /// A scale up to the share of all records but one.
    pub(crate) fn of(records: u64) -> Self {
        let nines = (records.max(1) as f64).log10();
        Self {
            nines: nines.clamp(2.0, MOST_NINES),
        }
    }

    /// The share of records at a position.
    pub(crate) fn share(self, position: f64) -> f64 {
        1.0 - 10_f64.powf(-position * self.nines)
    }

    pub(crate) fn position(self, share: f64) -> f64 {
        self.at(-(1.0 - share).max(1e-12).log10())
    }

    fn at(self, nines: f64) -> f64 {
        (nines / self.nines).clamp(0.0, 1.0)
    }

    pub(crate) fn ticks(self) -> Vec<Tick> {
        let mut ticks = vec![
            Tick::new(0.0, "0 %"),
            Tick::new(self.position(0.5), "50 %").optional_if(self.nines > 3.0),
            Tick::new(self.position(0.9), "90 %"),
        ];
        for nines in 2..=(self.nines + 1e-9) as usize {
            let decimals = "9".repeat(nines - 2);
            let point = if decimals.is_empty() { "" } else { "." };
            let is_optional = self.nines > 4.5 && nines > 3 && nines % 2 == 0;
            let tick = Tick::new(self.at(nines as f64), format!("99{point}{decimals} %"));
            ticks.push(tick.optional_if(is_optional));
        }
        ticks
    }
}
