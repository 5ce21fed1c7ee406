//! Grouping of trace events: similar events are collected into one line.

use std::time::Duration;

use super::words;
use crate::events::{Outcome, RecordId, Who};

/// Similar events that are shown in one line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    kind: Kind,
    records: Vec<RecordId>,
    /// First and last offset.
    offsets: Option<(i64, i64)>,
    count: u64,
    bytes: u64,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Sent(String),
    Refused(String),
    Acknowledged { how: &'static str, place: String },
    Failed { how: &'static str, why: String },
    CallbackDropped,
    Call(&'static str),
    UserCode(String),
    Request { what: String, fate: String },
    Log { level: log::Level, text: String },
}

impl Group {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            records: Vec::new(),
            offsets: None,
            count: 0,
            bytes: 0,
        }
    }

    pub(super) fn sent(place: String) -> Self {
        Self::new(Kind::Sent(place))
    }

    pub(super) fn refused(place: &str, kind: &str, text: &str) -> Self {
        let word = kind.split(|c: char| !c.is_alphanumeric()).next();
        Self::new(Kind::Refused(format!(
            "{place}: {}: {text}",
            word.unwrap_or(kind)
        )))
    }

    pub(super) fn outcome(how: &'static str, outcome: &Outcome) -> (Self, Option<i64>) {
        match outcome {
            Outcome::Acknowledged {
                topic,
                partition,
                offset,
                ..
            } => {
                let place = format!("{}-{partition}", words::topic(topic));
                (Self::new(Kind::Acknowledged { how, place }), Some(*offset))
            }
            Outcome::Failed(failure) => {
                let written = if failure.may_be_written {
                    "maybe written"
                } else {
                    "not written"
                };
                let why = format!("{} ({written}): {}", failure.kind, failure.text);
                (Self::new(Kind::Failed { how, why }), None)
            }
        }
    }

    pub(super) fn callback_dropped() -> Self {
        Self::new(Kind::CallbackDropped)
    }

    pub(super) fn call(name: &'static str) -> Self {
        Self::new(Kind::Call(name))
    }

    pub(super) fn user_code(what: &str, act: &str) -> Self {
        Self::new(Kind::UserCode(format!("{what}: {act}")))
    }

    pub(super) fn request(api: &str, version: i16, fate: &str) -> Self {
        Self::new(Kind::Request {
            what: format!("{api} v{version}"),
            fate: fate.to_owned(),
        })
    }

    pub(super) fn log(level: log::Level, text: &str) -> Self {
        Self::new(Kind::Log {
            level,
            text: text.to_owned(),
        })
    }

    pub(super) fn is_bad(&self) -> bool {
        match &self.kind {
            Kind::Refused(_) | Kind::Failed { .. } | Kind::CallbackDropped => true,
            Kind::Log { level, .. } => *level == log::Level::Error,
            _ => false,
        }
    }

    pub(super) fn is_faint(&self) -> bool {
        match &self.kind {
            Kind::Acknowledged { .. } | Kind::Call(_) => true,
            Kind::Log { level, .. } => *level > log::Level::Warn,
            _ => false,
        }
    }

    pub(super) fn text(&self) -> String {
        let records = words::records(&self.records);
        let times = match self.count {
            0 | 1 => String::new(),
            count => format!(", {count}×"),
        };
        match &self.kind {
            Kind::Sent(place) => format!("send {records} to {place}"),
            Kind::Refused(why) => format!("✗ {records} is refused: to {why}"),
            Kind::Acknowledged { how, place } => match self.offsets {
                Some((-1, _)) | None => format!("{how}: {records} in {place}"),
                Some((first, last)) if first == last => {
                    format!("{how}: {records} in {place} at {first}")
                }
                Some((first, last)) => format!("{how}: {records} in {place} at {first}..{last}"),
            },
            Kind::Failed { how, why } => format!("✗ {how}: {records}: {why}"),
            Kind::CallbackDropped => format!("✗ callbacks of {records} are dropped"),
            Kind::Call(name) => format!("{name} {records}"),
            Kind::UserCode(what) => format!("{what}{times}"),
            Kind::Request { what, fate } => {
                format!("{what}, {} bytes{times}: {fate}", words::number(self.bytes))
            }
            Kind::Log { level, text } => format!("{level}{times}: {text}"),
        }
    }
}

/// Open groups, in the order of their first events.
#[derive(Default)]
pub(super) struct Groups(Vec<(Duration, Who, Group)>);

impl Groups {
    pub(super) fn record(
        &mut self,
        at: Duration,
        who: Who,
        group: Group,
        record: RecordId,
        offset: Option<i64>,
    ) {
        let group = self.find(at, who, group);
        // A future may report the same outcome more than once.
        if group.records.last() != Some(&record) {
            group.records.push(record);
        }
        if let Some(offset) = offset {
            let (first, last) = group.offsets.unwrap_or((offset, offset));
            group.offsets = Some((first.min(offset), last.max(offset)));
        }
    }

    pub(super) fn count(&mut self, at: Duration, who: Who, group: Group, bytes: u64) {
        let group = self.find(at, who, group);
        group.count += 1;
        group.bytes += bytes;
    }

    fn find(&mut self, at: Duration, who: Who, group: Group) -> &mut Group {
        let found = self
            .0
            .iter()
            .position(|(_, by, other)| *by == who && other.kind == group.kind);
        let place = found.unwrap_or_else(|| {
            self.0.push((at, who, group));
            self.0.len() - 1
        });
        &mut self.0[place].2
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Time of the oldest group's first event.
    pub(super) fn since(&self) -> Option<Duration> {
        self.0.first().map(|(at, ..)| *at)
    }

    pub(super) fn take(&mut self) -> Vec<(Duration, Who, Group)> {
        std::mem::take(&mut self.0)
    }
}
