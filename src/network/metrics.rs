//! Metrics of a selector and its connections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::activity::{Activity, Authenticated};
use super::selectable::ConnectionId;
use super::transport::CipherName;
use crate::clock::Instant;
use crate::metrics::definition::SensorSet;
use crate::metrics::tables::{CipherGauge, NodeSensor, SelectorGauge, SelectorSensor};
use crate::metrics::{
    MetricGroup, MetricValue, MetricsRegistry, NodeMetrics, ReadGauge, Recording, Sensors,
};

/// The selector's sensors. All writes of a channel in one turn are recorded as one, and so are its reads.
///
/// # Kafka
/// `Selector.SelectorMetrics`. Differs: the metrics exist until the producer is dropped, so that they can be read after
/// it is closed.
pub(crate) struct SelectorMetrics {
    registry: Arc<MetricsRegistry>,
    sensors: Sensors<SelectorSensor>,
    nodes: Arc<NodeMetrics>,
    connections: Arc<AtomicUsize>,
    ciphers: BTreeMap<CipherName, CipherConnections>,
}

impl SelectorMetrics {
    /// Registers the metrics that exist without a connection.
    pub(crate) fn new(registry: Arc<MetricsRegistry>, nodes: Arc<NodeMetrics>) -> Self {
        let connections = Arc::new(AtomicUsize::new(0));
        let sensors = registry.add(&[]);
        registry.add_gauges(SelectorGauge::FAMILY, &[], vec![gauge_of(&connections)]);
        Self {
            registry,
            sensors,
            nodes,
            connections,
            ciphers: BTreeMap::new(),
        }
    }

    #[cfg(test)]
    pub(crate) fn for_tests(clock: Arc<dyn crate::clock::Clock>) -> Self {
        let registry = MetricsRegistry::for_tests(clock);
        let nodes = NodeMetrics::new(Arc::clone(&registry));
        Self::new(registry, nodes)
    }

    /// All metrics of the registry.
    #[cfg(test)]
    pub(crate) fn all(&self) -> crate::metrics::Metrics {
        crate::metrics::Metrics::new(Arc::clone(&self.registry))
    }

    /// Metrics of a new connection, which is counted from now on. `authenticates` is false for `PLAINTEXT`.
    pub(super) fn connection(&self, id: ConnectionId, authenticates: bool) -> ChannelMetrics {
        ChannelMetrics {
            node: self.nodes.register(id),
            authenticates,
            cipher: None,
            _counted: ConnectionCount::begin(&self.connections),
        }
    }

    /// Records a channel's activity, and resets it.
    pub(super) fn record(
        &mut self,
        channel: &mut ChannelMetrics,
        activity: &mut Activity,
        now: Instant,
    ) {
        if activity.is_of_setup() {
            self.record_set_up(channel, activity, now);
        }
        if activity.has_traffic() {
            record_traffic_of_all(activity, self.sensors.recording(now));
            record_traffic_of_node(activity, channel.node.recording(now));
        }
        *activity = Activity::default();
    }

    /// Records how long a poll blocked, and how long it then did I/O.
    pub(super) fn record_poll(&self, waited: Duration, worked: Duration, now: Instant) {
        let mut all = self.sensors.recording(now);
        all.record(SelectorSensor::SelectTime, waited.as_nanos() as f64);
        all.record(SelectorSensor::IoTime, worked.as_nanos() as f64);
    }

    #[cold]
    fn record_set_up(
        &mut self,
        channel: &mut ChannelMetrics,
        activity: &mut Activity,
        now: Instant,
    ) {
        if let Some(cipher) = activity.cipher.take() {
            channel.cipher = self.count_cipher(cipher);
        }
        let mut all = self.sensors.recording(now);
        if activity.connected {
            all.record(SelectorSensor::ConnectionsCreated, 1.0);
        }
        match activity.authenticated.filter(|_| channel.authenticates) {
            Some(Authenticated::First) => {
                all.record(SelectorSensor::SuccessfulAuthentication, 1.0);
                all.record(SelectorSensor::SuccessfulAuthenticationNoReauth, 1.0);
            }
            Some(Authenticated::Again(took)) => {
                all.record(SelectorSensor::SuccessfulReauthentication, 1.0);
                let millis = took.as_secs_f64() * 1e3;
                all.record(SelectorSensor::ReauthenticationLatency, millis);
            }
            None => {}
        }
    }

    /// Records a failed authentication. `again` is true for a re-authentication.
    pub(super) fn record_refusal(&self, again: bool, now: Instant) {
        let sensor = if again {
            SelectorSensor::FailedReauthentication
        } else {
            SelectorSensor::FailedAuthentication
        };
        self.sensors.record(sensor, 1.0, now);
    }

    /// Records a closed connection or failed attempt.
    pub(super) fn record_closed(&self, now: Instant) {
        self.sensors
            .record(SelectorSensor::ConnectionsClosed, 1.0, now);
    }

    /// Counts a connection with this cipher, until the returned value is dropped. At most 100 ciphers are counted;
    /// `None` if this one is not.
    ///
    /// # Kafka
    /// `IntGaugeSuite`: a gauge that drops to 0 stays, and is removed only to make room for another.
    pub(super) fn count_cipher(&mut self, cipher: CipherName) -> Option<ConnectionCount> {
        if let Some(known) = self.ciphers.get(&cipher) {
            return Some(ConnectionCount::begin(&known.count));
        }
        if self.ciphers.len() >= MOST_CIPHERS && !self.remove_unused_cipher() {
            return None;
        }
        let count = Arc::new(AtomicUsize::new(0));
        let counted = ConnectionCount::begin(&count);
        let tags = [&*cipher.suite, &*cipher.protocol];
        let gauges = vec![gauge_of(&count)];
        let quietly = self.registry.quietly();
        let group = quietly.add_gauges(CipherGauge::FAMILY, &tags, gauges);
        self.ciphers
            .insert(cipher, CipherConnections { count, group });
        Some(counted)
    }

    fn remove_unused_cipher(&mut self) -> bool {
        let mut ciphers = self.ciphers.iter();
        let unused = ciphers.find(|(_, known)| known.count.load(Ordering::Relaxed) == 0);
        let Some(name) = unused.map(|(name, _)| name.clone()) else {
            return false;
        };
        if let Some(removed) = self.ciphers.remove(&name) {
            self.registry.quietly().remove_group(&removed.group);
        }
        true
    }
}

/// Metrics of one connection; dropped with it.
pub(super) struct ChannelMetrics {
    node: Sensors<NodeSensor>,
    authenticates: bool,
    cipher: Option<ConnectionCount>,
    _counted: ConnectionCount,
}

/// Limit on the number of ciphers: `maxEntries` of Kafka's `IntGaugeSuite`.
const MOST_CIPHERS: usize = 100;

/// Connection count of one cipher.
struct CipherConnections {
    count: Arc<AtomicUsize>,
    group: Arc<MetricGroup>,
}

/// Guard that counts a connection until it is dropped.
pub(super) struct ConnectionCount(Arc<AtomicUsize>);

impl ConnectionCount {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for ConnectionCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn gauge_of(count: &Arc<AtomicUsize>) -> ReadGauge {
    let count = Arc::clone(count);
    Box::new(move |_| MetricValue::Number(count.load(Ordering::Relaxed) as f64))
}

fn record_traffic_of_all(activity: &Activity, mut all: Recording<'_, SelectorSensor>) {
    if activity.bytes_written > 0 {
        let bytes = activity.bytes_written as f64;
        all.record(SelectorSensor::BytesSent, bytes);
        all.record(SelectorSensor::NetworkIo, bytes);
    }
    if activity.bytes_read > 0 {
        let bytes = activity.bytes_read as f64;
        all.record(SelectorSensor::BytesReceived, bytes);
        all.record(SelectorSensor::NetworkIo, bytes);
    }
    if let Some(bytes) = activity.request_bytes {
        all.record(SelectorSensor::RequestsSent, bytes as f64);
    }
    if let Some(bytes) = activity.response_bytes {
        all.record(SelectorSensor::ResponsesReceived, bytes as f64);
    }
}

fn record_traffic_of_node(activity: &Activity, mut node: Recording<'_, NodeSensor>) {
    if activity.bytes_written > 0 {
        node.record(NodeSensor::BytesSent, activity.bytes_written as f64);
    }
    if activity.bytes_read > 0 {
        node.record(NodeSensor::BytesReceived, activity.bytes_read as f64);
    }
    if let Some(bytes) = activity.request_bytes {
        node.record(NodeSensor::RequestsSent, bytes as f64);
    }
    if let Some(bytes) = activity.response_bytes {
        node.record(NodeSensor::ResponsesReceived, bytes as f64);
    }
}
