//! What all threads share.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use kafka_producer::testing::TestCluster;
use kafka_producer::{ProduceError, RecordMetadata};

use crate::ledger::{Fate, Ledger, PARTITIONS, TOPICS};
use crate::producers::Shared;
use crate::watchdog::Board;
use crate::worker::Held;

type Tallies = BTreeMap<(&'static str, Cow<'static, str>), u64>;

/// As many producers are shared by all threads at a time.
pub(crate) const SLOTS: usize = 6;

pub(crate) struct World {
    pub(crate) cluster: TestCluster,
    pub(crate) ledger: Ledger,
    pub(crate) board: Board,
    pub(crate) slots: Vec<Mutex<Option<Arc<Shared>>>>,
    /// Closed, and looked at when nobody else has them.
    pub(crate) retired: Mutex<Vec<Arc<Shared>>>,
    /// Futures on their way from one thread to another.
    pub(crate) stash: Mutex<Vec<Held>>,
    /// The last things that went wrong with brokers, and how they stand.
    pub(crate) troubles: Mutex<VecDeque<(Instant, String)>>,
    /// Every producer there ever was.
    pub(crate) producers: Mutex<Vec<Weak<Shared>>>,
    /// In parts, so that threads do not wait here for each other: they would meet less often in the producers.
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
            board: Board::default(),
            slots: (0..SLOTS).map(|_| Mutex::new(None)).collect(),
            retired: Mutex::default(),
            stash: Mutex::default(),
            troubles: Mutex::default(),
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

    /// Something has happened once more.
    pub(crate) fn count(&self, group: &'static str, what: impl Into<Cow<'static, str>>) {
        let mut tallies = self.tallies[part(self.tallies.len())].lock().unwrap();
        *tallies.entry((group, what.into())).or_default() += 1;
    }

    pub(crate) fn tallies(&self) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for part in &self.tallies {
            for ((group, what), count) in &*part.lock().unwrap() {
                *sums.entry(format!("{group}/{what}")).or_default() += count;
            }
        }
        sums
    }

    /// A call took so much longer than it may.
    pub(crate) fn overrun(&self, what: &'static str, by: Duration) {
        let mut overruns = self.overruns.lock().unwrap();
        let longest = overruns.entry(what).or_default();
        *longest = by.max(*longest);
    }

    pub(crate) fn violation(&self, text: String) {
        let mut violations = self.violations.lock().unwrap();
        if violations.len() < 100 {
            violations.push(text);
        }
    }

    pub(crate) fn trouble(&self, text: String) {
        let mut troubles = self.troubles.lock().unwrap();
        if troubles.len() == 40 {
            troubles.pop_front();
        }
        troubles.push_back((Instant::now(), text));
    }

    /// What was told of a record, by its callback or its future.
    pub(crate) fn told(
        &self,
        number: u64,
        by: &'static str,
        told: Result<&RecordMetadata, &ProduceError>,
    ) {
        match told {
            Ok(_) => self.count(by, "ok"),
            Err(error) => self.count(by, name_of(error.kind())),
        }
        let Some(fate) = Fate::of(told) else { return };
        if let Err(before) = self.ledger.told(number, fate) {
            self.violation(format!(
                "of record {number} {by} tells {fate:?}, before it was {before:?}"
            ));
        }
    }

    pub(crate) fn summary(&self) -> String {
        let mut text = format!("{} records; how often what happened:\n", self.ledger.len());
        for (what, count) in self.tallies() {
            let _ = writeln!(text, "  {what:40} {count:>9}");
        }
        text.push_str("by how much a call was later than it may be, at most:\n");
        for (what, by) in &*self.overruns.lock().unwrap() {
            let _ = writeln!(text, "  {what:40} {by:>9.1?}");
        }
        text
    }

    pub(crate) fn assert_no_violations(&self) {
        // The panic is one more, and must find the lock free.
        let violations = self.violations.lock().unwrap().clone();
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    }
}

/// The name of an enum's value, without what it holds.
pub(crate) fn name_of(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    let name = text.split(|letter: char| !letter.is_alphanumeric()).next();
    name.unwrap_or_default().to_owned()
}

/// Of so many parts, that of this thread.
fn part(parts: usize) -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    MINE.get() % parts
}
