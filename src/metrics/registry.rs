//! Metrics registry of a producer: registers and removes groups, and notifies the observer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
#[cfg(test)]
use std::time::Duration;

use super::definition::{Family, SensorSet};
use super::group::{MetricGroup, MetricsOptions, ReadGauge, Sensors};
use super::metric::Metric;
#[cfg(test)]
use super::sensor::Windows;
#[cfg(test)]
use crate::clock::Clock;
use crate::clock::Instant;
#[cfg(test)]
use crate::config::RecordingLevel;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, OnceLock, Rank};

/// Observer that is notified of added and removed metrics.
pub(crate) trait MetricsObserver: Send + Sync {
    fn metrics_added(&self, metrics: &[Metric]);
    fn metrics_removed(&self, metrics: &[Metric]);
}

/// Registry of all metric groups of a producer.
///
/// A group of metrics is registered as a whole. Recording does not take the registry's lock: it is taken only to add,
/// remove and list groups.
///
/// The observer is user code and may be slow, and the sender reads the clock only once per step. Within a step the
/// sender therefore registers and removes groups [quietly](Self::quietly), and notifies the observer after the step.
///
/// # Kafka
/// `org.apache.kafka.common.metrics.Metrics`.
pub(crate) struct MetricsRegistry {
    options: Arc<MetricsOptions>,
    groups: Mutex<MetricGroups>,
    observer: OnceLock<Arc<dyn MetricsObserver>>,
    /// True if notifications are pending.
    has_news: AtomicBool,
}

/// Pending notification of the observer.
enum MetricsNews {
    Added(Arc<MetricGroup>),
    Removed(Arc<MetricGroup>),
}

#[derive(Default)]
struct MetricGroups {
    next: u64,
    /// By id; ids rise in the order of registration.
    by_id: BTreeMap<u64, Arc<MetricGroup>>,
    /// The number of metrics in all groups.
    metrics: usize,
    /// Pending notifications, in order.
    news: Vec<MetricsNews>,
}

impl MetricsRegistry {
    pub(crate) fn new(options: MetricsOptions) -> Self {
        Self {
            options: Arc::new(options),
            groups: Mutex::new(Rank::LEAF, MetricGroups::default()),
            observer: OnceLock::new(),
            has_news: AtomicBool::new(false),
        }
    }

    #[cfg(test)]
    pub(crate) fn for_tests(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self::new(MetricsOptions {
            client_id: "test".into(),
            windows: Windows::new(2, Duration::from_secs(30)),
            level: RecordingLevel::Info,
            clock,
        }))
    }

    /// Sets the observer. Only the first call has an effect.
    pub(crate) fn observe(&self, observer: Arc<dyn MetricsObserver>) {
        let _ = self.observer.set(observer);
    }

    /// Registers a group of recorded metrics.
    ///
    /// `tag_values` has one value for each tag of the family.
    pub(crate) fn add<S: SensorSet>(&self, tag_values: &[&str]) -> Sensors<S> {
        let sensors = self.insert_sensors(tag_values);
        self.notify(&MetricsNews::Added(Arc::clone(sensors.group())));
        sensors
    }

    /// Registers a group of gauges: one for each metric of the family, measured when it is read.
    pub(crate) fn add_gauges(
        &self,
        family: &'static Family,
        tag_values: &[&str],
        gauges: Vec<ReadGauge>,
    ) -> Arc<MetricGroup> {
        let group = self.insert_gauges(family, tag_values, gauges);
        self.notify(&MetricsNews::Added(Arc::clone(&group)));
        group
    }

    /// Removes the group that [`add`](Self::add) registered. Values recorded afterwards are not visible.
    #[cfg(test)]
    pub(crate) fn remove<S: SensorSet>(&self, sensors: &Sensors<S>) {
        self.remove_group(sensors.group());
    }

    /// Removes the group that [`add_gauges`](Self::add_gauges) registered.
    pub(crate) fn remove_group(&self, group: &Arc<MetricGroup>) {
        if self.take(group) {
            self.notify(&MetricsNews::Removed(Arc::clone(group)));
        }
    }

    /// Registers and removes with deferred notification: the observer is notified by [`notify_reporters`](Self::notify_reporters).
    pub(crate) fn quietly(&self) -> QuietRegistry<'_> {
        QuietRegistry(self)
    }

    /// Delivers pending notifications of groups that were registered or removed [quietly](Self::quietly). Called by the
    /// thread that registers and removes them; cheap if nothing is pending.
    pub(crate) fn notify_reporters(&self) {
        if !self.has_news.load(Ordering::Acquire) {
            return;
        }
        // The observer runs after the lock is released: it may list metrics, which takes the lock.
        let news = {
            let mut groups = self.groups.lock();
            // Cleared under the lock that protects `news`, so that no push in between is lost.
            self.has_news.store(false, Ordering::Release);
            std::mem::take(&mut groups.news)
        };
        for one in &news {
            self.notify(one);
        }
    }

    fn notify(&self, news: &MetricsNews) {
        if let Some(observer) = self.observer.get() {
            match news {
                MetricsNews::Added(group) => observer.metrics_added(&metrics_of(group)),
                MetricsNews::Removed(group) => observer.metrics_removed(&metrics_of(group)),
            }
        }
    }

    fn notify_later(&self, news: MetricsNews) {
        // Without an observer the list would grow for ever.
        if self.observer.get().is_some() {
            let mut groups = self.groups.lock();
            groups.news.push(news);
            self.has_news.store(true, Ordering::Release);
        }
    }

    fn insert_sensors<S: SensorSet>(&self, tag_values: &[&str]) -> Sensors<S> {
        let make = |id| MetricGroup::of_sensors(id, S::FAMILY, tag_values, &self.options);
        Sensors::new(self.insert(make))
    }

    fn insert_gauges(
        &self,
        family: &'static Family,
        tag_values: &[&str],
        gauges: Vec<ReadGauge>,
    ) -> Arc<MetricGroup> {
        let options = &self.options;
        self.insert(|id| MetricGroup::of_gauges(id, family, tag_values, options, gauges))
    }

    fn insert(&self, make: impl FnOnce(u64) -> MetricGroup) -> Arc<MetricGroup> {
        let mut groups = self.groups.lock();
        let id = groups.next;
        groups.next += 1;
        let group = Arc::new(make(id));
        groups.by_id.insert(id, Arc::clone(&group));
        // Kept as a sum, so that the `count` metric need not visit all groups.
        groups.metrics += group.len();
        group
    }

    /// Removes a group; false if it was removed before.
    fn take(&self, group: &Arc<MetricGroup>) -> bool {
        let mut groups = self.groups.lock();
        // May be called twice for a group; the observer is notified once.
        let was_there = groups.by_id.remove(&group.id).is_some();
        if was_there {
            groups.metrics -= group.len();
        }
        was_there
    }

    /// The current time on the clock by which values are recorded and read.
    pub(crate) fn now(&self) -> Instant {
        self.options.clock.now()
    }

    /// The number of metrics.
    pub(crate) fn len(&self) -> usize {
        self.groups.lock().metrics
    }

    /// All metrics, in the order in which they were registered.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        self.groups().iter().flat_map(metrics_of).collect()
    }

    pub(super) fn groups(&self) -> Vec<Arc<MetricGroup>> {
        self.groups.lock().by_id.values().cloned().collect()
    }
}

/// The registry with [deferred](MetricsRegistry::notify_reporters) notification of the observer.
pub(crate) struct QuietRegistry<'a>(&'a MetricsRegistry);

impl QuietRegistry<'_> {
    /// As [`MetricsRegistry::add`].
    pub(crate) fn add<S: SensorSet>(&self, tag_values: &[&str]) -> Sensors<S> {
        let sensors = self.0.insert_sensors(tag_values);
        self.added(sensors.group());
        sensors
    }

    /// As [`MetricsRegistry::add_gauges`].
    pub(crate) fn add_gauges(
        &self,
        family: &'static Family,
        tag_values: &[&str],
        gauges: Vec<ReadGauge>,
    ) -> Arc<MetricGroup> {
        let group = self.0.insert_gauges(family, tag_values, gauges);
        self.added(&group);
        group
    }

    /// Removes the group that [`add`](Self::add) registered. Values recorded afterwards are not visible.
    pub(crate) fn remove<S: SensorSet>(&self, sensors: &Sensors<S>) {
        self.remove_group(sensors.group());
    }

    /// Removes the group that [`add_gauges`](Self::add_gauges) registered.
    pub(crate) fn remove_group(&self, group: &Arc<MetricGroup>) {
        if self.0.take(group) {
            self.0.notify_later(MetricsNews::Removed(Arc::clone(group)));
        }
    }

    fn added(&self, group: &Arc<MetricGroup>) {
        self.0.notify_later(MetricsNews::Added(Arc::clone(group)));
    }
}

/// The metrics of a group.
fn metrics_of(group: &Arc<MetricGroup>) -> Vec<Metric> {
    let all = group.family.metrics().enumerate();
    all.map(|(at, (sensor, definition))| Metric::new(Arc::clone(group), at, sensor, definition))
        .collect()
}

impl fmt::Debug for MetricsRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} metrics", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::metrics::tables::{MemoryGauge, TopicSensor};
    use crate::metrics::{MetricValue, Metrics};

    fn registry() -> Arc<MetricsRegistry> {
        MetricsRegistry::for_tests(Arc::new(SystemClock::new()))
    }

    struct RecordingObserver(Mutex<Vec<String>>);

    impl RecordingObserver {
        fn note(&self, what: &str, metrics: &[Metric]) {
            let topic = metrics[0]
                .name()
                .tag("topic")
                .unwrap_or_default()
                .to_owned();
            let line = format!("{what} {} of {topic}", metrics.len());
            self.0.lock().push(line);
        }
    }

    impl MetricsObserver for RecordingObserver {
        fn metrics_added(&self, metrics: &[Metric]) {
            self.note("added", metrics);
        }
        fn metrics_removed(&self, metrics: &[Metric]) {
            self.note("removed", metrics);
        }
    }

    /// Java: MetricsTest#testSimpleStats, #testRemoveSensor; MT-6
    #[test]
    fn a_registered_metric_is_found_by_name_and_tags_until_it_is_removed() {
        let registry = registry();
        let observer = Arc::new(RecordingObserver(Mutex::new(Rank::LEAF, Vec::new())));
        registry.observe(Arc::clone(&observer) as Arc<dyn MetricsObserver>);
        let orders = registry.add::<TopicSensor>(&["orders"]);
        let other = registry.add::<TopicSensor>(&["other"]);
        orders.record(TopicSensor::Records, 3.0, Instant::ORIGIN);
        other.record(TopicSensor::Records, 5.0, Instant::ORIGIN);
        let metrics = Metrics::new(Arc::clone(&registry));
        let total = |topic| {
            metrics.get(
                "producer-topic-metrics",
                "record-send-total",
                &[("topic", topic)],
            )
        };
        assert_eq!(total("orders").unwrap().value(), MetricValue::Number(3.0));
        assert_eq!(total("other").unwrap().value(), MetricValue::Number(5.0));
        assert_eq!(metrics.len(), 18);
        let kept = total("orders").unwrap();
        registry.remove(&orders);
        registry.remove(&orders);
        assert!(total("orders").is_none() && total("other").is_some());
        assert_eq!(metrics.len(), 9);
        assert_eq!(kept.value(), MetricValue::Number(3.0));
        assert_eq!(
            *observer.0.lock(),
            [
                "added 9 of orders",
                "added 9 of other",
                "removed 9 of orders"
            ]
        );
    }

    /// The sender defers the notification: user code may be slow, and the remaining work of the step uses the time that
    /// was read before.
    #[test]
    fn metrics_registered_quietly_exist_at_once_and_are_reported_later_in_order() {
        let registry = registry();
        let unseen = registry.quietly().add::<TopicSensor>(&["unseen"]);
        let observer = Arc::new(RecordingObserver(Mutex::new(Rank::LEAF, Vec::new())));
        registry.observe(Arc::clone(&observer) as Arc<dyn MetricsObserver>);
        registry.notify_reporters();
        let orders = registry.quietly().add::<TopicSensor>(&["orders"]);
        registry.quietly().remove(&unseen);
        registry.quietly().remove(&unseen);
        registry.quietly().remove(&orders);
        let other = registry.quietly().add::<TopicSensor>(&["orders"]);
        assert_eq!((registry.len(), observer.0.lock().len()), (9, 0));
        registry.notify_reporters();
        registry.notify_reporters();
        assert_eq!(
            *observer.0.lock(),
            [
                "added 9 of orders",
                "removed 9 of unseen",
                "removed 9 of orders",
                "added 9 of orders"
            ]
        );
        drop(other);
    }

    #[test]
    fn a_gauge_is_measured_when_it_is_read() {
        let registry = registry();
        let reads =
            (0..3).map(|at| Box::new(move |_| MetricValue::Number(f64::from(at))) as ReadGauge);
        registry.add_gauges(MemoryGauge::FAMILY, &[], reads.collect());
        let names = registry.metrics().into_iter();
        let texts: Vec<String> = names
            .map(|metric| format!("{} {}", metric.name(), metric.value()))
            .collect();
        assert_eq!(
            texts,
            [
                "producer-metrics:waiting-threads:{client-id=test} 0",
                "producer-metrics:buffer-total-bytes:{client-id=test} 1",
                "producer-metrics:buffer-available-bytes:{client-id=test} 2",
            ]
        );
    }
}
