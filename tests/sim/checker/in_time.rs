//! Rules: records complete and calls return within the documented time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::facts::{CallFacts, Facts, Moment, RecordFacts};
use super::{Found, Glance, Rule};
use crate::events::{Call, CallId, Event, EventKind, ProducerIndex, RecordId, Returned, Who};

/// Tolerance, in simulated time.
pub(crate) const SLACK: Duration = Duration::from_millis(100);

/// Documented time-out of dropping a producer, and of waiting for a sender that was told to end.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);

/// A record completes at most `delivery.timeout.ms` plus [`SLACK`] after it was accepted. The time of user code does
/// not count, nor does the time for packing a batch, which cannot be interrupted.
///
/// For records with a callback the completion time is exact. For other records whose futures are polled it is exact up
/// to the next snapshot. If the futures are not polled, the producer's count of completed records must not be below the
/// number of records that are due.
#[derive(Default)]
pub(super) struct DeliveryTime {
    /// Indexed by producer.
    producers: Vec<Deliveries>,
}

#[derive(Default)]
struct Deliveries {
    /// Accepted records that have not been seen complete, in order of acceptance.
    open: VecDeque<RecordId>,
    /// Records that are due or were seen complete: the producer must have counted each of them.
    due: u64,
}

const DELIVERY: &str = "delivery time";

impl Rule for DeliveryTime {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        match event.kind {
            EventKind::Crashed { producer, .. } => {
                if let Some(producer) = self.producers.get_mut(producer) {
                    producer.open.clear();
                }
            }
            EventKind::RecordAccepted { record } => {
                let Some(producer) = facts.record(record).map(|record| record.producer) else {
                    return;
                };
                if self.producers.len() <= producer {
                    self.producers
                        .resize_with(producer + 1, Deliveries::default);
                }
                self.producers[producer].open.push_back(record);
            }
            EventKind::CallbackRan { record, .. } => {
                let late = facts.record(record).filter(|record| is_late(facts, record));
                // A record whose completion was reported earlier was judged at that time.
                if let Some(record) = late.filter(|record| record.done == Some(event.at)) {
                    found.add(DELIVERY, event.at, describe(facts, record));
                }
            }
            _ => {}
        }
    }

    fn step(&mut self, facts: &Facts, glance: &Glance, found: &mut Found) {
        for (index, producer) in self.producers.iter_mut().enumerate() {
            while let Some(record) = producer.open.front().and_then(|it| facts.record(*it)) {
                if record.done.is_none() && !is_late(facts, record) {
                    break;
                }
                if record.done.is_none() && facts.is_watched(record) {
                    found.add(DELIVERY, glance.at, describe(facts, record));
                }
                producer.due += 1;
                producer.open.pop_front();
            }
            let snapshot = glance.producers.get(index).and_then(|it| it.snapshot);
            let Some(snapshot) = snapshot else {
                continue;
            };
            let counted = snapshot.records_acknowledged + snapshot.records_failed;
            if counted < producer.due {
                let text = format!(
                    "of {} due records of producer {index}, {counted} are complete",
                    producer.due
                );
                found.add(DELIVERY, glance.at, text);
            }
        }
    }
}

fn is_late(facts: &Facts, record: &RecordFacts) -> bool {
    let limit = facts.settings(record).map(|settings| {
        settings
            .delivery_timeout
            .saturating_add(SLACK + facts.packing)
    });
    record
        .accepted
        .zip(limit)
        .is_some_and(|(accepted, limit)| facts.since(accepted) > limit)
}

fn describe(facts: &Facts, record: &RecordFacts) -> String {
    let limit = facts.settings(record).map(|it| it.delivery_timeout);
    format!(
        "{} for {} was accepted at {:?} and is not complete after delivery.timeout.ms={}",
        record.id,
        record.topic_name,
        record
            .accepted
            .map_or(Duration::ZERO, |accepted| accepted.at),
        limit.map_or(0, |limit| limit.as_millis())
    )
}

/// Each call returns within its documented time, not counting user code. A call that waits for records returns after
/// the last of them is complete, at most [`SLACK`] plus the time to pack a batch later.
///
/// - `send` and `partitions_for`: `max.block.ms`, or the end of the producer's sender. In addition, `send` and
///   `try_send` take the time to pack the batches that they fill.
/// - Transactional calls: their time-out, or `max.block.ms`; `begin_transaction` returns at once. When a transaction
///   has ended, the records accepted before are complete.
/// - `try_send`, and dropping a future: at once.
/// - `get` and awaiting a future: their time-out, or the record's completion.
/// - `flush`: its time-out, or the completion of the records accepted before.
/// - `close`: its time-out, or the completion of all records, or the producer's count of all of them.
/// - Dropping a producer: like `close` with a time-out of 10 s.
///
/// Since user code does not count, the 10 s that `close` waits for a callback need no exception.
///
/// A flush waits for whole batches. So when a batch is split during a flush, records that were accepted after the flush
/// began count too.
///
/// Records whose send calls are in progress when the wait begins may be in a batch already, while their thread packs
/// that batch or another one: they count too.
///
/// Two kinds of calls need not return as soon as their records are complete: the close of a transactional producer,
/// which waits for its coordinator; and a call that waits for a record whose completion is not reported, since it has
/// no callback and its future was dropped. A call of the second kind has to return when the producer has counted all
/// records.
#[derive(Default)]
pub(super) struct CallTime {
    open: BTreeMap<CallId, AwaitedCall>,
    /// Calls that returned before all their records were seen complete, with the time of the return. The next snapshot
    /// decides whether they returned too early.
    too_early: Vec<(AwaitedCall, Duration)>,
    /// Number of batches that each producer has split.
    splits: Vec<u64>,
}

struct AwaitedCall {
    call: CallFacts,
    /// Longest time that the call may take; `None` for no limit.
    limit: Option<Duration>,
    /// Records for which the call waits and that have not been seen complete.
    records: Vec<RecordId>,
    /// Further records for which the call may have to wait.
    possible_records: Vec<RecordId>,
    /// Since when the call has had nothing to wait for.
    free: Option<Moment>,
}

const RULE: &str = "call time";
const PROMPT: &str = "prompt";
const EARLY: &str = "too early";

impl Rule for CallTime {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        match &event.kind {
            EventKind::CallBegins { call, .. } => {
                if let Some(call) = facts.open_calls.get(call) {
                    let pending = AwaitedCall::of(facts, call.clone());
                    self.open.insert(call.id, pending);
                }
            }
            EventKind::CallEnds { call, returned } => {
                let Some(mut pending) = self.open.remove(call) else {
                    return;
                };
                pending.check_time(facts, event.at, found);
                pending.update(facts, None);
                // `DropProducer` is not among them: a dropped handle need not be the last one.
                let waits_for_all = matches!(
                    pending.call.operation,
                    Call::Flush { .. }
                        | Call::Close { .. }
                        | Call::Commit { .. }
                        | Call::Abort { .. }
                );
                if waits_for_all && *returned == Returned::Ok && !pending.records.is_empty() {
                    self.too_early.push((pending, event.at));
                }
            }
            EventKind::CallbackRan { .. } | EventKind::FutureReported { .. } => {
                for pending in self.open.values_mut() {
                    pending.update(facts, None);
                }
            }
            EventKind::Crashed { producer, .. } => {
                let producer = Some(*producer);
                self.open
                    .retain(|_, pending| pending.call.producer != producer);
            }
            EventKind::SenderEnded => {
                let Who::Sender(producer) = event.who else {
                    return;
                };
                // The sender ended because the producer is closed, which ends all waits for metadata and memory.
                for pending in self.open.values_mut() {
                    if pending.call.producer == Some(producer) && !pending.waits_for_records() {
                        pending.free.get_or_insert_with(|| facts.moment());
                    }
                }
            }
            _ => {}
        }
    }

    fn step(&mut self, facts: &Facts, glance: &Glance, found: &mut Found) {
        for (mut pending, at) in self.too_early.drain(..) {
            pending.update(facts, None);
            // An awaited future is reported only when its thread continues.
            let is_awaited = |id: RecordId| {
                facts.open_calls.values().any(|call| match call.operation {
                    Call::Get { record, .. } | Call::Await { record } => record == id,
                    _ => false,
                })
            };
            let watched = |id: &&RecordId| {
                facts.record(**id).is_some_and(|record| {
                    record.done.is_none()
                        && facts.is_watched(record)
                        && !is_awaited(record.id)
                        && !facts.is_of_crashed(record)
                })
            };
            if let Some(record) = pending.records.iter().find(watched) {
                let text = format!("{} returned before {record} was complete", pending.name());
                found.add(EARLY, at, text);
            }
        }
        self.splits.resize(glance.producers.len(), 0);
        for (producer, seen) in self.splits.iter_mut().enumerate() {
            let snapshot = glance.producers[producer].snapshot;
            let splits = snapshot.map_or(*seen, |snapshot| snapshot.batches_split);
            if std::mem::replace(seen, splits) != splits {
                let flushes = self.open.values_mut().filter(|it| it.is_flush_of(producer));
                flushes.for_each(|flush| flush.add_all_incomplete_records(facts));
            }
        }
        self.open.retain(|_, pending| {
            pending.update(facts, Some(glance));
            !pending.check_time(facts, glance.at, found)
        });
    }

    fn end(&mut self, _: &Facts, last: &Glance, found: &mut Found) {
        for pending in self.open.values() {
            let text = format!("{} never ended", pending.name());
            found.add(RULE, last.at, text);
        }
    }
}

impl AwaitedCall {
    fn of(facts: &Facts, call: CallFacts) -> Self {
        let settings = call
            .producer
            .and_then(|producer| facts.producers.get(producer))
            .map(|producer| &producer.settings);
        let limit = match &call.operation {
            // A record may close a batch and fill another one, and may do so again after the call has waited for
            // memory.
            Call::Send(_) => {
                let packing = facts.packing * 5 + SLACK;
                settings.map(|settings| settings.max_block.saturating_add(packing))
            }
            Call::PartitionsFor { .. } => {
                settings.map(|settings| settings.max_block.saturating_add(SLACK))
            }
            Call::TrySend(_) => Some(facts.packing * 3),
            Call::DropFuture { .. } | Call::BeginTransaction => Some(Duration::ZERO),
            Call::InitTransactions { timeout }
            | Call::SendOffsets { timeout, .. }
            | Call::Commit { timeout }
            | Call::Abort { timeout } => timeout
                .or(settings.map(|settings| settings.max_block))
                .map(|timeout| timeout.saturating_add(SLACK)),
            Call::Get { timeout, .. } | Call::Flush { timeout } | Call::Close { timeout } => {
                timeout.map(|timeout| timeout.saturating_add(SLACK))
            }
            Call::DropProducer => Some(DROP_TIMEOUT + SLACK),
            Call::Build | Call::Await { .. } => None,
        };
        let records = match &call.operation {
            Call::Get { record, .. } | Call::Await { record } => vec![*record],
            Call::Flush { .. }
            | Call::Close { .. }
            | Call::DropProducer
            | Call::Commit { .. }
            | Call::Abort { .. } => {
                let of_producer = facts.records().filter(|record| {
                    Some(record.producer) == call.producer
                        && record.accepted.is_some()
                        && record.done.is_none()
                });
                of_producer.map(|record| record.id).collect()
            }
            _ => Vec::new(),
        };
        let mut pending = Self {
            call,
            limit,
            records,
            possible_records: Vec::new(),
            free: None,
        };
        pending.add_sends_in_progress(facts);
        pending.update(facts, None);
        pending
    }

    fn name(&self) -> String {
        format!(
            "{} ({:?} by {:?}, started at {:?})",
            self.call.id, self.call.operation, self.call.who, self.call.began.at
        )
    }

    fn is_flush_of(&self, producer: ProducerIndex) -> bool {
        self.call.producer == Some(producer) && matches!(self.call.operation, Call::Flush { .. })
    }

    /// Adds the records whose send calls are in progress: they may be in a batch, and their threads may be packing.
    fn add_sends_in_progress(&mut self, facts: &Facts) {
        let waits_for_batches = matches!(
            self.call.operation,
            Call::Flush { .. } | Call::Close { .. } | Call::DropProducer
        );
        if !waits_for_batches {
            return;
        }
        let producer = self.call.producer.into_iter();
        let sends_in_progress = producer.flat_map(|producer| facts.sends_in_progress(producer));
        self.possible_records = sends_in_progress.collect();
    }

    /// Adds all records that the producer has accepted and not completed.
    fn add_all_incomplete_records(&mut self, facts: &Facts) {
        let open = facts.records().filter(|record| {
            Some(record.producer) == self.call.producer
                && record.accepted.is_some()
                && record.done.is_none()
        });
        self.possible_records = open.map(|record| record.id).collect();
        self.free = None;
    }

    /// Whether the call returns by itself once its records are complete.
    fn waits_for_records(&self) -> bool {
        matches!(
            self.call.operation,
            Call::Get { .. }
                | Call::Await { .. }
                | Call::Flush { .. }
                | Call::Close { .. }
                | Call::DropProducer
        )
    }

    fn update(&mut self, facts: &Facts, glance: Option<&Glance>) {
        if self.free.is_some() || !self.waits_for_records() {
            return;
        }
        let is_open = |record: &RecordId| {
            facts
                .record(*record)
                .is_some_and(|record| record.done.is_none() && record.refused.is_none())
        };
        for records in [&mut self.records, &mut self.possible_records] {
            while records.last().is_some_and(|record| !is_open(record)) {
                records.pop();
            }
        }
        // Closing also ends an open transaction at the coordinator, which takes its own time.
        let closes = matches!(self.call.operation, Call::Close { .. } | Call::DropProducer);
        let producer = self.call.producer;
        if closes && producer.is_some_and(|it| facts.transactions.id(it).is_some()) {
            return;
        }
        let are_all_done = self.records.is_empty() && self.possible_records.is_empty();
        if are_all_done || self.producer_has_counted_all(facts, glance) {
            self.free = Some(facts.moment());
        }
    }

    fn producer_has_counted_all(&self, facts: &Facts, glance: Option<&Glance>) -> bool {
        let is_of_all = matches!(
            self.call.operation,
            Call::Flush { .. } | Call::Close { .. } | Call::DropProducer
        );
        let counted = self.call.producer.zip(glance).and_then(|(index, glance)| {
            let snapshot = glance.producers.get(index)?.snapshot?;
            let counted = snapshot.records_acknowledged + snapshot.records_failed;
            // The count may include records whose `send` has not returned.
            let sends_in_progress = facts.sends_in_progress(index).count() as u64;
            Some(counted >= facts.producers.get(index)?.accepted + sends_in_progress)
        });
        is_of_all && counted == Some(true)
    }

    /// Reports a call that has taken too long, and returns whether it has.
    fn check_time(&self, facts: &Facts, at: Duration, found: &mut Found) -> bool {
        let taken = facts.since(self.call.began);
        if let Some(limit) = self.limit.filter(|limit| taken > *limit) {
            let text = format!("{} took {taken:?}, more than {limit:?}", self.name());
            found.add(RULE, at, text);
            return true;
        }
        let idle = self.free.map(|free| facts.since(free));
        if let Some(idle) = idle.filter(|idle| *idle > SLACK + facts.packing) {
            let text = format!(
                "{} continues for {idle:?} with nothing to wait for",
                self.name()
            );
            found.add(PROMPT, at, text);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, acknowledged};

    const SHORT: &[(&str, &str)] = &[
        ("request.timeout.ms", "500"),
        ("delivery.timeout.ms", "1000"),
        ("max.block.ms", "200"),
    ];

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_record_that_exceeds_delivery_timeout_is_caught_once() {
        let mut story = Story::with(DeliveryTime::default(), SHORT, &[]);
        story.at_ms(500).send(0, "t", 0);
        story.at_ms(1_600).glance(&[]);
        assert_eq!(story.found(), [""; 0]);
        story.at_ms(1_601).glance(&[]);
        assert_eq!(story.found().len(), 1);
        story.at_ms(1_602).glance(&[]);
        assert_eq!(story.end(), [""; 0]);
    }

    #[test]
    fn a_callback_that_runs_too_late_is_caught() {
        for (at_ms, expected) in [(1_100, 0), (1_101, 1)] {
            let mut story = Story::with(DeliveryTime::default(), SHORT, &[]);
            story.send_calling(0, "t", 0);
            story.at_ms(at_ms).ran(0, acknowledged("t", 0, 0));
            assert_eq!(story.found().len(), expected);
        }
    }

    #[test]
    fn without_polled_futures_late_records_are_found_by_the_producers_count() {
        let mut story = Story::with(DeliveryTime::default(), SHORT, &[]);
        story.stop_polling_futures();
        story.send(0, "t", 0);
        story.send(1, "t", 0);
        for (counted, expected) in [(2, 0), (1, 1)] {
            story.snapshot(|snapshot| snapshot.records_failed = counted);
            story.at_ms(1_101).glance(&[]);
            assert_eq!(story.found().len(), expected);
        }
    }

    #[test]
    fn completed_and_unwatched_records_pass_and_user_code_time_does_not_count() {
        let mut story = Story::with(DeliveryTime::default(), SHORT, &[]);
        story.send(0, "t", 0);
        story.send(1, "t", 0);
        story.drop_future(1);
        story.send_calling(2, "t", 0);
        story.send(3, "t", 0);
        story.at_ms(1_100).glance(&[0]);
        story.ran(2, acknowledged("t", 0, 0));
        story.user_code_takes(700);
        story.glance(&[]);
        assert_eq!(story.found(), [""; 0]);
        story.at_ms(1_801).glance(&[]);
        assert_eq!(story.found().len(), 1, "#3");
    }

    #[test]
    fn each_call_has_its_time_limit() {
        let record = RecordId(0);
        let calls = [
            (Call::Send(record), 300),
            (Call::PartitionsFor { topic: "x".into() }, 300),
            (Call::TrySend(record), 0),
            (Call::DropFuture { record }, 0),
            (
                Call::Get {
                    record,
                    timeout: Some(ms(50)),
                },
                150,
            ),
            (
                Call::Flush {
                    timeout: Some(ms(70)),
                },
                170,
            ),
            (
                Call::Close {
                    timeout: Some(ms(0)),
                },
                100,
            ),
            (Call::DropProducer, 10_100),
        ];
        for (call, limit) in calls {
            for (late, ends) in [(0, true), (1, true), (0, false), (1, false)] {
                let mut story = Story::with(CallTime::default(), SHORT, &[]);
                story.send(0, "t", 0);
                story.at_ms(1_000);
                let id = story.call(call.clone());
                story.at_ms(1_000 + limit + late);
                if ends {
                    story.thread(EventKind::CallEnds {
                        call: id,
                        returned: Returned::Error {
                            kind: "TimedOut".into(),
                            text: String::new(),
                        },
                    });
                } else {
                    story.glance(&[]);
                }
                let found = story.found();
                assert_eq!(found.len(), late as usize, "{call:?}: {found:?}");
            }
        }
    }

    #[test]
    fn user_code_time_does_not_count_for_a_call() {
        let mut story = Story::with(CallTime::default(), SHORT, &[]);
        story.send(0, "t", 0);
        let call = story.call(Call::TrySend(RecordId(0)));
        story.user_code_takes(900);
        story.ends(call, Returned::Ok);
        assert_eq!(story.found(), [""; 0]);
    }

    #[test]
    fn waiting_calls_return_when_their_records_are_complete() {
        let record = RecordId(0);
        for call in [
            Call::Get {
                record,
                timeout: None,
            },
            Call::Get {
                record,
                timeout: Some(ms(9_000)),
            },
            Call::Await { record },
            Call::Flush { timeout: None },
            Call::Close { timeout: None },
            Call::Close {
                timeout: Some(ms(9_000)),
            },
            Call::DropProducer,
        ] {
            let mut story = Story::with(CallTime::default(), SHORT, &[]);
            story.send(0, "t", 0);
            let id = story.call(call.clone());
            story.at_ms(500).glance(&[]);
            story.at_ms(700).glance(&[0]);
            story.at_ms(800).glance(&[]);
            assert_eq!(story.found(), [""; 0], "{call:?}");
            story.at_ms(801).glance(&[]);
            assert_eq!(story.found().len(), 1, "{call:?}");
            story.ends(id, Returned::Ok);
            assert_eq!(story.end(), [""; 0], "{call:?}");
        }
    }

    #[test]
    fn unwatched_records_are_judged_by_the_producers_count() {
        let mut story = Story::with(CallTime::default(), SHORT, &[]);
        story.send(0, "t", 0);
        story.drop_future(0);
        let call = story.call(Call::Close { timeout: None });
        story
            .at_ms(500)
            .snapshot(|snapshot| snapshot.records_acknowledged = 0);
        story.glance(&[]);
        story
            .at_ms(900)
            .snapshot(|snapshot| snapshot.records_acknowledged = 1);
        story.glance(&[]);
        assert_eq!(story.found(), [""; 0]);
        story.at_ms(1_001).glance(&[]);
        assert_eq!(story.found().len(), 1);
        story.ends(call, Returned::Ok);
        story.glance(&[]);
        assert_eq!(story.found(), [""; 0]);
    }

    #[test]
    fn a_flush_waits_only_for_the_records_sent_before_it() {
        let mut story = Story::with(CallTime::default(), SHORT, &[]);
        story.send(0, "t", 0);
        let call = story.call(Call::Flush { timeout: None });
        story.send(1, "t", 0);
        story.ends(call, Returned::Ok);
        story.glance(&[0]);
        assert_eq!(story.found(), [""; 0], "decided by the next snapshot");
        let get = story.call(Call::Get {
            record: RecordId(1),
            timeout: None,
        });
        let call = story.call(Call::Flush { timeout: None });
        story.ends(call, Returned::Ok);
        story.glance(&[]);
        assert_eq!(story.found(), [""; 0], "its thread has not gone on");
        story.ends(get, Returned::Ok);
        let call = story.call(Call::Flush { timeout: None });
        story.ends(call, Returned::Ok);
        story.glance(&[]);
        assert_eq!(story.found().len(), 1);
    }

    #[test]
    fn a_flush_may_wait_for_a_record_whose_call_has_not_returned() {
        for (done, expected) in [(&[][..], 0), (&[0], 1)] {
            let mut story = Story::with(CallTime::default(), SHORT, &[]);
            story.offer(0, 0, "t", Some(0), false);
            let send = story.call(Call::Send(RecordId(0)));
            story.call(Call::Flush { timeout: None });
            story.take(0);
            story.ends(send, Returned::Ok);
            story.glance(done);
            story.at_ms(150).glance(&[]);
            assert_eq!(story.found().len(), expected);
        }
    }

    #[test]
    fn a_transaction_that_ends_before_its_records_complete_is_caught() {
        for (done, returned, expected) in [
            (&[0][..], Returned::Ok, 0),
            (&[], Returned::Ok, 1),
            (
                &[],
                Returned::Error {
                    kind: "TimedOut".into(),
                    text: String::new(),
                },
                0,
            ),
        ] {
            let mut story = Story::with(CallTime::default(), SHORT, &[]);
            story.send(0, "t", 0);
            let call = story.call(Call::Abort { timeout: None });
            story.ends(call, returned);
            story.glance(done);
            assert_eq!(story.found().len(), expected);
        }
    }

    #[test]
    fn a_call_that_never_returns_is_caught() {
        let mut story = Story::with(CallTime::default(), SHORT, &[]);
        story.send(0, "t", 0);
        story.call(Call::Flush { timeout: None });
        assert_eq!(story.found(), [""; 0]);
        assert_eq!(story.end().len(), 1);
    }
}
