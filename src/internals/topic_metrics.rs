//! The metrics of many topics, for tests of their memory.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::config::RecordingLevel;
use crate::metrics::tables::TopicSensor;
use crate::metrics::{MetricsOptions, MetricsRegistry, Sensors, Windows};

/// Registered metrics, and the sensors that record them.
#[derive(Debug)]
pub struct TopicMetrics {
    _registry: MetricsRegistry,
    _topics: Vec<Sensors<TopicSensor>>,
}

/// Registers the metrics of this many topics, and records batches of two windows in each.
pub fn topic_metrics(count: usize) -> TopicMetrics {
    const WINDOW: Duration = Duration::from_secs(30);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let now = clock.now();
    let registry = MetricsRegistry::new(MetricsOptions {
        client_id: "producer-1".into(),
        windows: Windows::new(2, WINDOW),
        level: RecordingLevel::Info,
        clock,
    });
    let register = |number: usize| {
        let topic = format!("topic-{number:04}");
        let sensors: Sensors<TopicSensor> = registry.add(&[&topic]);
        for at in [now, now + WINDOW] {
            let mut batch = sensors.recording(at);
            batch.record(TopicSensor::Records, 10.0);
            batch.record(TopicSensor::Bytes, 1000.0);
            batch.record(TopicSensor::CompressionRate, 1.0);
        }
        sensors
    };
    let topics = (0..count).map(register).collect();
    TopicMetrics {
        _registry: registry,
        _topics: topics,
    }
}
