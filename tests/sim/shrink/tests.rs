use super::*;
use crate::draw;
use crate::scenario::{Api, Fault, Moment, Op, TimedFault};
use crate::trace::records;

const ENOUGH: Budget = Budget {
    tries: 100_000,
    time: Duration::from_secs(600),
};

/// A seed with many kinds of load and faults, and a known fault added.
fn storm() -> Scenario {
    let mut scenario = (0..)
        .map(draw::scenario)
        .find(|one| one.faults.len() > 20 && records(one) > 700 && one.producers.len() == 3)
        .unwrap();
    let ours = TimedFault {
        at_ms: 1_234,
        for_ms: Some(777),
        fault: Fault::Lose {
            request: Api::Produce,
            moment: Moment::WithinAnswer { bytes: 17 },
            times: Some(9),
            closes: true,
        },
    };
    scenario.faults.insert(11, ours);
    scenario
}

fn has_ours(scenario: &Scenario) -> bool {
    scenario.faults.iter().any(|timed| {
        matches!(
            timed.fault,
            Fault::Lose {
                moment: Moment::WithinAnswer { bytes: 17 },
                ..
            }
        )
    })
}

#[test]
fn a_storm_of_seven_hundred_records_shrinks_to_three_records_and_one_fault() {
    let storm = storm();
    let mut tries = 0;
    let shrunk = shrink(
        storm.clone(),
        |scenario| {
            tries += 1;
            has_ours(scenario) && records(scenario) >= 3
        },
        ENOUGH,
    );
    assert!(shrunk.is_done);
    assert_eq!(shrunk.tries, tries);
    let small = shrunk.scenario;
    assert_eq!(records(&small), 3);
    assert_eq!(small.faults.len(), 1);
    assert_eq!(small.producers.len(), 1);
    assert_eq!(small.producers[0].threads.len(), 1);
    assert!(small.producers[0].config.is_empty());
    assert_eq!(small.seed, storm.seed);
    assert!(tries < 1_000, "{tries} tries");
}

#[test]
fn parts_that_fail_only_together_are_kept() {
    // The failure: a flush after a send, in a producer with two keys set and two threads.
    let fails = |scenario: &Scenario| {
        scenario.producers.iter().any(|producer| {
            producer.threads.len() >= 2
                && producer.config.contains_key("linger.ms")
                && producer.config.contains_key("acks")
                && producer.threads.iter().any(|thread| {
                    let flush = thread
                        .ops
                        .iter()
                        .position(|op| matches!(op, Op::Flush { .. }));
                    let send = thread.ops.iter().position(|op| matches!(op, Op::Send(_)));
                    send.is_some() && send < flush
                })
        })
    };
    let found = (0..).map(draw::scenario).find(|one| fails(one)).unwrap();
    let small = shrink(found, fails, ENOUGH).scenario;
    assert!(fails(&small));
    let producer = &small.producers[0];
    let keys: Vec<_> = producer.config.keys().collect();
    assert_eq!(keys, ["acks", "linger.ms"]);
    let ops: Vec<_> = producer
        .threads
        .iter()
        .flat_map(|thread| &thread.ops)
        .collect();
    assert!(
        matches!(&ops[..], [Op::Send(burst), Op::Flush { timeout_ms: None }] if burst.count == 1),
        "{ops:?}"
    );
    assert!(small.faults.is_empty());
}

#[test]
fn numbers_shrink_to_the_smallest_that_still_fails() {
    let fails = |scenario: &Scenario| {
        scenario.heal_at_ms >= 321
            && scenario.topics.iter().any(|topic| topic.partitions >= 3)
            && scenario.network.latency_us >= 10
    };
    let found = (0..).map(draw::scenario).find(|one| fails(one)).unwrap();
    let small = shrink(found, fails, ENOUGH).scenario;
    assert_eq!(small.heal_at_ms, 321);
    assert_eq!(small.topics.len(), 1);
    assert_eq!(small.topics[0].partitions, 3);
    assert_eq!(records(&small), 0);
}

#[test]
fn shrinking_is_deterministic() {
    let way = || {
        let mut seen = Vec::new();
        shrink(
            storm(),
            |scenario| {
                seen.push(scenario.clone());
                has_ours(scenario) && records(scenario) >= 40
            },
            Budget {
                tries: 50,
                ..ENOUGH
            },
        );
        seen
    };
    let first = way();
    assert_eq!(first.len(), 50);
    assert!(first == way());
}

#[test]
fn shrinking_stops_at_its_budget_with_the_best_result() {
    let storm = storm();
    let shrunk = shrink(storm.clone(), has_ours, Budget { tries: 5, ..ENOUGH });
    assert_eq!(shrunk.tries, 5);
    assert!(!shrunk.is_done);
    assert!(has_ours(&shrunk.scenario));
    assert!(records(&shrunk.scenario) < records(&storm));
}

#[test]
fn a_scenario_that_always_fails_shrinks_to_nothing() {
    let small = shrink(storm(), |_| true, ENOUGH).scenario;
    assert_eq!(records(&small), 0);
    assert!(small.faults.is_empty() && small.topics.is_empty());
    assert_eq!(small.brokers.nodes, 1);
    assert_eq!(small.heal_at_ms, 1);
}
