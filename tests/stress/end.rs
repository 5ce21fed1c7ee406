//! Final checks, after the faults have ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::ledger::{self, Guarantee, Outcome, Place, RecordState, TOPICS};
use crate::producers::Shared;
use crate::watchdog::About;
use crate::world::World;

/// Time limit for conditions that must become true without a further call.
const LONG: Duration = Duration::from_secs(30);

/// Checks that the producers still send, now that all faults have ended, and closes them.
pub(crate) fn settle(world: &Arc<World>) {
    let mut dice = fastrand::Rng::new();
    for slot in &world.slots {
        let shared = slot.lock().unwrap().take().unwrap();
        if !shared.is_closed.load(Ordering::Relaxed) {
            check_still_sends(world, &shared, &mut dice);
        }
        let bound = shared.delivery_timeout;
        let closed = world.within(bound, "last close", About::default(), || {
            shared.producer.close()
        });
        if let Err(error) = closed {
            // A producer that was closed before returns the same error again.
            if !shared.is_closed.load(Ordering::Relaxed) {
                world.violation(format!("the last close failed: {error}, {shared:?}"));
            }
        }
        shared.is_closed.store(true, Ordering::Relaxed);
        shared.retire(world);
    }
    loop {
        // Repeated, since callbacks add futures until their producers are closed.
        let stash = std::mem::take(&mut *world.stash.lock().unwrap());
        if stash.is_empty() {
            break;
        }
        for held in stash {
            held.get(world);
        }
    }
    let retired = || {
        Shared::check_retired(world);
        world.retired.lock().unwrap().is_empty()
    };
    wait_until(world, "no handle of a closed producer is left", retired);
}

/// Checks that a producer still sends after all faults.
fn check_still_sends(world: &Arc<World>, shared: &Arc<Shared>, dice: &mut fastrand::Rng) {
    let flush = || shared.producer.flush();
    let bound = shared.delivery_timeout;
    let flushed = world.within(bound, "last flush", About::producer(shared), flush);
    let until = Instant::now() + LONG;
    let (acknowledged, accepted) = loop {
        let before = shared.producer.snapshot().records_acknowledged;
        let held = crate::worker::send_one(world, shared, dice, None);
        let accepted = held.is_some();
        if let Some(held) = held {
            held.get(world);
        }
        let acknowledged = shared.producer.snapshot().records_acknowledged > before;
        if acknowledged || Instant::now() > until {
            break (acknowledged, accepted);
        }
    };
    if flushed.is_err() || !acknowledged {
        world.violation(format!(
            "without faults: last flush {flushed:?}, acknowledged: {acknowledged}, accepted: {accepted}, {shared:?}"
        ));
    }
}

fn wait_until(world: &World, condition: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + LONG;
    while !holds() {
        if Instant::now() > until {
            world.violation(format!("not true after {LONG:?}: {condition}"));
            return;
        }
        std::thread::yield_now();
    }
}

pub(crate) fn open_descriptors() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

/// The number of producer threads of this process, according to `/proc`.
fn producer_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let names = tasks.map(|task| std::fs::read_to_string(task.path().join("comm")));
    names
        .filter(|name| {
            name.as_ref()
                .is_ok_and(|name| name.starts_with("kafka-producer"))
        })
        .count()
}

/// Checks that no resources are left, and that the logs match the ledger. `descriptors`: the number of open file
/// descriptors before the first producer; `length`: the duration of the run.
pub(crate) fn check(world: &World, descriptors: Option<usize>, length: Duration) {
    wait_until(world, "no thread of a producer is left", || {
        producer_threads() == 0
    });
    let is_disconnected = || {
        let mut nodes = world.cluster.node_ids();
        nodes.all(|node| world.cluster.open_connections(node) == 0)
    };
    wait_until(world, "no connection is left", is_disconnected);
    let is_as_before = || open_descriptors() <= descriptors;
    wait_until(world, "no file descriptor is left", is_as_before);
    let logs = Logs::read(world);
    for (number, state) in world.ledger.states() {
        for violation in violations_of(&state, logs.copies(number)) {
            let copies = logs.copies(number);
            world.violation(format!(
                "record {number}: {violation}; {state:?}, in the logs at {copies:?}"
            ));
        }
    }
    let tallies = world.tallies();
    let rare = if length < LONG { &[][..] } else { RARE };
    for event in COMMON.iter().chain(rare) {
        if !tallies.contains_key(*event) {
            world.violation(format!("the event {event} never occurred"));
        }
    }
}

/// Events that occur in every run.
const COMMON: &[&str] = &["callback/ok", "get/ok", "poll/ok", "close/ok", "flush/ok"];

/// Events that also occur in a long run, even on a busy machine.
const RARE: &[&str] = &[
    "close/undelivered",
    "flush/timed out",
    "get_timeout/Pending",
    "callback does/panic",
    "callback does/send",
    "callback does/drop futures",
    "callback does/wait",
    "callback/drops the last handle",
    "producers/closed and checked",
    "fault/stop",
    "fault/hang",
    "fault/cut answer",
];

/// The positions of each record in the logs.
struct Logs(BTreeMap<u64, Vec<Place>>);

impl Logs {
    fn read(world: &World) -> Self {
        let mut logs: BTreeMap<u64, Vec<Place>> = BTreeMap::new();
        for (topic, name) in TOPICS.iter().enumerate() {
            for partition in 0.. {
                if world.cluster.summary(name, partition).is_none() {
                    break;
                }
                for batch in world.cluster.batches(name, partition) {
                    for record in batch.records() {
                        let offset = record.offset();
                        let place = Place {
                            topic,
                            partition,
                            offset,
                        };
                        match record.value().and_then(ledger::number) {
                            Some(number) => logs.entry(number).or_default().push(place),
                            None => world.violation(format!("unknown record at {place:?}")),
                        }
                    }
                }
            }
        }
        Self(logs)
    }

    fn copies(&self, number: u64) -> &[Place] {
        self.0.get(&number).map_or(&[], Vec::as_slice)
    }
}

fn violations_of(state: &RecordState, copies: &[Place]) -> Vec<&'static str> {
    let mut violations = Vec::new();
    let mut must = |holds: bool, text: &'static str| {
        if !holds {
            violations.push(text);
        }
    };
    let accepted = state.accepted == Some(true);
    must(state.accepted.is_some(), "its send never returned");
    must(
        state.calls == u8::from(accepted && state.calls_back),
        "its callback was not called once",
    );
    must(accepted || copies.is_empty(), "refused, but written");
    if state.guarantee == Guarantee::Once {
        must(copies.len() < 2, "written twice");
    }
    must(
        !(accepted && state.calls_back) || state.outcome.is_some(),
        "its outcome was never reported",
    );
    match state.outcome {
        Some(Outcome::Acknowledged(place)) => {
            must(copies.contains(&place), "not at the reported position");
        }
        Some(Outcome::NotWritten) => {
            must(copies.is_empty(), "reported as not written, but written");
        }
        Some(Outcome::Sent) => must(
            state.guarantee == Guarantee::Nothing || !copies.is_empty(),
            "acknowledged, but not written",
        ),
        Some(Outcome::MaybeWritten) | None => {}
    }
    violations
}
