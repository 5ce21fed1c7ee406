//! Failed records: counted, and printed once for each kind of error.

use std::mem::{Discriminant, discriminant};

use kafka_producer::{Delivery, ErrorCode, ProduceError, ProduceErrorKind};

/// The key by which errors are grouped. It excludes messages, which contain times and counts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Likeness(Discriminant<ProduceErrorKind>, Option<ErrorCode>, Delivery);

/// The failed records with one kind of error.
#[derive(Debug, Clone)]
pub(crate) struct FailureClass {
    likeness: Likeness,
    /// The name of the error's kind, as in [`ProduceErrorKind`].
    pub(crate) kind: String,
    /// The message of the first record's error.
    pub(crate) first: String,
    pub(crate) records: u64,
}

impl FailureClass {
    /// Whether the records may be in the log although they failed.
    pub(crate) fn may_be_written(&self) -> bool {
        self.likeness.2 == Delivery::MaybeWritten
    }
}

/// One entry for each kind of error, so the list does not grow with the number of records.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failures(Vec<FailureClass>);

impl Failures {
    /// Counts a record. Returns a line to print for the first one of its kind.
    pub(crate) fn note(&mut self, error: &ProduceError) -> Option<String> {
        let likeness = Likeness(discriminant(error.kind()), error.code(), error.delivery());
        if let Some(known) = self.0.iter_mut().find(|known| known.likeness == likeness) {
            known.records += 1;
            return None;
        }
        let first = error.to_string();
        let line = format!("a record failed: {first}");
        self.0.push(FailureClass {
            likeness,
            kind: kind_name(error.kind()),
            first,
            records: 1,
        });
        Some(line)
    }

    /// One line for each kind of error that more than one record had. A single failure was printed when it happened.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let repeated = self.0.iter().filter(|failure| failure.records > 1);
        repeated.map(|failure| {
            format!(
                "{} records failed like this one: {}",
                failure.records, failure.first
            )
        })
    }

    pub(crate) fn classes(&self) -> &[FailureClass] {
        &self.0
    }

    /// The number of failed records.
    pub(crate) fn records(&self) -> u64 {
        self.0.iter().map(|failure| failure.records).sum()
    }
}

/// The name of the kind without the fields of this record's error, such as its size.
fn kind_name(kind: &ProduceErrorKind) -> String {
    let name = format!("{kind:?}");
    let fields = name.find(" {").unwrap_or(name.len());
    name[..fields].to_owned()
}
