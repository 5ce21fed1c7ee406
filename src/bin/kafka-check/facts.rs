//! The results of a check.

use std::time::Duration;

use kafka_producer::probe::{ProbedBroker, ProbedTopic};

use crate::finding::{CheckStep, StepResult};

/// The results, for the JSON document and the end of the text.
#[derive(Default)]
pub(crate) struct CheckFacts {
    pub(crate) steps: Vec<CheckStep>,
    /// Cluster id and controller; `None` if no bootstrap server could be used.
    pub(crate) cluster: Option<(Option<String>, Option<i32>)>,
    pub(crate) brokers: Vec<ShownBroker>,
    pub(crate) topics: Vec<ProbedTopic>,
    pub(crate) records: Vec<SentRecord>,
}

/// A broker, as the output shows it.
pub(crate) struct ShownBroker {
    pub(crate) broker: ProbedBroker,
    pub(crate) is_controller: bool,
    pub(crate) is_reachable: bool,
    pub(crate) release: Option<String>,
}

/// A test record that was acknowledged.
pub(crate) struct SentRecord {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// `None` with acks=0.
    pub(crate) offset: Option<i64>,
    pub(crate) took: Duration,
}

impl CheckFacts {
    /// The number of steps with this result.
    pub(crate) fn count(&self, result: StepResult) -> usize {
        let steps = self.steps.iter();
        steps.filter(|step| step.result == result).count()
    }
}
