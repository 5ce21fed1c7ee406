//! Bounds of figures.

use crate::stats::{difference, ratio};

/// A bound for a figure of ours: for the figure itself, for its ratio to another figure, or for its difference from
/// another figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Maximum of the figure, or of its ratio to the other figure if there is one.
    Most(f64),
    /// Minimum of the figure, or of its ratio to the other figure if there is one.
    Least(f64),
    /// Maximum difference from the other figure, in the unit of the measure.
    Above(f64),
}

impl Bound {
    /// The function that compares our figure with another one.
    pub fn compare(self) -> fn(f64, f64) -> f64 {
        match self {
            Self::Most(_) | Self::Least(_) => ratio,
            Self::Above(_) => difference,
        }
    }

    pub fn allows(self, value: f64) -> bool {
        match self {
            Self::Most(bound) | Self::Above(bound) => value <= bound,
            Self::Least(bound) => value >= bound,
        }
    }

    /// The figure that is closer to missing the bound, or misses it by more.
    pub fn harder(self, one: (f64, String), other: (f64, String)) -> (f64, String) {
        let one_is = match self {
            Self::Most(_) | Self::Above(_) => one.0 >= other.0,
            Self::Least(_) => one.0 <= other.0,
        };
        if one_is { one } else { other }
    }

    /// The bound as text. `whose` is the client of the other figure, if there is one.
    pub fn words(self, whose: Option<&str>, unit: &str) -> String {
        let times = |sign: &str, bound: f64| match whose {
            None => format!("{sign} {bound}"),
            Some(whose) => format!("{sign} {bound} × {whose}"),
        };
        match self {
            Self::Most(bound) => times("≤", bound),
            Self::Least(bound) => times("≥", bound),
            Self::Above(bound) => {
                format!("≤ {} + {bound}{unit}", whose.unwrap_or_default())
            }
        }
    }
}
