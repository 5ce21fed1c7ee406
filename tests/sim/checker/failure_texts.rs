//! Rule: an error text names the topic concerned.

use super::facts::Facts;
use super::{Found, Rule};
use crate::events::{Event, EventKind, Outcome};

/// The failure of a record names its topic. So does a refusal that concerns one topic, such as an error of a serializer
/// or partitioner.
///
/// Excused: errors of the producer or of the call (closed, fatal, misuse), and topic names that are escaped or
/// shortened in the text.
pub(super) struct FailureTexts;

impl Rule for FailureTexts {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        let (record, kind, text) = match &event.kind {
            EventKind::FutureReported { record, outcome }
            | EventKind::CallbackRan { record, outcome } => match outcome {
                Outcome::Failed(failure) => (*record, &failure.kind, &failure.text),
                Outcome::Acknowledged { .. } => return,
            },
            EventKind::RecordRefused { record, kind, text } if is_of_a_topic(kind) => {
                (*record, kind, text)
            }
            _ => return,
        };
        let Some(topic) = facts.record(record).map(|record| &record.topic_name) else {
            return;
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let is_legal = topic.len() <= 249 && topic.chars().all(is_plain);
        let names_it = text.contains(&**topic) || !is_legal;
        if !names_it && kind != "Misuse" && kind != "Closed" {
            let text = format!("the failure of {record} does not name its topic {topic}: {text}");
            found.add("failure texts", event.at, text);
        }
    }
}

fn is_of_a_topic(kind: &str) -> bool {
    // `try_send` distinguishes errors of the call from errors of the record.
    let kind = kind.strip_prefix("Call(").unwrap_or(kind);
    [
        "Record(",
        "Serialization",
        "Partitioner",
        "PartitionOutOfRange",
        "Panicked",
    ]
    .iter()
    .any(|of_a_topic| kind.starts_with(of_a_topic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, failed};
    use crate::events::RecordId;

    #[test]
    fn an_error_text_without_its_topic_is_caught() {
        let mut story = Story::new(FailureTexts);
        story.send(0, "orders", 0);
        story.reported(0, failed("orders-0: no leader", false));
        story.reported(0, failed("the producer is closed", false).kind("Closed"));
        assert_eq!(story.found(), [""; 0]);
        story.ran(0, failed("no leader", false));
        assert_eq!(story.found().len(), 1);
        for (kind, expected) in [
            ("Serialization", 1),
            ("Call(Partitioner", 1),
            ("Record(ProduceError", 1),
            ("ProducerFailed", 0),
        ] {
            story.world(EventKind::RecordRefused {
                record: RecordId(0),
                kind: kind.into(),
                text: "it failed".into(),
            });
            assert_eq!(story.found().len(), expected, "{kind}");
        }
    }
}
