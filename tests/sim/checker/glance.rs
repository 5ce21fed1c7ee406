//! Snapshots of the producers' state, for the checker.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_producer::{Metrics, ProducerSnapshot};

use crate::events::RecordId;

/// A snapshot of all producers. The run takes snapshots at intervals and at the points of [`Moment`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Glance {
    /// Time since the start.
    pub(crate) at: Duration,
    pub(crate) moment: Moment,
    /// By the producer's index in the scenario, including those that do not exist at that time.
    pub(crate) producers: Vec<ProducerGlance>,
    /// Records whose held futures became complete (`is_done`) since the last snapshot. With `None` the futures are not
    /// polled: then the completion of a record is known only from its callback, or from reading its future, which may
    /// be late. The run takes a snapshot after each step in which a sender counted records as acknowledged or failed;
    /// any other completion is noticed at the next snapshot.
    pub(crate) done: Option<Vec<RecordId>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// During the run.
    Passing,
    /// Everything is healed, all records are complete, and all senders sleep; producers are still open, unless the
    /// scenario closed them. Also used for a snapshot of a single closed producer before it is dropped. A run whose
    /// producers do not finish in time has no idle snapshot of all producers.
    Idle,
    /// All producers are closed, and all outcomes are reported.
    End,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ProducerGlance {
    /// `None` if the producer was not built or is dropped.
    pub(crate) snapshot: Option<ProducerSnapshot>,
    /// `None` unless the producer exists and the run is idle.
    pub(crate) metrics: Option<MetricsGlance>,
    pub(crate) sender_has_ended: bool,
    /// Sizes of internal collections (queues, maps) by name. Those named "queued …" have to be empty when the run is
    /// idle; the others may not exceed what topics, partitions and nodes justify.
    pub(crate) sizes: Vec<(&'static str, usize)>,
}

/// Values of a producer's metrics.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MetricsGlance {
    /// The printed names of all metrics.
    pub(crate) names: BTreeSet<String>,
    /// Value of `record-send-total`.
    pub(crate) sent: f64,
    /// Value of `record-error-total`.
    pub(crate) errors: f64,
    /// Value of `record-retry-total`.
    pub(crate) retries: f64,
    /// Value of `batch-split-total`.
    pub(crate) splits: f64,
}

impl MetricsGlance {
    pub(crate) fn of(metrics: &Metrics) -> Self {
        let total = |name: &str| {
            let metric = metrics.get("producer-metrics", name, &[]);
            metric.and_then(|metric| metric.value().as_f64())
        };
        let of = |name: &str| total(name).unwrap_or(f64::NAN);
        Self {
            names: metrics
                .all()
                .iter()
                .map(|it| it.name().to_string())
                .collect(),
            sent: of("record-send-total"),
            errors: of("record-error-total"),
            retries: of("record-retry-total"),
            splits: of("batch-split-total"),
        }
    }
}
