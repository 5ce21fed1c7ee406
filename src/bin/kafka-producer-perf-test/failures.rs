//! Failed records: counted, and printed once for each kind of error.

use std::mem::{Discriminant, discriminant};

use kafka_producer::{Delivery, ErrorCode, ProduceError, ProduceErrorKind};

/// The key by which errors are grouped. It excludes messages, which contain times and counts.
#[derive(Debug, PartialEq, Eq)]
struct Likeness(Discriminant<ProduceErrorKind>, Option<ErrorCode>, Delivery);

#[derive(Debug)]
struct FailureClass {
    likeness: Likeness,
    first: String,
    records: u64,
}

/// One entry for each kind of error, so the list does not grow with the number of records.
#[derive(Debug, Default)]
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
}
