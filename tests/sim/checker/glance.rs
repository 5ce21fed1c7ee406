//! What a run shows of itself besides its events.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_producer::{Metrics, ProducerSnapshot};

use crate::events::RecordId;

/// How things stand. Filled by what runs the scenario, now and then while time passes, and where [`Moment`] says; plain
/// data.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Glance {
    /// Since the start.
    pub(crate) at: Duration,
    pub(crate) moment: Moment,
    /// By their place in the scenario, those that do not exist as well.
    pub(crate) producers: Vec<ProducerGlance>,
    /// Records whose futures the application keeps, and that were found to be done (`is_done`) since the last glance.
    /// `None` if nobody looks: then all that is known of when a record was done is its callback, and what is told of its
    /// future, which may be read late. Who looks does so after each step in which a producer counted records as
    /// acknowledged or failed; else the times are those of the glances.
    pub(crate) done: Option<Vec<RecordId>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// In the middle.
    Passing,
    /// All is healed, all that was sent is done, and everybody sleeps; producers are open still, if the scenario left
    /// them so. There is at least one of these in a run.
    Idle,
    /// Producers are closed, and everything is told.
    End,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ProducerGlance {
    /// None when it was not built, or is dropped.
    pub(crate) snapshot: Option<ProducerSnapshot>,
    /// Of one that is there, when all is idle.
    pub(crate) metrics: Option<MetricsGlance>,
    pub(crate) sender_has_ended: bool,
    /// Sizes of what is inside (queues, maps), by name. What is called "queued …" has to be empty when all is idle;
    /// anything else has to be no larger than topics, partitions and nodes together allow.
    pub(crate) sizes: Vec<(&'static str, usize)>,
}

/// What the metrics of a producer say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MetricsGlance {
    /// Their names, as they print.
    pub(crate) names: BTreeSet<String>,
    /// `record-send-total`, `record-error-total`, `record-retry-total`, `batch-split-total`
    pub(crate) sent: f64,
    pub(crate) errors: f64,
    pub(crate) retries: f64,
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
