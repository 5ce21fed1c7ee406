//! What must be so when all is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::ledger::{self, Fate, Line, Place, Promise, TOPICS};
use crate::producers::Shared;
use crate::watchdog::About;
use crate::world::World;

/// The bound of what must happen by itself.
const LONG: Duration = Duration::from_secs(30);

/// The brokers are well: what is left is sent, and the producers are closed.
pub(crate) fn settle(world: &Arc<World>) {
    let mut dice = fastrand::Rng::new();
    for slot in &world.slots {
        let shared = slot.lock().unwrap().take().unwrap();
        if !shared.is_closed.load(Ordering::Relaxed) {
            works(world, &shared, &mut dice);
        }
        let bound = shared.delivery_timeout;
        let closed = world.within(bound, "last close", About::default(), || {
            shared.producer.close()
        });
        if let Err(error) = closed {
            // Those that were closed before may have given records up, and say so again.
            if !shared.is_closed.load(Ordering::Relaxed) {
                world.violation(format!("the last close says {error}, {shared:?}"));
            }
        }
        shared.is_closed.store(true, Ordering::Relaxed);
        shared.retire(world);
    }
    loop {
        // Callbacks put futures there as long as their producers live.
        let stash = std::mem::take(&mut *world.stash.lock().unwrap());
        if stash.is_empty() {
            break;
        }
        for held in stash {
            held.get(world);
        }
    }
    let retired = || {
        Shared::look_at_retired(world);
        world.retired.lock().unwrap().is_empty()
    };
    wait_until(world, "everybody lets go of closed producers", retired);
}

/// A producer to which anything has happened still sends.
fn works(world: &Arc<World>, shared: &Arc<Shared>, dice: &mut fastrand::Rng) {
    let flush = || shared.producer.flush();
    let bound = shared.delivery_timeout;
    let flushed = world.within(bound, "last flush", About::producer(shared), flush);
    let until = Instant::now() + LONG;
    let (acknowledged, taken) = loop {
        let before = shared.producer.snapshot().records_acknowledged;
        let held = crate::worker::send_one(world, shared, dice, None);
        let taken = held.is_some();
        if let Some(held) = held {
            held.get(world);
        }
        let acknowledged = shared.producer.snapshot().records_acknowledged > before;
        if acknowledged || Instant::now() > until {
            break (acknowledged, taken);
        }
    };
    if flushed.is_err() || !acknowledged {
        world.violation(format!(
            "the brokers are well, yet: last flush {flushed:?}, acknowledged: {acknowledged}, taken: {taken}, {shared:?}"
        ));
    }
}

fn wait_until(world: &World, what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + LONG;
    while !is_so() {
        if Instant::now() > until {
            world.violation(format!("{LONG:?} are over, and it is not so that {what}"));
            return;
        }
        std::thread::yield_now();
    }
}

pub(crate) fn open_descriptors() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

/// Threads of producers, as far as the system says.
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

/// `descriptors`: how many were open when there were no producers; `length`: of the run.
pub(crate) fn check(world: &World, descriptors: Option<usize>, length: Duration) {
    wait_until(world, "no thread of a producer is left", || {
        producer_threads() == 0
    });
    let is_alone = || {
        let mut nodes = world.cluster.node_ids();
        nodes.all(|node| world.cluster.open_connections(node) == 0)
    };
    wait_until(world, "no connection is left", is_alone);
    let is_as_before = || open_descriptors() <= descriptors;
    wait_until(world, "no descriptor is left", is_as_before);
    let logs = Logs::read(world);
    for (number, line) in world.ledger.lines() {
        for wrong in wrong_with(&line, logs.copies(number)) {
            let copies = logs.copies(number);
            world.violation(format!(
                "record {number}: {wrong}; {line:?}, in the logs at {copies:?}"
            ));
        }
    }
    let tallies = world.tallies();
    let seldom = if length < LONG { &[][..] } else { SELDOM };
    for must in OFTEN.iter().chain(seldom) {
        if !tallies.contains_key(*must) {
            world.violation(format!("it never came to {must}"));
        }
    }
}

/// A run that did not come to these has shown nothing.
const OFTEN: &[&str] = &["callback/ok", "get/ok", "poll/ok", "close/ok", "flush/ok"];

/// A long run comes to these as well, on a machine that has other things to do too.
const SELDOM: &[&str] = &[
    "close/undelivered",
    "flush/timed out",
    "get_timeout/Pending",
    "callback does/panic",
    "callback does/send",
    "callback does/drop futures",
    "callback does/wait",
    "callback/drops the last handle",
    "producers/closed and looked at",
    "trouble/stop",
    "trouble/hang",
    "trouble/cut answer",
];

/// Where each record is.
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
                            None => world.violation(format!("at {place:?} is no record of ours")),
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

fn wrong_with(line: &Line, copies: &[Place]) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    let mut must = |is_so: bool, text: &'static str| {
        if !is_so {
            wrong.push(text);
        }
    };
    let taken = line.taken == Some(true);
    must(line.taken.is_some(), "its send never returned");
    must(
        line.calls == u8::from(taken && line.calls_back),
        "its callback was not called once",
    );
    must(taken || copies.is_empty(), "refused, and written");
    if line.promise == Promise::Once {
        must(copies.len() < 2, "written twice");
    }
    must(
        !(taken && line.calls_back) || line.fate.is_some(),
        "its fate was never told",
    );
    match line.fate {
        Some(Fate::Acknowledged(place)) => {
            must(copies.contains(&place), "not where it was said to be");
        }
        Some(Fate::NotWritten) => must(copies.is_empty(), "said not to be written, and written"),
        Some(Fate::Sent) => must(
            line.promise == Promise::Nothing || !copies.is_empty(),
            "acknowledged, and not written",
        ),
        Some(Fate::MaybeWritten) | None => {}
    }
    wrong
}
