//! Exponential back-off with jitter.

use std::time::Duration;

/// Shortest back-off, whatever is configured: nothing that is retried (connections, look-ups, metadata requests,
/// batches) is tried more than a hundred times a second.
///
/// The configured value itself is not changed; the documentation of the keys names this minimum.
pub(crate) const SHORTEST_BACKOFF: Duration = Duration::from_millis(10);

/// Exponential back-off: `initial · base^failures`, at most `max`, times a random factor in `[1 − jitter, 1 + jitter)`.
///
/// If `max` is not above `initial`, the back-off is constant and without jitter. The result never exceeds `max` (in
/// Kafka 3.0 jitter could; fixed in 3.8), and is never below [`SHORTEST_BACKOFF`].
///
/// # Kafka
/// `org.apache.kafka.common.utils.ExponentialBackoff`.
#[derive(Debug, Clone)]
pub(crate) struct ExponentialBackoff {
    initial: Duration,
    base: u32,
    max: Duration,
    jitter: f64,
}

impl ExponentialBackoff {
    pub(crate) fn new(initial: Duration, base: u32, max: Duration, jitter: f64) -> Self {
        Self {
            initial,
            base,
            max: max.max(initial),
            jitter,
        }
    }

    /// The back-off after `failures` consecutive failures; `random` is uniform in `[0, 1)`.
    pub(crate) fn backoff(&self, failures: u32, random: f64) -> Duration {
        if self.max <= self.initial {
            return self.initial.max(SHORTEST_BACKOFF);
        }
        let growth = f64::from(self.base).powi(i32::try_from(failures).unwrap_or(i32::MAX));
        // A configured value below the minimum grows from the minimum: doubling zero would have no effect.
        let initial = self.initial.max(SHORTEST_BACKOFF);
        let seconds = (initial.as_secs_f64() * growth).min(self.max.as_secs_f64());
        let factor = 1.0 - self.jitter + 2.0 * self.jitter * random;
        Duration::from_secs_f64(seconds * factor)
            .min(self.max)
            .max(SHORTEST_BACKOFF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Java: ExponentialBackoffTest#testExponentialBackoff
    #[test]
    fn the_backoff_doubles_up_to_the_maximum_within_the_jitter() {
        let backoff = ExponentialBackoff::new(MS(100), 2, MS(1000), 0.2);
        for (failures, middle) in [(0, 100.0), (1, 200.0), (2, 400.0), (3, 800.0), (9, 1000.0)] {
            for random in [0.0, 0.25, 0.5, 0.999] {
                let wait = backoff.backoff(failures, random).as_secs_f64() * 1000.0;
                assert!(
                    wait >= middle * 0.8 - 1e-6 && wait <= middle * 1.2,
                    "{failures}: {wait}"
                );
                assert!(wait <= 1000.0);
            }
        }
        assert_eq!(backoff.backoff(u32::MAX, 0.5), MS(1000));
    }

    /// Java: ExponentialBackoffTest#testExponentialBackoffWithoutJitter
    #[test]
    fn a_maximum_not_above_the_initial_backoff_makes_the_backoff_constant() {
        let backoff = ExponentialBackoff::new(MS(100), 2, MS(50), 0.2);
        assert_eq!(backoff.backoff(0, 0.9), MS(100));
        assert_eq!(backoff.backoff(7, 0.1), MS(100));
    }

    #[test]
    fn a_configured_backoff_of_zero_doubles_from_the_minimum() {
        for initial in [0, 1, 10] {
            let backoff = ExponentialBackoff::new(MS(initial), 2, MS(1000), 0.0);
            let waits = [0, 1, 3, 9].map(|failures| backoff.backoff(failures, 0.5));
            assert_eq!(waits, [MS(10), MS(20), MS(80), MS(1000)], "{initial}");
        }
    }

    #[test]
    fn no_backoff_is_shorter_than_the_minimum() {
        for (initial, max) in [(0, 0), (0, 1000), (1, 1), (1, 5), (10, 40)] {
            let backoff = ExponentialBackoff::new(MS(initial), 2, MS(max), 0.2);
            for failures in [0, 1, 50] {
                assert!(backoff.backoff(failures, 0.0) >= SHORTEST_BACKOFF);
            }
        }
    }
}
