//! What is left when there is nothing to do: nothing.

use super::facts::Facts;
use super::{Found, Glance, Life, ProducerGlance, Rule};
use crate::scenario::{Fault, Scenario};

/// Memory comes back once: never more is free than there is, and all of it is at the end, when nobody waits, nothing is
/// queued and nothing is under way. It is the same while all is idle and every record is done, as long as no fault has
/// begun: after one, what was given up may wait in a connection on which nothing comes through.
pub(super) struct Memory;

const RULE: &str = "at rest";

impl Rule for Memory {
    fn step(&mut self, facts: &Facts, glance: &Glance, found: &mut Found) {
        for (index, producer) in glance.producers.iter().enumerate() {
            let Some(snapshot) = producer.snapshot.filter(|_| producer.life == Life::Open) else {
                continue;
            };
            if snapshot.memory_free_bytes > snapshot.memory_total_bytes {
                let text = format!(
                    "producer {index} has {} bytes of memory free, and only {} in all",
                    snapshot.memory_free_bytes, snapshot.memory_total_bytes
                );
                found.add(RULE, glance.at, text);
            }
            if glance.idle && is_quiet(facts, index, producer) {
                check(index, producer, glance, found);
            }
        }
    }

    fn end(&mut self, _: &Facts, last: &Glance, found: &mut Found) {
        for (index, producer) in last.producers.iter().enumerate() {
            check(index, producer, last, found);
        }
    }
}

/// Nothing has gone wrong, and every record is done.
fn is_quiet(facts: &Facts, index: usize, producer: &ProducerGlance) -> bool {
    let counted = producer
        .snapshot
        .map(|snapshot| snapshot.records_acknowledged + snapshot.records_failed);
    let taken = facts.producers.get(index).map(|producer| producer.taken);
    counted == taken && facts.faults.begun().next().is_none()
}

fn check(index: usize, producer: &ProducerGlance, glance: &Glance, found: &mut Found) {
    let Some(snapshot) = producer.snapshot else {
        return;
    };
    let mut left = Vec::new();
    if snapshot.memory_free_bytes != snapshot.memory_total_bytes {
        left.push(format!(
            "{} of {} bytes of memory free",
            snapshot.memory_free_bytes, snapshot.memory_total_bytes
        ));
    }
    for (what, count) in [
        (
            "threads that wait for memory",
            snapshot.threads_waiting_for_memory,
        ),
        ("batches queued", snapshot.batches_queued),
        ("batches in flight", snapshot.batches_in_flight),
        ("requests in flight", snapshot.requests_in_flight),
    ] {
        if count > 0 {
            left.push(format!("{count} {what}"));
        }
    }
    if !left.is_empty() {
        let text = format!(
            "producer {index} has nothing to do, and {}",
            left.join(", ")
        );
        found.add(RULE, glance.at, text);
    }
}

/// When all is idle nothing grows beyond what topics, partitions and nodes allow; and what is called "queued …" is empty
/// at the end, and whenever memory has to be whole.
pub(super) struct Sizes {
    /// As many things as the scenario names, and some.
    bound: usize,
}

impl Sizes {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let partitions = |topic: &crate::scenario::Topic| usize::from(topic.partitions);
        let mut bound: usize = scenario.topics.iter().map(partitions).sum();
        bound += scenario.topics.len() + usize::from(scenario.brokers.nodes);
        for timed in &scenario.faults {
            bound += match &timed.fault {
                Fault::RecreateTopic { partitions, .. } => usize::from(*partitions),
                Fault::GrowTopic { to, .. } => usize::from(*to),
                // The nodes as they were, and as they are.
                Fault::MoveBrokers | Fault::Rebuild => usize::from(scenario.brokers.nodes),
                _ => 0,
            };
        }
        // Names that are in bursts alone, and what there is one of.
        Self {
            bound: 2 * bound + 64,
        }
    }

    fn check(
        &self,
        (index, producer): (usize, &ProducerGlance),
        is_over: bool,
        glance: &Glance,
        found: &mut Found,
    ) {
        for (name, size) in &producer.sizes {
            let bound = match name.starts_with("queued ") {
                true if is_over => 0,
                true => continue,
                false => self.bound,
            };
            if *size > bound {
                let text = format!(
                    "producer {index} has nothing to do, and holds {size} {name}; {bound} at most are right"
                );
                found.add("sizes", glance.at, text);
            }
        }
    }
}

impl Rule for Sizes {
    fn step(&mut self, facts: &Facts, glance: &Glance, found: &mut Found) {
        if !glance.idle {
            return;
        }
        for (index, producer) in glance.producers.iter().enumerate() {
            let is_over = is_quiet(facts, index, producer);
            self.check((index, producer), is_over, glance, found);
        }
    }

    fn end(&mut self, _: &Facts, last: &Glance, found: &mut Found) {
        for producer in last.producers.iter().enumerate() {
            self.check(producer, true, last, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, fault, scenario};

    fn whole(story: &mut Story) {
        story.snapshot(|snapshot| {
            snapshot.memory_total_bytes = 100;
            snapshot.memory_free_bytes = 100;
        });
    }

    #[test]
    fn memory_that_is_whole_passes_and_what_is_in_use_does_while_there_is_work() {
        let mut story = Story::new(Memory);
        whole(&mut story);
        story.send(0, "t", 0);
        story.snapshot(|snapshot| snapshot.memory_free_bytes = 60);
        story.glance(&[]);
        story.idle(true);
        story.glance(&[]);
        assert_eq!(story.found(), [""; 0]);
        whole(&mut story);
        assert_eq!(story.end(), [""; 0]);
    }

    #[test]
    fn memory_that_comes_back_twice_or_never_is_found() {
        let mut story = Story::new(Memory);
        whole(&mut story);
        story.snapshot(|snapshot| snapshot.memory_free_bytes = 101);
        story.glance(&[]);
        assert_eq!(story.found().len(), 1);
        let mut story = Story::new(Memory);
        whole(&mut story);
        story.snapshot(|snapshot| snapshot.memory_free_bytes = 99);
        story.glance(&[]);
        assert_eq!(story.found(), [""; 0], "it may be in the socket");
        story.idle(true);
        story.glance(&[]);
        assert_eq!(story.found().len(), 1);
        story.idle(false);
        assert_eq!(story.end().len(), 1);
    }

    #[test]
    fn what_is_left_at_the_end_is_found() {
        for left in 0..4 {
            let mut story = Story::new(Memory);
            whole(&mut story);
            story.snapshot(|snapshot| match left {
                0 => snapshot.threads_waiting_for_memory = 1,
                1 => snapshot.batches_queued = 1,
                2 => snapshot.batches_in_flight = 1,
                _ => snapshot.requests_in_flight = 1,
            });
            assert_eq!(story.end().len(), 1, "{left}");
        }
    }

    #[test]
    fn what_is_queued_or_grows_while_all_is_idle_is_found() {
        let grow = fault(Fault::GrowTopic {
            topic: "t".into(),
            to: 100,
        });
        let scenario = scenario(&[], &[grow]);
        for (name, size, expected) in [
            ("queued batches", 0, 0),
            ("queued batches", 1, 1),
            ("topics", 150, 0),
            ("topics", 10_000, 1),
        ] {
            let mut story = Story::of(Sizes::of(&scenario), &scenario);
            whole(&mut story);
            story.producer(|producer| producer.sizes = vec![(name, size)]);
            story.glance(&[]);
            assert_eq!(story.found(), [""; 0]);
            story.idle(true);
            story.glance(&[]);
            assert_eq!(story.found().len(), expected, "{name} {size}");
            story.idle(false);
            assert_eq!(story.end().len(), expected, "{name} {size}");
        }
        // What waits for its time is queued while all is idle.
        let mut story = Story::of(Sizes::of(&scenario), &scenario);
        whole(&mut story);
        story.send(0, "t", 0);
        story.producer(|producer| producer.sizes = vec![("queued batches", 1)]);
        story.idle(true);
        story.glance(&[]);
        assert_eq!(story.found(), [""; 0]);
    }
}
