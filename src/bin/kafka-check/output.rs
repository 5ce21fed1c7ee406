//! The output of a check: text while the steps run, or one JSON document at the end.

use std::time::{Duration, Instant};

use kafka_producer::RecordMetadata;
use kafka_producer::probe::ProbeReport;

use crate::document;
use crate::facts::{CheckFacts, SentRecord, ShownBroker};
use crate::finding::{CheckStep, StepResult};
use crate::streams;
use crate::text::TextOutput;

pub(crate) struct CheckOutput {
    pub(crate) began: Instant,
    /// `None` for JSON.
    text: Option<TextOutput>,
    pub(crate) facts: CheckFacts,
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
            show(&text.step(&step.printable()));
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

/// Prints a text. If that fails, the process ends: the results of further steps would be lost as well.
fn show(text: &str) {
    streams::print(text);
    streams::exit_if_lost();
}
