//! What a figure is held against.

use crate::stats::{difference, ratio};

/// A bound for a figure of ours: for itself, or for what it is beside another one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// So many times the other at most.
    Most(f64),
    /// So many times the other at least.
    Least(f64),
    /// So much above the other at most, in the measure's unit.
    Above(f64),
}

impl Bound {
    /// What ours is beside another one.
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

    /// The one that is further from the bound, or over it.
    pub fn harder(self, one: (f64, String), other: (f64, String)) -> (f64, String) {
        let one_is = match self {
            Self::Most(_) | Self::Above(_) => one.0 >= other.0,
            Self::Least(_) => one.0 <= other.0,
        };
        if one_is { one } else { other }
    }

    /// Itself, `whose` figure it is about, if it is not about ours alone, and what that is counted in.
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
