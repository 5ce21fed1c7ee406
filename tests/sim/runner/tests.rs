//! Tests of the seed runner with a fake run: every record of the scenario is offered and acknowledged.

use std::collections::BTreeMap;

use super::*;
use crate::events::{EventKind, Outcome, RecordId, Who};
use crate::scenario::{Act, Fault, Op};
use crate::trace::records;

fn all_is_well(scenario: &Scenario, see: &mut dyn FnMut(&Event)) -> RunReport {
    let mut report = RunReport::default();
    let bursts = scenario
        .producers
        .iter()
        .flat_map(|producer| &producer.threads)
        .flat_map(|thread| &thread.ops)
        .filter_map(|op| match op {
            Op::Send(burst) => Some(burst),
            _ => None,
        });
    for burst in bursts {
        for _ in 0..burst.count {
            let record = RecordId(report.records);
            report.simulated += Duration::from_micros(burst.pause_us + 10);
            let who = Who::Thread {
                producer: 0,
                thread: 0,
            };
            let offered = EventKind::RecordOffered {
                record,
                producer: 0,
                topic: burst.topic.clone(),
                partition: burst.partition,
                key: None,
                timestamp: None,
                contents: 0,
                size: burst.size as usize,
                has_callback: burst.callback.is_some(),
                inside: false,
            };
            let reported = EventKind::FutureReported {
                record,
                outcome: Outcome::Acknowledged {
                    topic: burst.topic.clone(),
                    partition: 0,
                    offset: report.records as i64,
                    timestamp: -1,
                },
            };
            for kind in [offered, EventKind::RecordAccepted { record }, reported] {
                see(&Event {
                    at: report.simulated,
                    who,
                    kind,
                });
            }
            report.records += 1;
        }
    }
    report.acknowledged = report.records * 9 / 10;
    report.tallies = [
        ("call/send".to_owned(), report.records),
        ("seed".to_owned(), 1),
    ]
    .into();
    report
}

/// A fake bug: a cut loses records. It shows only in scenarios with a cut and at least three records, so not every seed
/// fails.
fn cuts_lose(scenario: &Scenario, see: &mut dyn FnMut(&Event)) -> RunReport {
    let mut report = all_is_well(scenario, see);
    let is_cut = |timed: &crate::scenario::TimedFault| matches!(timed.fault, Fault::Cut { .. });
    if records(scenario) >= 3 && scenario.faults.iter().any(is_cut) {
        report.violations = vec![format!("lost: {} records", report.records)];
    }
    report
}

/// A fake bug: a panic where the logger closes the producer.
fn closing_panics(scenario: &Scenario, see: &mut dyn FnMut(&Event)) -> RunReport {
    let closes = scenario
        .logger
        .acts
        .iter()
        .any(|every| every.act == Act::Closes);
    assert!(!closes, "closed in {} lines", scenario.faults.len());
    all_is_well(scenario, see)
}

fn plan(variables: &[(&str, &str)], name: &str) -> Plan {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    let read = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    let mut plan = Plan::read(read, 0).unwrap();
    let folder = format!("sim-runner-{name}-{}", std::process::id());
    plan.folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    plan
}

fn go_and_read(plan: &Plan, run: RunOne) -> (Summary, String) {
    let mut out = Vec::new();
    let summary = go(plan, run, &mut out).unwrap();
    (summary, String::from_utf8(out).unwrap())
}

#[test]
fn a_range_of_seeds_is_run_and_summarized() {
    let plan = plan(&[("SEED_START", "1000"), ("SEEDS", "50")], "range");
    let (summary, text) = go_and_read(&plan, all_is_well);
    assert_eq!(summary.seeds, 50);
    assert!(summary.records >= 25_000);
    assert_eq!(summary.tallies["seed"], 50);
    assert_eq!(summary.tallies["call/send"], summary.records);
    assert!(summary.failures.is_empty());
    assert!(text.contains("SEED_START=1000 SEEDS=50"), "{text}");
    assert!(text.contains("none failed"), "{text}");
    assert!(text.contains("% acknowledged"), "{text}");
    assert!(!plan.folder.exists());
}

#[test]
fn hashes_are_printed_in_seed_order_for_any_number_of_threads() {
    let hashes = |threads: &str| {
        let variables = [
            ("SEED_START", "7"),
            ("SEEDS", "40"),
            ("HASHES", "1"),
            ("THREADS", threads),
        ];
        let (summary, text) = go_and_read(&plan(&variables, "hashes"), all_is_well);
        let lines: Vec<String> = text
            .lines()
            .filter(|line| line.starts_with("seed "))
            .map(str::to_owned)
            .collect();
        (lines, summary.hash)
    };
    let (alone, hash) = hashes("1");
    assert_eq!(alone.len(), 40);
    assert!(alone[0].starts_with("seed 7 hash "), "{}", alone[0]);
    assert!(hash.is_some());
    assert_eq!((alone, hash), hashes("3"));
}

#[test]
fn a_failing_seed_ends_the_range_and_is_shrunk_and_stored() {
    let plan = plan(
        &[("SEED_START", "0"), ("SEEDS", "1000"), ("SHRINK", "600")],
        "fails",
    );
    let (summary, text) = go_and_read(&plan, cuts_lose);
    let (seed, violation) = summary.failures.first_key_value().unwrap();
    assert_eq!(summary.failures.len(), 1, "it stops at the first");
    assert_eq!(summary.seeds, seed + 1, "which is the first of all");
    assert!(violation.starts_with("lost: "));

    let path = plan.folder.join(format!("failure-{seed}.json"));
    let stored = store::load(&path).unwrap();
    assert_eq!(records(&stored.scenario), 3);
    assert_eq!(stored.scenario.faults.len(), 1);
    assert!(stored.story.contains("lost: "), "{}", stored.story);
    for word in [
        &*format!("SEED={seed} cargo test"),
        &*format!("REPLAY={}", path.display()),
        "shrunk to 3 records and 1 fault from",
        "send #0..#2 to ",
        "lost: 3 records",
    ] {
        assert!(text.contains(word), "{word} is missing in\n{text}");
    }

    // The stored scenario fails when it is replayed.
    let path = path.display().to_string();
    let again = self::plan(&[("REPLAY", &path)], "again");
    let (summary, text) = go_and_read(&again, cuts_lose);
    assert_eq!(summary.failures.len(), 1);
    assert!(text.contains("✗ lost: 3 records"), "{text}");
    std::fs::remove_dir_all(&plan.folder).unwrap();
}

#[test]
fn keep_going_lists_all_failing_seeds_and_shrinks_one_of_each_kind() {
    let plan = plan(
        &[
            ("SEED_START", "0"),
            ("SEEDS", "60"),
            ("KEEP_GOING", "1"),
            ("SHRINK", "0"),
        ],
        "going-on",
    );
    let (summary, text) = go_and_read(&plan, cuts_lose);
    assert_eq!(summary.seeds, 60);
    assert!(summary.failures.len() > 3);
    assert_eq!(text.matches("the whole seed:").count(), 1, "{text}");
    assert_eq!(std::fs::read_dir(&plan.folder).unwrap().count(), 2);
    std::fs::remove_dir_all(&plan.folder).unwrap();
}

#[test]
fn a_run_that_panics_is_a_seed_that_fails() {
    let plan = plan(
        &[("SEED_START", "0"), ("SEEDS", "3000"), ("SHRINK", "600")],
        "panics",
    );
    let (summary, text) = go_and_read(&plan, closing_panics);
    let (seed, violation) = summary.failures.first_key_value().unwrap();
    assert!(violation.starts_with("panic: closed in "), "{violation}");
    assert!(violation.contains("runner/tests.rs:"), "{violation}");
    assert!(text.contains("panic: closed in 0 lines"), "{text}");
    let path = plan.folder.join(format!("failure-{seed}.json"));
    let small = store::load(&path).unwrap().scenario;
    assert_eq!(small.logger.acts.len(), 1);
    assert_eq!(records(&small), 0);
    std::fs::remove_dir_all(&plan.folder).unwrap();
}

#[test]
fn a_single_seed_prints_its_trace_and_is_not_shrunk() {
    let plan = plan(&[("SEED", "17")], "one");
    let (summary, text) = go_and_read(&plan, all_is_well);
    assert_eq!(summary.seeds, 1);
    assert!(text.starts_with("seed 17 "), "{text}");
    assert!(text.contains("send #0"), "{text}");
    assert!(text.contains(&format!("hash {:016x}", summary.hash.unwrap())));
    let failing = (0..)
        .find(|seed| {
            !cuts_lose(&draw::scenario(*seed), &mut |_| ())
                .violations
                .is_empty()
        })
        .unwrap();
    let plan = self::plan(&[("SEED", &failing.to_string())], "one-fails");
    let (summary, _) = go_and_read(&plan, cuts_lose);
    assert_eq!(summary.failures.len(), 1);
    assert!(!plan.folder.exists());
}

#[test]
fn no_seed_is_started_after_the_time_limit() {
    let plan = plan(&[("SEED_START", "0"), ("DURATION", "0")], "over");
    let (summary, _) = go_and_read(&plan, all_is_well);
    assert_eq!(summary.seeds, 0);
}

#[test]
fn the_plan_is_read_from_the_environment() {
    let range = |first, count, fresh| Runs::Range {
        first,
        count,
        fresh,
    };
    let read = |variables: &[(&str, &str)]| plan(variables, "read").runs;
    assert_eq!(read(&[]), range(0, Some(100), true));
    assert_eq!(read(&[("SEEDS", "7")]), range(0, Some(7), true));
    assert_eq!(
        read(&[("SEED_START", ""), ("SEEDS", "7")]),
        range(0, Some(7), true)
    );
    assert_eq!(read(&[("DURATION", "9")]), range(0, None, true));
    assert_eq!(read(&[("SEED_START", "0x10")]), range(16, Some(100), false));
    assert_eq!(
        read(&[("SEED_START", "5"), ("SEEDS", "1_000"), ("DURATION", "9")]),
        range(5, Some(1000), false)
    );
    assert_eq!(read(&[("SEED", "3")]), Runs::Seed(3));
    assert_eq!(read(&[("REPLAY", "a.json")]), Runs::File("a.json".into()));

    let refused = |variables: &[(&str, &str)]| {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        Plan::read(
            |name| variables.get(name).map(|value| (*value).to_owned()),
            0,
        )
        .unwrap_err()
    };
    assert!(refused(&[("SEED", "x")]).contains("SEED=x"));
    assert!(refused(&[("SEED", "1"), ("SEED_START", "2")]).contains("SEED_START"));
    assert!(refused(&[("TRACE", "much")]).contains("TRACE=much"));
}
