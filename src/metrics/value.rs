//! Value and kind of a metric.

use std::fmt;
use std::sync::Arc;

/// The value of a metric.
///
/// # Kafka
/// The return value of `Metric#metricValue`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MetricValue {
    /// A number; `NaN` for an average or a maximum without values.
    Number(f64),
    /// A text, such as a version.
    Text(Arc<str>),
}

impl MetricValue {
    /// The number; `None` for a text.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }
}

impl fmt::Display for MetricValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl From<f64> for MetricValue {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// Kind of a metric: counter, gauge or text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// A total: never decreases while its metric exists. The totals of a topic begin at 0 again if the topic expires
    /// from the metadata (`metadata.max.idle.ms`) and is used again.
    Counter,
    /// Goes up and down: a rate, an average, a maximum, a state.
    Gauge,
    /// A constant text.
    Info,
}
