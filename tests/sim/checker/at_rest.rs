//! Rule: an idle producer holds no memory and has nothing queued.

use std::time::Duration;

use kafka_producer::ProducerSnapshot;

use super::facts::{Facts, Moment as FactsMoment};
use super::in_time::SLACK;
use super::{Found, Glance, Moment, Rule};
use crate::events::{Call, Event, EventKind};
use crate::scenario::{Fault, Scenario};

/// Buffer memory is released exactly once: free memory never exceeds the total. All of it is free when the run is idle
/// and at its end, with no waiters, nothing queued and nothing in flight.
///
/// While threads wait for memory and none of their calls returns, the pool is not entirely free for long: the first
/// waiter is woken.
///
/// Excused while idle: requests in flight. The metadata is refreshed from time to time, and a fault may have left a
/// request unanswered.
#[derive(Default)]
pub(super) struct Memory {
    /// By producer: since when threads have waited although all memory is free.
    waits_for_free_memory: Vec<Option<FactsMoment>>,
    /// Time to connect and exchange a few requests.
    round_trips: Duration,
}

impl Memory {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let network = &scenario.network;
        let us = network.connect_us.saturating_add(network.latency_us);
        Self {
            waits_for_free_memory: Vec::new(),
            round_trips: Duration::from_micros(us.saturating_mul(20)),
        }
    }
}

const RULE: &str = "at rest";

impl Rule for Memory {
    fn see(&mut self, facts: &Facts, event: &Event, _: &mut Found) {
        // A call that returned may have allocated and released memory between two snapshots, so the wait is counted
        // anew.
        if let (EventKind::CallEnds { .. }, Some(call)) = (&event.kind, &facts.ended_call) {
            let waiting = call
                .producer
                .and_then(|producer| self.waits_for_free_memory.get_mut(producer));
            if let (Call::Send(_), Some(waiting)) = (&call.operation, waiting) {
                *waiting = None;
            }
        }
    }

    fn step(&mut self, facts: &Facts, glance: &Glance, found: &mut Found) {
        for (index, producer) in glance.producers.iter().enumerate() {
            let Some(snapshot) = producer.snapshot else {
                continue;
            };
            if snapshot.memory_free_bytes > snapshot.memory_total_bytes {
                let text = format!(
                    "producer {index} has {} bytes of memory free, and only {} in total",
                    snapshot.memory_free_bytes, snapshot.memory_total_bytes
                );
                found.add(RULE, glance.at, text);
            }
            self.see_waiting(facts, index, snapshot, glance, found);
            if glance.moment != Moment::Passing {
                check(index, snapshot, glance, found);
            }
        }
    }
}

impl Memory {
    fn see_waiting(
        &mut self,
        facts: &Facts,
        index: usize,
        snapshot: ProducerSnapshot,
        glance: &Glance,
        found: &mut Found,
    ) {
        let waiting = &mut self.waits_for_free_memory;
        waiting.resize(waiting.len().max(index + 1), None);
        let is_free = snapshot.memory_free_bytes == snapshot.memory_total_bytes;
        let waits = snapshot.threads_waiting_for_memory > 0 && is_free;
        if !waits {
            waiting[index] = None;
            return;
        }
        let since = *waiting[index].get_or_insert_with(|| facts.moment());
        // A thread packs the batch that a step of its call has filled. Meanwhile the call may already count as waiting
        // for memory, so the time for packing is allowed too.
        if facts.since(since) > SLACK + self.round_trips + facts.packing {
            let text = format!(
                "{} threads of producer {index} wait for memory, and {}",
                snapshot.threads_waiting_for_memory,
                if is_free {
                    "all of it is free"
                } else {
                    "the batches that use it are not sent"
                }
            );
            found.add(RULE, glance.at, text);
        }
    }
}

fn check(index: usize, snapshot: ProducerSnapshot, glance: &Glance, found: &mut Found) {
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
        let is_excused = what == "requests in flight" && glance.moment == Moment::Idle;
        if count > 0 && !is_excused {
            left.push(format!("{count} {what}"));
        }
    }
    if !left.is_empty() {
        let text = format!("idle producer {index} has {}", left.join(", "));
        found.add(RULE, glance.at, text);
    }
}

/// When the run is idle and at its end, everything named "queued …" is empty, and no other collection is larger than
/// topics, partitions and nodes justify.
pub(super) struct Sizes {
    /// Limit on sizes: twice the number of topics, partitions and nodes that the scenario names, and some more.
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
                // The nodes at their old and their new addresses.
                Fault::MoveBrokers | Fault::Rebuild => usize::from(scenario.brokers.nodes),
                _ => 0,
            };
        }
        // Twice the number, and some more, for topics that only bursts name and for collections of fixed size.
        Self {
            bound: 2 * bound + 64,
        }
    }
}

impl Rule for Sizes {
    fn step(&mut self, _: &Facts, glance: &Glance, found: &mut Found) {
        if glance.moment == Moment::Passing {
            return;
        }
        for (index, producer) in glance.producers.iter().enumerate() {
            for (name, size) in &producer.sizes {
                let is_queue = name.starts_with("queued ");
                let bound = if is_queue { 0 } else { self.bound };
                if *size > bound {
                    let text =
                        format!("idle producer {index} holds {size} {name}; the limit is {bound}");
                    found.add("sizes", glance.at, text);
                }
            }
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
    fn threads_that_wait_for_free_memory_are_caught() {
        let mut story = Story::new(Memory::default());
        for (at_us, free, expected) in [
            (0, 10, 0),
            (50_000, 10, 0),
            (90_000, 9, 0),
            (190_000, 10, 0),
            (300_000, 10, 1),
        ] {
            story.at_us(at_us);
            story.snapshot(|snapshot| {
                snapshot.memory_total_bytes = 10;
                snapshot.memory_free_bytes = free;
                snapshot.threads_waiting_for_memory = 1;
            });
            story.glance(&[]);
            assert_eq!(story.found().len(), expected, "{at_us}");
        }
    }

    #[test]
    fn free_memory_passes_and_used_memory_passes_while_there_is_work() {
        let mut story = Story::new(Memory::default());
        whole(&mut story);
        story.snapshot(|snapshot| snapshot.memory_free_bytes = 60);
        story.glance(&[]);
        whole(&mut story);
        story.moment(Moment::Idle);
        story.glance(&[]);
        assert_eq!(story.end(), [""; 0]);
    }

    #[test]
    fn memory_released_twice_or_never_is_caught() {
        let mut story = Story::new(Memory::default());
        whole(&mut story);
        story.snapshot(|snapshot| snapshot.memory_free_bytes = 101);
        story.glance(&[]);
        assert_eq!(story.found().len(), 1);
        let mut story = Story::new(Memory::default());
        whole(&mut story);
        story.snapshot(|snapshot| snapshot.memory_free_bytes = 99);
        story.moment(Moment::Idle);
        story.glance(&[]);
        assert_eq!(story.found().len(), 1);
        assert_eq!(story.end().len(), 1);
    }

    #[test]
    fn records_left_in_an_idle_producer_are_caught() {
        for left in 0..4 {
            let mut story = Story::new(Memory::default());
            whole(&mut story);
            story.snapshot(|snapshot| match left {
                0 => snapshot.threads_waiting_for_memory = 1,
                1 => snapshot.batches_queued = 1,
                2 => snapshot.batches_in_flight = 1,
                _ => snapshot.requests_in_flight = 1,
            });
            story.glance(&[]);
            assert_eq!(story.found(), [""; 0]);
            story.moment(Moment::Idle);
            story.glance(&[]);
            assert_eq!(story.found().len(), usize::from(left < 3), "{left}");
            assert_eq!(story.end().len(), 1, "{left}");
        }
    }

    #[test]
    fn queues_and_growth_in_an_idle_producer_are_caught() {
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
            story.producer(|producer| producer.sizes = vec![(name, size)]);
            story.glance(&[]);
            assert_eq!(story.found(), [""; 0]);
            story.moment(Moment::Idle);
            story.glance(&[]);
            assert_eq!(story.found().len(), expected, "{name} {size}");
            assert_eq!(story.end().len(), expected, "{name} {size}");
        }
    }
}
