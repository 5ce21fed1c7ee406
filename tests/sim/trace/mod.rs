//! Trace: the event log of a run for a person, with one line for each event or group of similar events.
//!
//! ```text
//!       ms  who       what
//!   12.000  app 0.1   send #12..#57 to orders
//!   13.204  broker 2  Produce v9, 4,312 bytes: NONE
//!                     + #12..#57 in orders-3 at 100..145, sequence 0, epoch 0, producer 1000
//!   14.000  world     ▼ node 1 hangs, for 300 ms
//!   14.100  app 0.0   flush within 500 ms waits until 514.100 at the latest …
//!  514.100  app 0.0     └ flush within 500 ms failed after 500.000 ms: Timeout
//! ```
//!
//! A call that does not wait has one line. A call that waits has one line where the wait begins and one where it ends.

mod groups;
mod hash;
mod header;
#[cfg(test)]
mod tests;
pub(crate) mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_producer::internals::simulation::Coordinated;

use crate::events::{Call, CallId, Event, EventKind, RecordId, Returned, Who};
use crate::scenario::Scenario;
use groups::{Group, Groups};
pub(crate) use hash::TraceHash;
pub(crate) use header::{header, records};

/// Limit on the number of groups that are held back because more events may join them.
const GROUPS: usize = 6;

/// Limit on the time for which groups are held back.
const GROUPS_SPAN: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Groups the records of a burst, and leaves out internal events.
    Condensed,
    /// One line for every event.
    All,
}

pub(crate) struct Trace<'a> {
    scenario: &'a Scenario,
    verbosity: Verbosity,
    colour: bool,
    /// Calls in progress.
    calls: BTreeMap<CallId, OpenCall>,
    groups: Groups,
    /// For each offered record, its destination as printed: topic, partition, and whether user code sends it.
    offered: BTreeMap<RecordId, String>,
    /// Records whose `send` waited: the line for the end of the call has reported the result.
    waited: BTreeSet<RecordId>,
    /// The record whose outcome was reported last: the call that reads it need not repeat the outcome.
    last_told: Option<RecordId>,
    lines: Vec<String>,
    /// Time and source of the last line.
    last: (String, String),
}

struct OpenCall {
    operation: Call,
    at: Duration,
    /// Whether a line for the beginning of its wait was printed.
    shown: bool,
}

/// Style of a line on a terminal.
#[derive(Clone, Copy)]
enum Look {
    Plain,
    Faint,
    Bad,
    Fault,
}

impl<'a> Trace<'a> {
    pub(crate) fn new(scenario: &'a Scenario, verbosity: Verbosity, colour: bool) -> Self {
        Self {
            scenario,
            verbosity,
            colour,
            calls: BTreeMap::new(),
            groups: Groups::default(),
            offered: BTreeMap::new(),
            waited: BTreeSet::new(),
            last_told: None,
            lines: Vec::new(),
            last: Default::default(),
        }
    }

    pub(crate) fn see(&mut self, event: &Event) {
        if self.verbosity == Verbosity::All {
            self.tell_all(event);
        } else {
            self.print_event(event);
        }
    }

    /// Takes the lines that are complete. Groups that may still grow are held back.
    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    pub(crate) fn finish(mut self) -> Vec<String> {
        self.flush_groups();
        let waiting: Vec<_> = self
            .calls
            .values()
            .filter(|call| call.shown)
            .map(|call| {
                format!(
                    "{} since {}",
                    words::call(&call.operation),
                    words::ms(call.at)
                )
            })
            .collect();
        for call in waiting {
            self.lines.push(format!("{:>22}{call}: has not ended", ""));
        }
        self.lines
    }

    fn tell_all(&mut self, event: &Event) {
        let text = match &event.kind {
            EventKind::CallBegins { call, operation } => {
                format!("{call}: {}", words::call(operation))
            }
            EventKind::FaultBegins { .. } | EventKind::FaultEnds { .. } | EventKind::Healed => {
                self.print_event(event);
                return;
            }
            other => format!("{other:?}"),
        };
        self.line(event.at, event.who, Look::Plain, &text);
    }

    fn print_event(&mut self, event: &Event) {
        let (at, who) = (event.at, event.who);
        match &event.kind {
            EventKind::CallBegins { call, operation } => {
                let call_of = OpenCall {
                    operation: operation.clone(),
                    at,
                    shown: false,
                };
                self.calls.insert(*call, call_of);
            }
            EventKind::CallWaits { call, until } => self.call_waits(event, *call, *until),
            EventKind::CallEnds { call, returned } => self.call_ends(event, *call, returned),

            EventKind::RecordOffered {
                record,
                topic,
                partition,
                inside,
                ..
            } => {
                let mut place = words::topic(topic);
                if let Some(partition) = partition {
                    place += &format!("-{partition}");
                }
                if *inside {
                    place += ", within user code";
                }
                self.offered.insert(*record, place);
            }
            EventKind::RecordAccepted { record } | EventKind::RecordRefused { record, .. }
                if self.waited.contains(record) => {}
            EventKind::RecordAccepted { record } => {
                let place = self.offered.get(record).cloned().unwrap_or_default();
                self.group(at, who, Group::sent(place), *record, None);
            }
            EventKind::RecordRefused { record, kind, text } => {
                let place = self.offered.get(record).cloned().unwrap_or_default();
                self.group(at, who, Group::refused(&place, kind, text), *record, None);
            }
            EventKind::FutureReported { record, outcome } => {
                self.last_told = Some(*record);
                let (group, offset) = Group::outcome("future", outcome);
                self.group(at, who, group, *record, offset);
            }
            EventKind::CallbackRan { record, outcome } => {
                let (group, offset) = Group::outcome("callback", outcome);
                self.group(at, who, group, *record, offset);
            }
            EventKind::CallbackDropped { record } => {
                self.group(at, who, Group::callback_dropped(), *record, None);
            }
            EventKind::UserCode { piece, act } => {
                self.count(at, who, Group::user_code(piece, act), 0);
            }
            EventKind::Request {
                api,
                version,
                bytes,
                fate,
            } => self.count(at, who, Group::request(api, *version, fate), *bytes as u64),
            EventKind::LogLine { level, text } => self.count(at, who, Group::log(*level, text), 0),
            EventKind::SenderStep { .. } => {}
            other => {
                let (look, text) = self.single(other);
                self.line(at, who, look, &text);
            }
        }
    }

    /// Line of an event that is never grouped.
    fn single(&self, kind: &EventKind) -> (Look, String) {
        match kind {
            EventKind::Appended {
                topic,
                incarnation,
                partition,
                base_offset,
                records,
                producer_id,
                epoch,
                sequence,
                transactional,
                ..
            } => {
                let last = base_offset + records.len() as i64 - 1;
                let mut text = format!(
                    "+ {} in {}-{partition} at {base_offset}..{last}",
                    words::records(records),
                    words::topic(topic)
                );
                if *producer_id >= 0 {
                    text +=
                        &format!(", sequence {sequence}, epoch {epoch}, producer {producer_id}");
                }
                if *transactional {
                    text += ", in a transaction";
                }
                if *incarnation > 1 {
                    text += &format!(" (topic no. {incarnation})");
                }
                (Look::Plain, text)
            }
            EventKind::Marker {
                topic,
                partition,
                offset,
                producer_id,
                epoch,
                committed,
                ..
            } => {
                let how = if *committed { "committed" } else { "aborted" };
                let text = format!(
                    "+ marker in {}-{partition} at {offset}: {how}, epoch {epoch}, producer {producer_id}",
                    words::topic(topic)
                );
                (Look::Plain, text)
            }
            EventKind::OffsetsCommitted {
                group,
                producer_id,
                offsets,
            } => {
                let offsets: Vec<_> = offsets
                    .iter()
                    .map(|(topic, partition, offset)| {
                        format!("{}-{partition}@{offset}", words::topic(topic))
                    })
                    .collect();
                let text = format!(
                    "+ offsets of group {group}: {}, producer {producer_id}",
                    offsets.join(", ")
                );
                (Look::Plain, text)
            }
            EventKind::Coordinated {
                transactional_id,
                producer_id,
                epoch,
                change,
            } => {
                let change = match change {
                    Coordinated::Initialized => "a producer is initialized",
                    Coordinated::Opened => "a transaction is open",
                    Coordinated::Committed => "the transaction is committed",
                    Coordinated::Aborted => "the transaction is aborted",
                    Coordinated::TimedOut => "the transaction is aborted, as it timed out",
                    Coordinated::Fenced => "the transaction is aborted for another producer",
                };
                let text =
                    format!("{transactional_id}: {change}, epoch {epoch}, producer {producer_id}");
                (Look::Plain, text)
            }
            EventKind::Crashed { producer, stage } => (
                Look::Fault,
                format!("✗ application {producer} crashes ({stage:?})"),
            ),
            EventKind::Duplicate {
                topic,
                partition,
                base_offset,
                records,
            } => (
                Look::Plain,
                format!(
                    "= {} in {}-{partition} already, at {base_offset}",
                    words::records(records),
                    words::topic(topic)
                ),
            ),
            EventKind::Truncated {
                topic,
                partition,
                from_offset,
                ..
            } => (
                Look::Fault,
                format!(
                    "- {}-{partition} from {from_offset} on",
                    words::topic(topic)
                ),
            ),
            EventKind::TopicGone { topic, .. } => {
                (Look::Fault, format!("- {} is gone", words::topic(topic)))
            }
            EventKind::Handshake {
                is_newest,
                is_resumed,
                has_certificate,
                ..
            } => {
                let version = if *is_newest { "1.3" } else { "1.2" };
                let how = if *is_resumed { ", resumed" } else { "" };
                let who = if *has_certificate {
                    ", with a certificate"
                } else {
                    ""
                };
                (Look::Plain, format!("TLS {version}{how}{who}"))
            }
            EventKind::FaultBegins { fault } => (Look::Fault, self.fault(*fault, true)),
            EventKind::FaultEnds { fault } => (Look::Fault, self.fault(*fault, false)),
            EventKind::Healed => (
                Look::Fault,
                format!("▲ healing: all faults end {}", "─".repeat(40)),
            ),
            EventKind::SenderEnded => (Look::Faint, "has ended".to_owned()),
            EventKind::Stuck { why } => (Look::Bad, format!("stuck: {why}")),
            other => (Look::Plain, format!("{other:?}")),
        }
    }

    fn fault(&self, number: usize, begins: bool) -> String {
        let Some(timed) = self.scenario.faults.get(number) else {
            return format!("fault {number}, which the scenario does not have");
        };
        let what = words::fault(&timed.fault);
        match (words::is_moment(&timed.fault), begins) {
            (true, true) => format!("◆ {what}"),
            (false, true) => format!("▼ {what}{}", words::for_how_long(timed)),
            (_, false) => format!("▲ over: {what}"),
        }
    }

    fn call_waits(&mut self, event: &Event, call: CallId, until: Option<Duration>) {
        let Some(open) = self.calls.get_mut(&call) else {
            return;
        };
        if std::mem::replace(&mut open.shown, true) {
            return;
        }
        let mut text = words::call(&open.operation);
        if let Call::Send(record) = &open.operation {
            text += &format!(" to {}", self.offered.get(record).map_or("", |place| place));
        }
        text += &match until {
            Some(until) => format!(" waits until {} at the latest …", words::ms(until)),
            None => " waits …".to_owned(),
        };
        self.line(event.at, event.who, Look::Plain, &text);
    }

    fn call_ends(&mut self, event: &Event, call: CallId, returned: &Returned) {
        let Some(open) = self.calls.remove(&call) else {
            return;
        };
        if !open.shown {
            return self.quick_call(event, &open.operation, returned);
        }
        if let Call::Send(record) = &open.operation {
            self.waited.insert(*record);
        }
        let took = words::ms(event.at.saturating_sub(open.at));
        let call = words::call(&open.operation);
        match returned {
            Returned::Ok => {
                self.line(
                    event.at,
                    event.who,
                    Look::Plain,
                    &format!("  └ {call} took {took} ms"),
                );
            }
            Returned::Error { text, .. } => {
                let text = format!("  └ {call} failed after {took} ms: {text}");
                self.line(event.at, event.who, Look::Bad, &text);
            }
        }
    }

    /// Prints a call that did not wait. The outcome of a sent record has events of its own.
    fn quick_call(&mut self, event: &Event, call: &Call, returned: &Returned) {
        let (at, who) = (event.at, event.who);
        match (call, returned) {
            (Call::Send(_) | Call::TrySend(_), _) => {}
            (Call::Get { record, .. } | Call::Await { record }, _)
                if self.last_told == Some(*record) => {}
            (Call::Get { record, .. } | Call::Await { record }, Returned::Ok) => {
                let name = if matches!(call, Call::Get { .. }) {
                    "get"
                } else {
                    "await"
                };
                self.group(at, who, Group::call(name), *record, None);
            }
            (Call::DropFuture { record }, Returned::Ok) => {
                self.group(at, who, Group::call("drop the future of"), *record, None);
            }
            (call, Returned::Ok) => self.line(at, who, Look::Plain, &words::call(call)),
            (call, Returned::Error { text, .. }) => {
                let text = format!("{} failed at once: {text}", words::call(call));
                self.line(at, who, Look::Bad, &text);
            }
        }
    }

    fn group(
        &mut self,
        at: Duration,
        who: Who,
        group: Group,
        record: RecordId,
        offset: Option<i64>,
    ) {
        self.flush_old_groups(at);
        self.groups.record(at, who, group, record, offset);
    }

    fn count(&mut self, at: Duration, who: Who, group: Group, bytes: u64) {
        self.flush_old_groups(at);
        self.groups.count(at, who, group, bytes);
    }

    /// Flushes old groups, so that lines stay near their time.
    fn flush_old_groups(&mut self, now: Duration) {
        let is_old = |since: Duration| now.saturating_sub(since) > GROUPS_SPAN;
        if self.groups.len() > GROUPS || self.groups.since().is_some_and(is_old) {
            self.flush_groups();
        }
    }

    fn flush_groups(&mut self) {
        for (at, who, group) in self.groups.take() {
            let look = if group.is_bad() {
                Look::Bad
            } else if group.is_faint() {
                Look::Faint
            } else {
                Look::Plain
            };
            self.push(at, who, look, &group.text());
        }
    }

    fn line(&mut self, at: Duration, who: Who, look: Look, text: &str) {
        self.flush_groups();
        self.push(at, who, look, text);
    }

    /// Appends a line. Time and source are left out if they are the same as in the line before.
    fn push(&mut self, at: Duration, who: Who, look: Look, text: &str) {
        let now = (words::ms(at), words::who(who));
        let text = text.replace('\n', " ⏎ ");
        let (begin, end) = match look {
            _ if !self.colour => ("", ""),
            Look::Plain => ("", ""),
            Look::Faint => ("\x1b[2m", "\x1b[0m"),
            Look::Bad => ("\x1b[31m", "\x1b[0m"),
            Look::Fault => ("\x1b[33m", "\x1b[0m"),
        };
        let (time, name) = if now == self.last {
            ("", "")
        } else if now.0 == self.last.0 {
            ("", &*now.1)
        } else {
            (&*now.0, &*now.1)
        };
        let line = format!("{time:>10}  {name:<10}{begin}{text}{end}");
        self.lines.push(line.trim_end().to_owned());
        self.last = now;
    }
}
