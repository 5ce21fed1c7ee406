//! Records that failed: told once for each kind of error, and counted.

use std::mem::{Discriminant, discriminant};

use kafka_producer::{Delivery, ErrorCode, ProduceError, ProduceErrorKind};

/// What makes errors alike. Messages do not: each may have its own times and numbers.
#[derive(Debug, PartialEq, Eq)]
struct Likeness(Discriminant<ProduceErrorKind>, Option<ErrorCode>, Delivery);

#[derive(Debug)]
struct Failure {
    likeness: Likeness,
    first: String,
    records: u64,
}

/// There are as many entries as kinds of errors, however many records fail.
#[derive(Debug, Default)]
pub(crate) struct Failures(Vec<Failure>);

impl Failures {
    /// Counts a record; the first of its kind gives a line to print.
    pub(crate) fn note(&mut self, error: &ProduceError) -> Option<String> {
        let likeness = Likeness(discriminant(error.kind()), error.code(), error.delivery());
        if let Some(known) = self.0.iter_mut().find(|known| known.likeness == likeness) {
            known.records += 1;
            return None;
        }
        let first = error.to_string();
        let line = format!("a record failed: {first}");
        self.0.push(Failure {
            likeness,
            first,
            records: 1,
        });
        Some(line)
    }

    /// One line for each kind of error that came more than once: the others are told.
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
