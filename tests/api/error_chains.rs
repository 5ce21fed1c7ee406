//! Error chains: a report that prints an error and its sources prints each text once.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use kafka_producer::testing::TestClusterError;
use kafka_producer::{
    ConfigError, ConstructError, ConstructStep, PluginKind, ProducerConfig, RecordError,
    RecordPart, SendError, TransactionError, TrySendReason,
};

use crate::support::{Text, config_for};

/// A user error with a source.
#[derive(Debug)]
struct Outer(Inner);

#[derive(Debug)]
struct Inner;

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the schema registry did not answer")
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no route to host 10.1.2.3")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl Error for Inner {}

fn config_error() -> ConfigError {
    ProducerConfig::from_map([("acks", "2")]).unwrap_err()
}

fn users() -> Arc<dyn Error + Send + Sync> {
    Arc::new(Outer(Inner))
}

/// An I/O error that wraps a user error.
fn io_error() -> io::Error {
    io::Error::other(Outer(Inner))
}

/// The error of a transactional call of a producer without a transactional id.
fn transaction_error() -> TransactionError {
    let config = config_for("127.0.0.1:9").build().unwrap();
    let producer = Text::new(config).unwrap();
    producer.begin_transaction().unwrap_err()
}

/// Errors of the library that wrap another error: the name of the type, the error, and whether it has a `source`.
fn specimens() -> Vec<(&'static str, Box<dyn Error>, bool)> {
    let topic: Arc<str> = "t".into();
    let construct = || ConstructError::Failed {
        step: ConstructStep::Plugin(PluginKind::Partitioner),
        source: users(),
    };
    let serialization = || SendError::Serialization {
        part: RecordPart::Key,
        topic: Arc::clone(&topic),
        source: users(),
    };
    let transaction = transaction_error();
    vec![
        (
            "ConstructError",
            ConstructError::from(config_error()).into(),
            false,
        ),
        ("ConstructError", construct().into(), true),
        ("SendError", serialization().into(), true),
        (
            "SendError",
            SendError::Partitioner {
                topic: Arc::clone(&topic),
                source: users(),
            }
            .into(),
            true,
        ),
        (
            "SendError",
            SendError::from(RecordError::NegativePartition(-1)).into(),
            false,
        ),
        (
            "SendError",
            SendError::Transaction(transaction.clone()).into(),
            false,
        ),
        (
            "TrySendReason",
            TrySendReason::Call(serialization()).into(),
            true,
        ),
        (
            "Error",
            kafka_producer::Error::from(TrySendReason::Call(serialization())).into(),
            true,
        ),
        (
            "Error",
            kafka_producer::Error::from(TrySendReason::TopicNotKnown).into(),
            false,
        ),
        (
            "Error",
            kafka_producer::Error::from(config_error()).into(),
            false,
        ),
        (
            "Error",
            kafka_producer::Error::from(construct()).into(),
            true,
        ),
        (
            "Error",
            kafka_producer::Error::from(ConstructError::from(config_error())).into(),
            false,
        ),
        (
            "Error",
            kafka_producer::Error::from(serialization()).into(),
            true,
        ),
        (
            "Error",
            kafka_producer::Error::from(transaction).into(),
            false,
        ),
        (
            "TestClusterError",
            TestClusterError::from(io_error()).into(),
            true,
        ),
    ]
}

fn chain(error: &dyn Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(error) = next {
        texts.push(error.to_string());
        next = error.source();
    }
    texts
}

#[test]
fn no_error_repeats_the_text_above_it_in_the_chain() {
    for (name, error, goes_on) in specimens() {
        let texts = chain(&*error);
        for (at, text) in texts.iter().enumerate() {
            let above = &texts[..at];
            assert!(
                !above.iter().any(|said| said.contains(text.as_str())),
                "{name} says {text:?} twice: {texts:?}"
            );
        }
        assert_eq!(
            texts.len(),
            if goes_on { 2 } else { 1 },
            "{name}: {texts:?}"
        );
    }
}

/// Reports that do not print the chain need the text of the cause in the text of the error.
#[test]
fn the_text_of_an_error_contains_its_cause() {
    for (name, error, goes_on) in specimens() {
        if goes_on {
            assert!(
                error.to_string().contains(&Outer(Inner).to_string()),
                "{name}: {error}"
            );
        }
    }
}

/// Every type of the library with a `source` is among the specimens, except for `SetError`, which is not public.
#[test]
fn every_type_with_a_source_is_tested() {
    let mut names = Vec::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut names,
    );
    names.sort();
    names.dedup();
    let mut expected: Vec<_> = specimens()
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    expected.push("SetError".to_owned());
    expected.sort();
    expected.dedup();
    assert_eq!(names, expected);
}

/// The names of the types whose `impl Error` has a `source`.
fn collect(folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for (at, _) in text.match_indices("fn source(&self) -> Option<&(dyn ") {
                let (before, _) = text.split_at(at);
                let (_, name) = before.rsplit_once("Error for ").unwrap();
                let end = name.find(|c: char| !c.is_alphanumeric()).unwrap();
                names.push(name[..end].to_owned());
            }
        }
    }
}
