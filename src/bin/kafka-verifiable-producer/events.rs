//! The output: JSON objects in the format of Kafka's tool, one per line.

use std::time::{SystemTime, UNIX_EPOCH};

use kafka_producer::RecordMetadata;

use crate::json::quoted;
use crate::streams;

/// Key and value of a record, as they are printed.
#[derive(Debug, Clone)]
pub(crate) struct Message<'a> {
    pub(crate) key: Option<&'a str>,
    pub(crate) value: &'a str,
}

/// Builder of a line.
#[derive(Debug)]
pub(crate) struct EventLine(String);

impl EventLine {
    pub(crate) fn new(name: &str) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let timestamp = since.map_or(0, |since| since.as_millis());
        Self(format!("{{\"timestamp\":{timestamp}")).text("name", name)
    }

    pub(crate) fn sent(message: &Message<'_>, topic: &str, metadata: &RecordMetadata) -> Self {
        Self::new("producer_send_success")
            .message(message, topic)
            .number("partition", &metadata.partition())
            .number("offset", &metadata.offset())
    }

    pub(crate) fn failed(
        message: &Message<'_>,
        topic: &str,
        exception: &str,
        why: &dyn std::fmt::Display,
    ) -> Self {
        Self::new("producer_send_error")
            .message(message, topic)
            .text("exception", exception)
            .text("message", &why.to_string())
    }

    fn message(self, message: &Message<'_>, topic: &str) -> Self {
        let with_key = match message.key {
            Some(key) => self.text("key", key),
            None => self.raw("key", "null"),
        };
        with_key.text("value", message.value).text("topic", topic)
    }

    pub(crate) fn number(self, name: &str, number: &impl ToString) -> Self {
        self.raw(name, &number.to_string())
    }

    /// Adds a number with a decimal point, even if it is a whole number.
    pub(crate) fn decimal(self, name: &str, number: f64) -> Self {
        self.raw(name, &format!("{number:?}"))
    }

    fn text(self, name: &str, text: &str) -> Self {
        let quoted = quoted(text);
        self.raw(name, &quoted)
    }

    fn raw(mut self, name: &str, value: &str) -> Self {
        self.0.push(',');
        self.0.push_str(&quoted(name));
        self.0.push(':');
        self.0.push_str(value);
        self
    }

    pub(crate) fn print(self) {
        streams::print(&format!("{}}}\n", self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_json_object() {
        let message = Message {
            key: None,
            value: "7",
        };
        let line = EventLine::new("x")
            .message(&message, "t")
            .number("acked", &3)
            .decimal("rate", 2.0)
            .0;
        let (_, rest) = line.split_once(',').unwrap();
        assert_eq!(
            rest,
            r#""name":"x","key":null,"value":"7","topic":"t","acked":3,"rate":2.0"#
        );
    }
}
