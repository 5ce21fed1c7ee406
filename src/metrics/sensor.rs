//! Sensor: rates, moving averages and maxima from a ring buffer of time-window samples, and cumulative totals.

use std::time::Duration;

use super::definition::Stat;
use crate::clock::Instant;

/// Number and length of the sampling windows.
///
/// # Kafka
/// `MetricConfig`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows {
    /// `metrics.num.samples`.
    samples: usize,
    /// `metrics.sample.window.ms`.
    window: Duration,
}

/// Maximum number of samples that a sensor keeps. Each takes memory, and reading a metric reads all of them under the
/// lock of its group.
pub(crate) const MOST_SAMPLES: usize = 100;

impl Windows {
    /// At least one sample, and windows of at least a millisecond, because rates are divided by the window. If
    /// `samples` is above [`MOST_SAMPLES`], that many are kept and each window is longer by the same factor, so that
    /// values count for as long as configured.
    pub(crate) fn new(samples: usize, window: Duration) -> Self {
        let window = window.max(Duration::from_millis(1));
        if samples <= MOST_SAMPLES {
            let samples = samples.max(1);
            return Self { samples, window };
        }
        let times = u32::try_from(samples.div_ceil(MOST_SAMPLES)).unwrap_or(u32::MAX);
        Self {
            samples: MOST_SAMPLES,
            window: window.saturating_mul(times),
        }
    }

    /// Age at which a sample expires.
    fn expiry(self) -> Duration {
        let samples = u32::try_from(self.samples).unwrap_or(u32::MAX);
        self.window.saturating_mul(samples)
    }
}

/// Sample: aggregated values of one window.
#[derive(Debug, Clone, Copy)]
struct Sample {
    start: Instant,
    count: u64,
    sum: f64,
    max: f64,
}

impl Sample {
    fn new(start: Instant) -> Self {
        Self {
            start,
            count: 0,
            sum: 0.0,
            max: f64::NEG_INFINITY,
        }
    }
}

/// The recorded values of a sensor, in samples of one window each, and their totals. All statistics of the sensor are
/// computed from them. In Kafka each statistic has its own samples, which begin and end at the same times.
///
/// # Kafka
/// `Sensor` and `SampledStat`: a new sample begins when a value is recorded and the previous sample is complete. An
/// expired sample is reset when it is read or reused (MT-2).
#[derive(Debug, Default)]
pub(crate) struct Sensor {
    /// Ring buffer, grown as values are recorded, up to the number of windows.
    samples: Vec<Sample>,
    current: usize,
    total: f64,
    count: u64,
}

impl Sensor {
    #[inline]
    pub(crate) fn record(&mut self, value: f64, windows: Windows, now: Instant) {
        let sample = match self.samples.get_mut(self.current) {
            Some(sample) if now - sample.start < windows.window => sample,
            _ => self.advance(windows, now),
        };
        sample.count += 1;
        sample.sum += value;
        sample.max = sample.max.max(value);
        self.total += value;
        self.count += 1;
    }

    /// Begins the next sample; overwrites the oldest one if the ring is full.
    #[cold]
    fn advance(&mut self, windows: Windows, now: Instant) -> &mut Sample {
        // A ring: the slot after the newest sample holds the oldest one.
        if !self.samples.is_empty() {
            self.current = (self.current + 1) % windows.samples;
        }
        match self.samples.get_mut(self.current) {
            Some(reused) => *reused = Sample::new(now),
            None => self.samples.push(Sample::new(now)),
        }
        &mut self.samples[self.current]
    }

    /// Computes a statistic: rates, averages and maxima over the sliding window of the samples kept. Not for
    /// gauges, which no sensor records.
    pub(crate) fn measure(&mut self, stat: Stat, windows: Windows, now: Instant) -> f64 {
        if stat.is_counter() {
            return match stat {
                Stat::CountTotal => self.count as f64,
                _ => self.total,
            };
        }
        // Expired samples are reset here: without new values, `record` does not reset them.
        self.purge(windows, now);
        let count: u64 = self.samples.iter().map(|sample| sample.count).sum();
        // The sum of an empty iterator is -0.0, which would be displayed as "-0".
        let sum = self
            .samples
            .iter()
            .fold(0.0, |sum, sample| sum + sample.sum);
        match stat {
            Stat::Average | Stat::Max | Stat::Gauge if count == 0 => f64::NAN,
            Stat::Average => sum / count as f64,
            Stat::Rate => sum / self.elapsed(windows, now).as_secs_f64(),
            Stat::CountRate => count as f64 / self.elapsed(windows, now).as_secs_f64(),
            Stat::TimeRatio => sum / self.elapsed(windows, now).as_nanos() as f64,
            _ => {
                let max = self.samples.iter().map(|sample| sample.max);
                max.fold(f64::NEG_INFINITY, f64::max)
            }
        }
    }

    /// Resets expired samples.
    fn purge(&mut self, windows: Windows, now: Instant) {
        let expiry = windows.expiry();
        for sample in &mut self.samples {
            if now - sample.start >= expiry {
                *sample = Sample::new(now);
            }
        }
    }

    /// The time by which a rate is divided: the age of the oldest sample, and one window for each complete window that
    /// is missing before the last one. Without the addition the first values of a new sensor would show as a burst
    /// (MT-3).
    fn elapsed(&mut self, windows: Windows, now: Instant) -> Duration {
        if self.samples.is_empty() {
            self.samples.push(Sample::new(now));
        }
        let oldest = self.samples.iter().map(|sample| sample.start).min();
        let elapsed = now - oldest.unwrap_or(now);
        let full = elapsed.as_nanos() / windows.window.as_nanos();
        let missing = (windows.samples as u128 - 1).saturating_sub(full);
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        let elapsed = elapsed.saturating_add(windows.window.saturating_mul(missing));
        // The time is zero if there is only one window and it has just begun.
        elapsed.max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(100 + seconds)
    }

    fn windows() -> Windows {
        Windows::new(2, WINDOW)
    }

    fn close(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9, "{left} is not {right}");
    }

    /// Java: MetricsTest#testSampledStatInitialValue, `SensorTest` (statistics without values)
    #[test]
    fn without_values_rates_and_totals_are_zero_and_averages_and_maxima_are_nan() {
        let mut sensor = Sensor::default();
        let mut measure = |stat| sensor.measure(stat, windows(), at(0));
        for zero in [
            Stat::Rate,
            Stat::CountRate,
            Stat::TimeRatio,
            Stat::Total,
            Stat::CountTotal,
        ] {
            close(measure(zero), 0.0);
            assert!(measure(zero).is_sign_positive(), "{zero:?} is -0");
        }
        assert!(measure(Stat::Average).is_nan() && measure(Stat::Max).is_nan());
    }

    /// Java: MetricsTest#testTimeWindowing, #testOldDataHasNoEffect; MT-2
    #[test]
    fn values_count_until_their_sample_is_as_old_as_all_windows_together() {
        let mut sensor = Sensor::default();
        sensor.record(10.0, windows(), at(0));
        sensor.record(2.0, windows(), at(29));
        sensor.record(4.0, windows(), at(30));
        close(sensor.measure(Stat::Average, windows(), at(59)), 16.0 / 3.0);
        close(sensor.measure(Stat::Max, windows(), at(59)), 10.0);
        // The first sample is 60 s old.
        close(sensor.measure(Stat::Average, windows(), at(60)), 4.0);
        assert!(sensor.measure(Stat::Max, windows(), at(90)).is_nan());
        close(sensor.measure(Stat::Total, windows(), at(90)), 16.0);
        close(sensor.measure(Stat::CountTotal, windows(), at(90)), 3.0);
    }

    /// Java: MetricsTest#testRateWindowing; MT-3
    #[test]
    fn a_rate_covers_all_complete_windows_and_the_elapsed_part_of_the_last() {
        let mut sensor = Sensor::default();
        sensor.record(30.0, windows(), at(0));
        close(sensor.measure(Stat::Rate, windows(), at(0)), 30.0 / 30.0);
        close(sensor.measure(Stat::Rate, windows(), at(15)), 30.0 / 45.0);
        close(
            sensor.measure(Stat::CountRate, windows(), at(15)),
            1.0 / 45.0,
        );
        sensor.record(60.0, windows(), at(40));
        close(sensor.measure(Stat::Rate, windows(), at(50)), 90.0 / 50.0);
        // The first sample has expired; the second began at 40.
        close(sensor.measure(Stat::Rate, windows(), at(70)), 60.0 / 30.0);
    }

    /// Java: `MeterTest`
    #[test]
    fn a_time_ratio_is_the_fraction_of_the_window_that_the_values_take() {
        let mut sensor = Sensor::default();
        sensor.record(15e9, windows(), at(0));
        close(sensor.measure(Stat::TimeRatio, windows(), at(30)), 0.5);
    }

    #[test]
    fn samples_are_reused_in_order_as_in_a_ring_buffer() {
        let windows = Windows::new(3, Duration::from_secs(1));
        let mut sensor = Sensor::default();
        for second in 0..10 {
            sensor.record(second as f64, windows, at(second));
        }
        assert_eq!(sensor.samples.len(), 3);
        close(sensor.measure(Stat::Average, windows, at(9)), 8.0);
    }

    /// Without the limit, 2,147,483,647 samples of a millisecond would let memory grow by one sample each millisecond.
    #[test]
    fn a_sensor_keeps_at_most_a_hundred_samples_and_values_count_as_long_as_configured() {
        for (samples, millis) in [(100, 10), (101, 10), (1000, 1), (i32::MAX as usize, 1)] {
            let windows = Windows::new(samples, Duration::from_millis(millis));
            let asked = Duration::from_millis(samples as u64 * millis);
            let expiry = windows.expiry();
            assert!(
                asked <= expiry && expiry <= asked * 2,
                "{asked:?} {expiry:?}"
            );
            let mut sensor = Sensor::default();
            for second in 0..10 * MOST_SAMPLES as u64 {
                sensor.record(
                    1.0,
                    windows,
                    at(0) + windows.window.saturating_mul(second as u32),
                );
            }
            assert_eq!(sensor.samples.len(), MOST_SAMPLES);
        }
        assert_eq!(Windows::new(2, WINDOW).window, WINDOW);
    }

    #[test]
    fn a_rate_is_finite_with_an_empty_or_endless_window_and_with_a_stopped_clock() {
        for (samples, window) in [
            (1, Duration::ZERO),
            (usize::MAX, Duration::MAX),
            (1, WINDOW),
        ] {
            let windows = Windows::new(samples, window);
            let mut sensor = Sensor::default();
            sensor.record(1.0, windows, at(0));
            sensor.record(1.0, windows, at(0));
            let rate = sensor.measure(Stat::Rate, windows, at(0));
            assert!(rate.is_finite(), "{samples} samples of {window:?}: {rate}");
        }
    }
}
