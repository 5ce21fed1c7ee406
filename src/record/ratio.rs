//! Compression ratio estimate of a topic, which decides when a compressed batch is full.

use std::sync::atomic::{AtomicU32, Ordering};

/// Estimated compression ratio of one topic's batches: compressed size divided by uncompressed size.
///
/// It rises at once when records compress worse than estimated, since brokers refuse batches that turn out too large;
/// it falls slowly when they compress better.
///
/// # Threads
/// Concurrent updates may overwrite each other, as in Kafka: it is an estimate.
/// # Kafka
/// `CompressionRatioEstimator` (PB-6). Differs: each producer has its own; Java's are shared by all producers of the
/// process.
#[derive(Debug)]
pub(crate) struct CompressionRatio(AtomicU32);

impl CompressionRatio {
    /// No compression: the initial estimate.
    pub(crate) const NONE: f32 = 1.0;
    /// Maximum decrease of the estimate by one batch.
    const IMPROVING_STEP: f32 = 0.005;
    /// Minimum increase of the estimate by one batch that compressed worse than estimated.
    const DETERIORATE_STEP: f32 = 0.05;
    /// Safety factor when the size of a batch is estimated (PB-5).
    const FACTOR: f32 = 1.05;

    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(Self::NONE.to_bits()))
    }

    pub(crate) fn load(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// Factor from uncompressed to estimated compressed size, with the safety factor, for a batch that is opened now.
    pub(crate) fn factor(&self) -> f32 {
        self.load() * Self::FACTOR
    }

    /// Adjusts the estimate to a batch whose compression ratio was `observed`.
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

    /// Resets the estimate after a broker refused a batch with ratio `observed` as too large: batches are closed as if
    /// they did not compress, until the estimate has fallen again (RA-29).
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
    fn the_estimate_rises_at_once_and_falls_slowly() {
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

    /// RA-29: when a batch that is too large is split, the estimate of its compression ratio is raised to 1, or to the
    /// batch's own ratio if that is higher.
    #[test]
    fn after_a_batch_that_was_too_large_the_estimate_is_no_compression() {
        let ratio = CompressionRatio::new();
        ratio.update(0.1);
        ratio.reset(0.3);
        assert_close(&ratio, 1.0);
        ratio.reset(1.2);
        assert_close(&ratio, 1.2);
        assert!((ratio.factor() - 1.26).abs() < 1e-6);
    }
}
