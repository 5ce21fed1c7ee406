//! Requests and responses, in every version that Kafka 3.0 supports.

use std::collections::BTreeMap;

use kafka_producer::internals::wire::{self, Envelope, JsonValue};
use serde_json::Value as Json;

use crate::input::{hex, unhex};
use crate::vectors::{self, number, text};

crate::tests![
    requests_have_javas_bytes,
    javas_requests_are_read,
    responses_have_javas_bytes,
    javas_responses_are_read,
];

struct Message {
    vector: Json,
    body: JsonValue,
    bytes: Vec<u8>,
}

impl Message {
    fn envelope(&self) -> Envelope<'_> {
        Envelope {
            api: text(&self.vector, "api"),
            version: number(&self.vector, "version"),
            correlation_id: number(&self.vector, "correlationId"),
            client_id: self.vector["clientId"].as_str(),
        }
    }

    fn name(&self) -> String {
        let Envelope { api, version, .. } = self.envelope();
        format!("{api} v{version}, filled: {}", text(&self.vector, "filled"))
    }

    /// Whether this library writes all fields of the message.
    fn is_written(&self) -> bool {
        text(&self.vector, "filled") != "unused"
    }
}

fn messages(file: &str) -> impl Iterator<Item = Message> {
    let vectors = vectors::read(file).into_iter();
    vectors.map(|vector| Message {
        body: value(&vector["body"]),
        bytes: unhex(text(&vector, "hex")),
        vector,
    })
}

fn value(json: &Json) -> JsonValue {
    match json {
        Json::Null => JsonValue::Null,
        Json::Bool(yes) => JsonValue::Bool(*yes),
        Json::Number(number) => JsonValue::Number(number.as_i64().expect("a whole number")),
        Json::String(text) => JsonValue::Text(text.clone()),
        Json::Array(elements) => JsonValue::List(elements.iter().map(value).collect()),
        Json::Object(fields) => {
            let fields = fields.iter();
            JsonValue::Map(
                fields
                    .map(|(name, each)| (name.clone(), value(each)))
                    .collect(),
            )
        }
    }
}

/// Runs a check on each message of a file that satisfies `meant`, and reports all failures together. There must be
/// several messages of each version of each API.
fn check_all(
    file: &str,
    meant: impl Fn(&Message) -> bool,
    check: impl Fn(&Message) -> Result<(), String>,
) {
    let (mut counts, mut failed) = (BTreeMap::new(), Vec::new());
    for message in messages(file).filter(meant) {
        if let Err(why) = check(&message) {
            failed.push(format!("{}: {why}", message.name()));
        }
        let Envelope { api, version, .. } = message.envelope();
        *counts.entry((api.to_owned(), version)).or_insert(0) += 1;
    }
    println!("{file}: {} compared", counts.values().sum::<i32>());
    assert!(failed.is_empty(), "\n{}\n", failed.join("\n"));
    for (api, newest) in wire::apis() {
        for version in 0..=newest {
            let count = counts.remove(&(api.to_owned(), version)).unwrap_or(0);
            assert!(count >= AT_LEAST, "{file} has {count} of {api} v{version}");
        }
    }
    assert!(
        counts.is_empty(),
        "{file} has {counts:?}, which are not known here"
    );
}

fn all(_: &Message) -> bool {
    true
}

/// Minimum number of messages of each version, for each check.
const AT_LEAST: i32 = 3;

fn same_bytes(ours: &[u8], java: &[u8]) -> Result<(), String> {
    if ours == java {
        return Ok(());
    }
    let at = ours
        .iter()
        .zip(java)
        .take_while(|(ours, java)| ours == java);
    Err(format!(
        "differs from byte {}\nours {}\njava {}",
        at.count(),
        hex(ours),
        hex(java)
    ))
}

fn requests_have_javas_bytes() {
    check_all("requests.jsonl", Message::is_written, |message| {
        let ours = wire::encode_request(&message.envelope(), &message.body)?;
        same_bytes(&ours, &message.bytes)
    });
}

fn javas_requests_are_read() {
    check_all("requests.jsonl", all, |message| {
        wire::check_request(&message.envelope(), &message.body, &message.bytes)
    });
}

fn responses_have_javas_bytes() {
    check_all("responses.jsonl", Message::is_written, |message| {
        let ours = wire::encode_response(&message.envelope(), &message.body)?;
        same_bytes(&ours, &message.bytes)
    });
}

fn javas_responses_are_read() {
    check_all("responses.jsonl", all, |message| {
        wire::check_response(&message.envelope(), &message.body, &message.bytes)
    });
}
