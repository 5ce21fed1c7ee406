//! How well a topic's records shrink: a guess that decides when a compressed batch is full.

use std::sync::atomic::{AtomicU32, Ordering};

/// What the batches of one topic shrink to, as a part of their plain size.
///
/// Follows what is seen: at once when records shrink less than was thought, since batches that come out
/// too large are refused; slowly when they shrink more.
///
/// # Threads
/// Threads that finish batches at the same time may lose one another's update, as in Kafka: it is a guess.
/// # Kafka
/// `CompressionRatioEstimator` (PB-6). Differs: each producer has its own, which other producers in
/// the process do not change.
#[derive(Debug)]
pub(crate) struct CompressionRatio(AtomicU32);

impl CompressionRatio {
    /// No shrinking: what is thought before anything was seen.
    pub(crate) const NONE: f32 = 1.0;
    /// The most the guess falls by with one batch.
    const IMPROVING_STEP: f32 = 0.005;
    /// The least it rises by with one batch that was worse than thought.
    const DETERIORATE_STEP: f32 = 0.05;
    /// What is added for caution when the size of a batch is estimated (PB-5).
    const FACTOR: f32 = 1.05;

    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(Self::NONE.to_bits()))
    }

    pub(crate) fn load(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// What to multiply plain sizes with, for a batch that is opened now.
    pub(crate) fn factor(&self) -> f32 {
        self.load() * Self::FACTOR
    }

    /// A batch shrank to `observed`.
    pub(crate) fn update(&self, observed: f32) {
        let current = self.load();
        let next = if observed > current {
            (current + Self::DETERIORATE_STEP).max(observed)
        } else if observed < current {
            (current - Self::IMPROVING_STEP).max(observed)
        } else {
            return;
        };
        self.set(next);
    }

    /// A broker called a batch too large that had shrunk to `observed`: for a while batches are closed as if
    /// they did not shrink at all (RA-29).
    pub(crate) fn reset(&self, observed: f32) {
        self.set(observed.max(Self::NONE));
    }

    fn set(&self, ratio: f32) {
        self.0.store(ratio.to_bits(), Ordering::Relaxed);
    }
}

impl Default for CompressionRatio {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(ratio: &CompressionRatio, expected: f32) {
        assert!((ratio.load() - expected).abs() < 1e-6, "{ratio:?}");
    }

    /// Java: CompressionRatioEstimatorTest#testUpdateEstimation; PB-6
    #[test]
    fn the_guess_rises_at_once_and_falls_slowly() {
        for (current, observed, expected) in [
            (0.8, 0.84, 0.85),
            (0.6, 0.7, 0.7),
            (0.6, 0.4, 0.595),
            (0.004, 0.001, 0.001),
            (0.5, 0.5, 0.5),
        ] {
            let ratio = CompressionRatio::new();
            ratio.set(current);
            ratio.update(observed);
            assert_close(&ratio, expected);
        }
    }

    /// RA-29
    #[test]
    fn a_batch_that_was_too_large_is_taken_for_one_that_does_not_shrink() {
        let ratio = CompressionRatio::new();
        ratio.update(0.1);
        ratio.reset(0.3);
        assert_close(&ratio, 1.0);
        ratio.reset(1.2);
        assert_close(&ratio, 1.2);
        assert!((ratio.factor() - 1.26).abs() < 1e-6);
    }
}
