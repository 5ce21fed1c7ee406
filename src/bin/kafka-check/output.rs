//! The output of a check: text while the steps run, or one JSON document at the end.

use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use kafka_producer::RecordMetadata;
use kafka_producer::probe::{ProbeReport, ProbedBroker, ProbedTopic};

use crate::document;
use crate::finding::{CheckStep, StepResult};
use crate::text::TextOutput;

pub(crate) struct CheckOutput {
    pub(crate) began: Instant,
    /// `None` for JSON.
    text: Option<TextOutput>,
    pub(crate) facts: CheckFacts,
}

/// The results, for the JSON document.
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

impl CheckOutput {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            began: Instant::now(),
            text: (!json).then(TextOutput::new),
            facts: CheckFacts::default(),
        }
    }

    pub(crate) fn step(&mut self, step: CheckStep) {
        if let Some(text) = &mut self.text {
            show(&text.step(&step));
        }
        self.facts.steps.push(step);
    }

    pub(crate) fn cluster(&mut self, report: &ProbeReport) {
        self.facts.cluster = Some((report.cluster_id.clone(), report.controller));
        self.facts.topics.clone_from(&report.topics);
    }

    pub(crate) fn broker(&mut self, broker: ShownBroker) {
        self.facts.brokers.push(broker);
    }

    pub(crate) fn record(&mut self, metadata: &RecordMetadata, took: Duration) {
        self.facts.records.push(SentRecord {
            topic: metadata.topic().to_owned(),
            partition: metadata.partition(),
            offset: metadata.has_offset().then(|| metadata.offset()),
            took,
        });
    }

    /// Prints the end of the output. Returns whether no step has failed.
    pub(crate) fn finish(self) -> bool {
        let facts = &self.facts;
        match &self.text {
            Some(_) => show(&TextOutput::end(facts)),
            None => show(&format!("{}\n", document::of(facts, self.began.elapsed()))),
        }
        facts.count(StepResult::Failed) == 0
    }
}

/// Prints, and flushes: a step may take seconds. A closed pipe is ignored.
fn show(text: &str) {
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
