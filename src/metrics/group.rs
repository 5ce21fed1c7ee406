//! Metric group: one registered instance of a family, such as the metrics of one node or one topic.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::definition::{Family, MetricDefinition, SensorSet};
use super::sensor::{Sensor, Windows};
use super::value::MetricValue;
use crate::clock::{Clock, Instant};
use crate::config::RecordingLevel;
use crate::sync::{Mutex, MutexGuard, Rank};

/// Callback that measures a gauge.
pub(crate) type ReadGauge = Box<dyn Fn(Instant) -> MetricValue + Send + Sync>;

/// Options that all metrics of a producer share.
///
/// # Kafka
/// `MetricConfig`.
#[derive(Debug, Clone)]
pub(crate) struct MetricsOptions {
    pub(crate) client_id: Arc<str>,
    pub(crate) windows: Windows,
    pub(crate) level: RecordingLevel,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Metrics that are registered and removed together.
pub(crate) struct MetricGroup {
    pub(super) id: u64,
    pub(super) family: &'static Family,
    pub(super) tags: Arc<BTreeMap<&'static str, String>>,
    options: Arc<MetricsOptions>,
    source: MetricSource,
}

enum MetricSource {
    /// Recorded values. The lock is per group, so a reader blocks only threads that record in this group.
    Sensors(Mutex<Box<[Sensor]>>),
    /// One gauge for each metric. No lock is held while a gauge is measured.
    Gauges(Box<[ReadGauge]>),
}

impl MetricGroup {
    fn new(
        id: u64,
        family: &'static Family,
        tag_values: &[&str],
        options: &Arc<MetricsOptions>,
        source: MetricSource,
    ) -> Self {
        // `zip` would drop surplus values silently.
        debug_assert_eq!(family.tags.len(), tag_values.len());
        let own = family.tags.iter().copied().zip(tag_values.iter().copied());
        let client = std::iter::once(("client-id", &*options.client_id));
        let tags = client
            .chain(own)
            .map(|(tag, value)| (tag, value.to_owned()));
        Self {
            id,
            family,
            tags: Arc::new(tags.collect()),
            options: Arc::clone(options),
            source,
        }
    }

    pub(super) fn of_sensors(
        id: u64,
        family: &'static Family,
        tag_values: &[&str],
        options: &Arc<MetricsOptions>,
    ) -> Self {
        let sensors = family.sensors.iter().map(|_| Sensor::default()).collect();
        let source = MetricSource::Sensors(Mutex::new(Rank::LEAF, sensors));
        Self::new(id, family, tag_values, options, source)
    }

    pub(super) fn of_gauges(
        id: u64,
        family: &'static Family,
        tag_values: &[&str],
        options: &Arc<MetricsOptions>,
        gauges: Vec<ReadGauge>,
    ) -> Self {
        debug_assert_eq!(family.metrics().count(), gauges.len());
        let source = MetricSource::Gauges(gauges.into());
        Self::new(id, family, tag_values, options, source)
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.options.clock
    }

    pub(super) fn len(&self) -> usize {
        self.family.metrics().count()
    }

    /// The values of all metrics at one moment, in the order of the family.
    pub(super) fn values(&self, now: Instant) -> Vec<MetricValue> {
        match &self.source {
            MetricSource::Sensors(sensors) => {
                // One lock for all metrics: the values belong to the same moment.
                let mut sensors = sensors.lock();
                let measure = |(sensor, definition): (usize, &MetricDefinition)| {
                    let value = sensors[sensor].measure(definition.stat, self.options.windows, now);
                    MetricValue::Number(value)
                };
                self.family.metrics().map(measure).collect()
            }
            MetricSource::Gauges(gauges) => gauges.iter().map(|read| read(now)).collect(),
        }
    }

    /// The value of the metric with index `at` in the family, measured by the sensor with index `sensor`.
    pub(super) fn value(
        &self,
        at: usize,
        sensor: usize,
        definition: &MetricDefinition,
        now: Instant,
    ) -> MetricValue {
        match &self.source {
            MetricSource::Sensors(sensors) => {
                let mut sensors = sensors.lock();
                let value = sensors[sensor].measure(definition.stat, self.options.windows, now);
                MetricValue::Number(value)
            }
            MetricSource::Gauges(gauges) => gauges[at](now),
        }
    }
}

impl fmt::Debug for MetricGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricGroup")
            .field("group", &self.family.group)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}

/// Handle to record into the sensors of one group.
///
/// # Threads
/// Any number of threads may record; each takes the group's lock.
pub(crate) struct Sensors<S: SensorSet> {
    group: Arc<MetricGroup>,
    set: PhantomData<S>,
}

impl<S: SensorSet> Sensors<S> {
    pub(super) fn new(group: Arc<MetricGroup>) -> Self {
        Self {
            group,
            set: PhantomData,
        }
    }

    pub(super) fn group(&self) -> &Arc<MetricGroup> {
        &self.group
    }

    /// Records one value.
    pub(crate) fn record(&self, sensor: S, value: f64, now: Instant) {
        self.recording(now).record(sensor, value);
    }

    /// Locks the group to record many values. No user code may run while the guard is held.
    pub(crate) fn recording(&self, now: Instant) -> Recording<'_, S> {
        let MetricSource::Sensors(sensors) = &self.group.source else {
            unreachable!("a group that is recorded has sensors");
        };
        Recording {
            sensors: sensors.lock(),
            options: &self.group.options,
            now,
            set: PhantomData,
        }
    }
}

impl<S: SensorSet> Clone for Sensors<S> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.group))
    }
}

impl<S: SensorSet> fmt::Debug for Sensors<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.group.fmt(f)
    }
}

/// Lock guard of a group, for recording.
pub(crate) struct Recording<'a, S: SensorSet> {
    sensors: MutexGuard<'a, Box<[Sensor]>>,
    options: &'a MetricsOptions,
    now: Instant,
    set: PhantomData<S>,
}

impl<S: SensorSet> Recording<'_, S> {
    #[inline]
    pub(crate) fn record(&mut self, sensor: S, value: f64) {
        let at = sensor.index();
        // Sensors above `metrics.recording.level` are not recorded, as in `Sensor#shouldRecord`.
        if S::FAMILY.sensors[at].level <= self.options.level {
            self.sensors[at].record(value, self.options.windows, self.now);
        }
    }
}
