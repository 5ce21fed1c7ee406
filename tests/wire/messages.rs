//! Requests and responses, in every version that Kafka 3.0 speaks.

use std::collections::BTreeMap;

use kafka_producer::internals::wire::{self, Envelope, Value};
use serde_json::Value as Json;

use crate::input::{hex, unhex};
use crate::vectors::{self, number, text};

crate::tests![
    requests_have_javas_bytes,
    javas_requests_are_read,
    responses_have_javas_bytes,
    javas_responses_are_read,
    every_version_of_every_api_has_vectors,
    what_is_not_compared_yet_is_not_built_yet,
];

/// APIs that have vectors but no code that could be compared with them. Once one can be written or read
/// it must be taken off this list, and added to what `internals::wire` makes of a vector's fields.
const NOT_COMPARED: [&str; 7] = [
    "AddOffsetsToTxn",
    "AddPartitionsToTxn",
    "EndTxn",
    "FindCoordinator",
    "SaslAuthenticate",
    "SaslHandshake",
    "TxnOffsetCommit",
];

struct Message {
    vector: Json,
    body: Value,
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

    /// Whether it has nothing that this library never writes.
    fn is_written(&self) -> bool {
        text(&self.vector, "filled") != "unused"
    }
}

/// The vectors of the APIs that are compared.
fn compared(file: &str) -> impl Iterator<Item = Message> {
    let vectors = vectors::read(file).into_iter();
    let compared = vectors.filter(|vector| !NOT_COMPARED.contains(&text(vector, "api")));
    compared.map(|vector| Message {
        body: value(&vector["body"]),
        bytes: unhex(text(&vector, "hex")),
        vector,
    })
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(yes) => Value::Bool(*yes),
        Json::Number(number) => Value::Number(number.as_i64().expect("a whole number")),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(elements) => Value::List(elements.iter().map(value).collect()),
        Json::Object(fields) => {
            let fields = fields.iter();
            Value::Map(
                fields
                    .map(|(name, each)| (name.clone(), value(each)))
                    .collect(),
            )
        }
    }
}

/// Runs a check on each message; all that fail are told at once.
fn check_all(file: &str, mut check: impl FnMut(&Message) -> Result<(), String>) {
    let (mut count, mut failed) = (0, Vec::new());
    for message in compared(file) {
        count += 1;
        if let Err(why) = check(&message) {
            failed.push(format!("{}: {why}", message.name()));
        }
    }
    println!("{file}: {count} compared");
    assert!(count > 100, "only {count} are compared");
    assert!(failed.is_empty(), "\n{}\n", failed.join("\n"));
}

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
    check_all("requests.jsonl", |message| {
        if !message.is_written() {
            return Ok(());
        }
        let ours = wire::encode_request(&message.envelope(), &message.body)?;
        same_bytes(&ours, &message.bytes)
    });
}

fn javas_requests_are_read() {
    check_all("requests.jsonl", |message| {
        wire::check_request(&message.envelope(), &message.body, &message.bytes)
    });
}

fn responses_have_javas_bytes() {
    check_all("responses.jsonl", |message| {
        if !message.is_written() {
            return Ok(());
        }
        let ours = wire::encode_response(&message.envelope(), &message.body)?;
        same_bytes(&ours, &message.bytes)
    });
}

fn javas_responses_are_read() {
    check_all("responses.jsonl", |message| {
        wire::check_response(&message.envelope(), &message.body, &message.bytes)
    });
}

/// At least three vectors each.
fn every_version_of_every_api_has_vectors() {
    for file in ["requests.jsonl", "responses.jsonl"] {
        let mut counts = BTreeMap::new();
        for vector in vectors::read(file) {
            let key = (text(&vector, "api").to_owned(), number(&vector, "version"));
            *counts.entry(key).or_insert(0) += 1;
        }
        for (api, newest) in wire::apis() {
            for version in 0..=newest {
                let count = counts.remove(&(api.to_owned(), version)).unwrap_or(0);
                assert!(count >= 3, "{file} has {count} of {api} v{version}");
            }
        }
        assert!(
            counts.is_empty(),
            "{file} has {counts:?}, which are not known here"
        );
    }
}

fn what_is_not_compared_yet_is_not_built_yet() {
    let built = wire::built_apis();
    for (api, _) in wire::apis() {
        let compared = !NOT_COMPARED.contains(&api);
        if !compared {
            println!("not compared, since it is not built yet: {api}");
        }
        assert_eq!(
            built.contains(&api),
            compared,
            "{api}: what is built, and nothing else, is compared; see NOT_COMPARED"
        );
    }
}
