//! Axes of charts: scales, which map values to 0 to 1, and their ticks.

mod latency;
mod linear;
mod percentile;
mod time;

pub(crate) use latency::LatencyScale;
pub(crate) use linear::LinearScale;
pub(crate) use percentile::PercentileScale;
pub(crate) use time::TimeScale;

/// A tick with its position between 0 (start of the axis) and 1 (its end).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    pub(crate) at: f64,
    /// Empty for a grid line without a label.
    pub(crate) label: String,
    /// Whether the label is hidden on a narrow screen, which has no room for all of them.
    pub(crate) is_optional: bool,
}

impl Tick {
    fn new(at: f64, label: impl Into<String>) -> Self {
        Self {
            at,
            label: label.into(),
            is_optional: false,
        }
    }

    fn optional_if(self, is_optional: bool) -> Self {
        Self {
            is_optional,
            ..self
        }
    }
}

/// The largest of 1, 2 and 5 times a power of ten that is not above `about`.
fn round_step(about: f64) -> f64 {
    let power = 10_f64.powf(about.log10().floor());
    let digit = [5.0, 2.0].into_iter().find(|digit| digit * power <= about);
    digit.unwrap_or(1.0) * power
}

#[cfg(test)]
mod tests;
