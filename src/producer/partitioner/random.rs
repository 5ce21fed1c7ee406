//! Random number generator for the choice of sticky partitions.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Lock-free, seeded random number generator (splitmix64): one atomic step of a Weyl sequence, then a mix.
#[derive(Debug)]
pub(crate) struct RandomSource(AtomicU64);

impl RandomSource {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A generator with a random seed: its numbers differ from process to process.
    pub(super) fn from_entropy() -> Self {
        // The standard library's hasher keys are the one source of entropy without a dependency.
        Self::new(RandomState::new().build_hasher().finish())
    }

    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which must not be zero.
    pub(crate) fn below(&self, bound: usize) -> usize {
        // The high half of the product is uniform to within 2^-64 · bound.
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}
