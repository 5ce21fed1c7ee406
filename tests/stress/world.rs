//! State shared by all threads of the test.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use kafka_producer::testing::TestCluster;
use kafka_producer::{ProduceError, RecordMetadata};

use crate::ledger::{Ledger, Outcome, PARTITIONS, TOPICS};
use crate::producers::Shared;
use crate::watchdog::CallRegistry;
use crate::worker::Held;

type Tallies = BTreeMap<(&'static str, Cow<'static, str>), u64>;

/// The number of producers that all threads share at a time.
pub(crate) const SLOTS: usize = 6;

pub(crate) struct World {
    pub(crate) cluster: TestCluster,
    pub(crate) ledger: Ledger,
    pub(crate) calls: CallRegistry,
    pub(crate) slots: Vec<Mutex<Option<Arc<Shared>>>>,
    /// Closed producers, checked once no other thread has a handle.
    pub(crate) retired: Mutex<Vec<Arc<Shared>>>,
    /// Futures that a thread has left for other threads.
    pub(crate) stash: Mutex<Vec<Held>>,
    /// The last broker faults and their ends, with their times.
    pub(crate) faults: Mutex<VecDeque<(Instant, String)>>,
    /// Every producer that still exists.
    pub(crate) producers: Mutex<Vec<Weak<Shared>>>,
    /// Sharded, so that threads do not wait for each other here. Such waits would reduce the contention in the
    /// producers, which the test is about.
    tallies: [Mutex<Tallies>; 32],
    overruns: Mutex<BTreeMap<&'static str, Duration>>,
    violations: Mutex<Vec<String>>,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        let builder = TestCluster::builder().nodes(3).replication_factor(3);
        let builder = TOPICS
            .iter()
            .zip(PARTITIONS)
            .fold(builder, |builder, (name, count)| {
                builder.topic(*name, count)
            });
        Arc::new(Self {
            cluster: builder.start().unwrap(),
            ledger: Ledger::new(),
            calls: CallRegistry::default(),
            slots: (0..SLOTS).map(|_| Mutex::new(None)).collect(),
            retired: Mutex::default(),
            stash: Mutex::default(),
            faults: Mutex::default(),
            producers: Mutex::default(),
            tallies: Default::default(),
            overruns: Mutex::default(),
            violations: Mutex::default(),
        })
    }

    pub(crate) fn fill_slots(&self, dice: &mut fastrand::Rng) {
        for slot in &self.slots {
            *slot.lock().unwrap() = Some(Shared::build(self, dice));
        }
    }

    /// Counts an event.
    pub(crate) fn count(&self, group: &'static str, name: impl Into<Cow<'static, str>>) {
        let mut tallies = self.tallies[shard(self.tallies.len())].lock().unwrap();
        *tallies.entry((group, name.into())).or_default() += 1;
    }

    pub(crate) fn tallies(&self) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for shard in &self.tallies {
            for ((group, name), count) in &*shard.lock().unwrap() {
                *sums.entry(format!("{group}/{name}")).or_default() += count;
            }
        }
        sums
    }

    /// Stores the longest time by which calls of this name exceeded their bound.
    pub(crate) fn overrun(&self, name: &'static str, by: Duration) {
        let mut overruns = self.overruns.lock().unwrap();
        let longest = overruns.entry(name).or_default();
        *longest = by.max(*longest);
    }

    pub(crate) fn violation(&self, text: String) {
        let mut violations = self.violations.lock().unwrap();
        if violations.len() < 100 {
            violations.push(text);
        }
    }

    /// Adds a line to the log of faults.
    pub(crate) fn log_fault(&self, text: String) {
        let mut faults = self.faults.lock().unwrap();
        if faults.len() == 40 {
            faults.pop_front();
        }
        faults.push_back((Instant::now(), text));
    }

    /// Checks and stores the outcome of a record that its callback or future has reported.
    pub(crate) fn reported(
        &self,
        number: u64,
        by: &'static str,
        result: Result<&RecordMetadata, &ProduceError>,
    ) {
        match result {
            Ok(_) => self.count(by, "ok"),
            Err(error) => self.count(by, name_of(error.kind())),
        }
        let Some(outcome) = Outcome::of(result) else {
            return;
        };
        if let Err(before) = self.ledger.reported(number, outcome) {
            self.violation(format!(
                "record {number}: {by} reports {outcome:?}, but the earlier outcome was {before:?}"
            ));
        }
    }

    pub(crate) fn summary(&self) -> String {
        let mut text = format!("{} records; number of events:\n", self.ledger.len());
        for (name, count) in self.tallies() {
            let _ = writeln!(text, "  {name:40} {count:>9}");
        }
        text.push_str("longest overrun of each call's bound:\n");
        for (name, by) in &*self.overruns.lock().unwrap() {
            let _ = writeln!(text, "  {name:40} {by:>9.1?}");
        }
        text
    }

    pub(crate) fn assert_no_violations(&self) {
        // Cloned: the panic hook adds a violation, and so takes the lock.
        let violations = self.violations.lock().unwrap().clone();
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    }
}

/// The name of an enum's variant, without its fields.
pub(crate) fn name_of(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    let name = text.split(|letter: char| !letter.is_alphanumeric()).next();
    name.unwrap_or_default().to_owned()
}

/// The index of this thread's shard.
fn shard(shards: usize) -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    MINE.get() % shards
}
