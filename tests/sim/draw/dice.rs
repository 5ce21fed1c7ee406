//! Random numbers of a seed. Integers only, so that a seed draws the same in every build.

use std::ops::RangeInclusive;

pub(crate) struct Dice(fastrand::Rng);

impl Dice {
    /// A generator for one subject. Each subject has its own, so that a change in one does not shift the others.
    pub(crate) fn new(seed: u64, subject: &str) -> Self {
        let mut mixed = seed ^ 0x9e37_79b9_7f4a_7c15;
        for byte in subject.bytes() {
            mixed = (mixed ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self(fastrand::Rng::with_seed(mixed))
    }

    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.0.u32(0..100) < percent
    }

    pub(crate) fn permille(&mut self, permille: u32) -> bool {
        self.0.u32(0..1000) < permille
    }

    pub(crate) fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.0.u64(range)
    }

    /// Log-uniform: each power of two in the range is equally likely.
    pub(crate) fn spread(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (least, most) = (*range.start(), *range.end());
        let bits = |n: u64| 64 - n.leading_zeros();
        let chosen = self.0.u32(bits(least)..=bits(most));
        let from = if chosen == 0 { 0 } else { 1 << (chosen - 1) };
        let to = if chosen == 0 {
            0
        } else {
            u64::MAX >> (64 - chosen)
        };
        self.0.u64(from.max(least)..=to.min(most))
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.0.usize(0..of.len())]
    }

    /// Draws one of the values, each with a probability in proportion to its weight.
    pub(crate) fn weighted<T: Clone>(&mut self, of: &[(u32, T)]) -> T {
        let mut left = self.0.u32(0..of.iter().map(|(weight, _)| weight).sum());
        for (weight, what) in of {
            if left < *weight {
                return what.clone();
            }
            left -= weight;
        }
        unreachable!("the weights add up to what was drawn from")
    }

    /// A random subset (swarm testing).
    pub(crate) fn some_of<T: Clone>(&mut self, of: &[T], percent: u32) -> Vec<T> {
        of.iter()
            .filter(|_| self.percent(percent))
            .cloned()
            .collect()
    }
}
