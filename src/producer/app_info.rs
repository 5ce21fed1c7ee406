//! The `app-info` metrics (version, commit, start time), and the `count` of metrics.

use std::sync::{Arc, Weak};

use crate::clock::Clock;
use crate::metrics::definition::SensorSet;
use crate::metrics::tables::{AppInfo, Count};
use crate::metrics::{MetricGroup, MetricValue, MetricsRegistry, ReadGauge};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The `commit-id` metric. Set by an environment variable at build time: a published crate does not know its commit.
const COMMIT_ID: &str = match option_env!("KAFKA_PRODUCER_COMMIT_ID") {
    Some(commit) => commit,
    None => "unknown",
};

/// Registers the `app-info` metrics. The group is removed when the producer is closed.
///
/// # Kafka
/// `AppInfoParser#registerAppInfo`.
pub(crate) fn register_app_info(registry: &MetricsRegistry, clock: &dyn Clock) -> Arc<MetricGroup> {
    // Counted in whole milliseconds: exact for the next 285,000 years.
    let started = clock.timestamp().as_millis() as f64;
    let values = [
        MetricValue::Text(VERSION.into()),
        MetricValue::Text(COMMIT_ID.into()),
        MetricValue::Number(started),
    ];
    let read = |value: MetricValue| Box::new(move |_| value.clone()) as ReadGauge;
    registry.add_gauges(AppInfo::FAMILY, &[], values.map(read).into())
}

/// Registers the `count` metric: the number of metrics.
pub(crate) fn register_count(registry: &Arc<MetricsRegistry>) {
    // Weak: a metric that the user keeps must not keep the registry and its reporters alive.
    let counted: Weak<MetricsRegistry> = Arc::downgrade(registry);
    let read = move |_| {
        let count = counted.upgrade().map_or(0, |registry| registry.len());
        MetricValue::Number(count as f64)
    };
    registry.add_gauges(Count::FAMILY, &[], vec![Box::new(read) as ReadGauge]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::metrics::Metrics;

    #[test]
    fn the_metric_count_and_the_app_info_exist_until_they_are_removed() {
        let clock = Arc::new(SystemClock::new());
        let registry = MetricsRegistry::for_tests(Arc::clone(&clock) as Arc<dyn Clock>);
        register_count(&registry);
        let before = clock.timestamp().as_millis() as f64;
        let app_info = register_app_info(&registry, &*clock);
        let metrics = Metrics::new(Arc::clone(&registry));
        let read = |group, name| metrics.get(group, name, &[]).map(|metric| metric.value());
        let count = metrics.get("kafka-metrics-count", "count", &[]).unwrap();
        assert_eq!(count.value(), MetricValue::Number(4.0));
        let version = read("app-info", "version").unwrap();
        assert_eq!(version.to_string(), env!("CARGO_PKG_VERSION"));
        let commit = read("app-info", "commit-id").unwrap();
        assert!(matches!(commit, MetricValue::Text(_)), "{commit}");
        let started = read("app-info", "start-time-ms").unwrap();
        assert!(started.as_f64().unwrap() >= before);
        registry.remove_group(&app_info);
        assert_eq!(read("app-info", "version"), None);
        assert_eq!(count.value(), MetricValue::Number(1.0));
        drop((metrics, registry));
        assert_eq!(count.value(), MetricValue::Number(0.0));
    }
}
