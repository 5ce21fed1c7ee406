//! The output as one JSON document. Names of fields and values of `section` and `result` are stable.

use std::time::Duration;

use kafka_producer::ErrorCode;
use kafka_producer::probe::{ProbedPartition, ProbedTopic};

use crate::facts::{CheckFacts, SentRecord, ShownBroker};
use crate::finding::{CheckProblem, CheckStep, KeyToChange, StepResult};
use crate::json::quoted;
use crate::options::VERSION;

/// Maximum number of partitions of a topic in the document. `partition_count` is the number of all of them.
const MAX_PARTITIONS: usize = 10_000;

pub(crate) fn of(facts: &CheckFacts, took: Duration) -> String {
    let failed = facts.count(StepResult::Failed);
    let (id, controller) = match &facts.cluster {
        Some((id, controller)) => (text_or_null(id.as_deref()), number_or_null(*controller)),
        None => ("null".to_owned(), "null".to_owned()),
    };
    object(&[
        ("tool", quoted(VERSION)),
        ("ok", (failed == 0).to_string()),
        ("failed_steps", failed.to_string()),
        (
            "warning_steps",
            facts.count(StepResult::Warning).to_string(),
        ),
        ("took_ms", millis(took)),
        ("cluster_id", id),
        ("controller", controller),
        ("brokers", list(&facts.brokers, broker)),
        ("topics", list(&facts.topics, topic)),
        ("records", list(&facts.records, record)),
        ("steps", list(&facts.steps, step)),
    ])
}

fn step(step: &CheckStep) -> String {
    let took = step.took.map_or_else(|| "null".to_owned(), millis);
    object(&[
        ("section", quoted(step.section)),
        ("target", quoted(&step.target)),
        ("step", quoted(&step.name)),
        ("result", quoted(step.result.name())),
        ("took_ms", took),
        ("detail", quoted(&step.detail)),
        ("more", list(&step.more, |line| quoted(line))),
        ("problems", list(&step.problems, problem)),
    ])
}

fn problem(problem: &CheckProblem) -> String {
    object(&[
        ("is_warning", problem.is_warning.to_string()),
        ("text", quoted(&problem.text)),
        ("likely", list(&problem.likely, |reason| quoted(reason))),
        ("change", list(&problem.change, change)),
    ])
}

fn change(change: &KeyToChange) -> String {
    object(&[
        ("key", quoted(&change.key)),
        ("where", quoted(change.side.name())),
        ("hint", quoted(&change.hint)),
    ])
}

fn broker(shown: &ShownBroker) -> String {
    let broker = &shown.broker;
    object(&[
        ("id", broker.id.to_string()),
        ("host", quoted(&broker.host)),
        ("port", broker.port.to_string()),
        ("rack", text_or_null(broker.rack.as_deref())),
        ("is_controller", shown.is_controller.to_string()),
        ("is_reachable", shown.is_reachable.to_string()),
        ("kafka", text_or_null(shown.release.as_deref())),
    ])
}

fn topic(topic: &ProbedTopic) -> String {
    let error = (topic.error != ErrorCode::NoError).then(|| topic.error.name());
    let partitions = &topic.partitions[..topic.partitions.len().min(MAX_PARTITIONS)];
    object(&[
        ("name", quoted(&topic.name)),
        ("error", text_or_null(error)),
        ("partition_count", topic.partitions.len().to_string()),
        ("partitions", list(partitions, partition)),
    ])
}

fn partition(partition: &ProbedPartition) -> String {
    object(&[
        ("id", partition.id.to_string()),
        ("leader", number_or_null(partition.leader)),
        ("replicas", list(&partition.replicas, ToString::to_string)),
        ("in_sync", list(&partition.in_sync, ToString::to_string)),
    ])
}

fn record(record: &SentRecord) -> String {
    object(&[
        ("topic", quoted(&record.topic)),
        ("partition", record.partition.to_string()),
        ("offset", number_or_null(record.offset)),
        ("took_ms", millis(record.took)),
    ])
}

fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{}:{value}", quoted(name)))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn list<T>(items: &[T], one: impl Fn(&T) -> String) -> String {
    let items: Vec<_> = items.iter().map(one).collect();
    format!("[{}]", items.join(","))
}

fn millis(took: Duration) -> String {
    format!("{:.3}", took.as_secs_f64() * 1e3)
}

fn text_or_null(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), quoted)
}

fn number_or_null(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "null".to_owned(), |number| number.to_string())
}
