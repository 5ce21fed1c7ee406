//! The steps of the topics: existence, leaders, replicas.

use std::collections::{BTreeMap, BTreeSet};

use kafka_producer::ErrorCode;
use kafka_producer::probe::{ProbedPartition, ProbedTopic};

use crate::advice;
use crate::finding::{CheckProblem, CheckStep, KeySide};

/// Maximum number of ranges of partitions that a line names, and of leaders that are named.
const MAX_NAMED: usize = 16;

/// Checks a topic. `unreachable` has the brokers that cannot be reached from here.
pub(crate) fn check(topic: &ProbedTopic, unreachable: &BTreeSet<i32>) -> CheckStep {
    let step = CheckStep::new("topics", "", &*topic.name);
    if topic.error != ErrorCode::NoError {
        return step.problems([advice::of_topic(&topic.name, topic.error)]);
    }
    let partitions = &topic.partitions;
    if partitions.is_empty() {
        return step.problems([CheckProblem::failure("it has no partitions")
            .likely("it is being created, or deleted: try again")]);
    }
    let mut step = step.detail(summary(partitions));
    step.more = leaders(&by_leader(partitions));
    step.problems(problems(partitions, unreachable))
}

/// One line for each leader.
fn leaders(by_leader: &BTreeMap<Option<i32>, Vec<i32>>) -> Vec<String> {
    let line = |(leader, led): (&Option<i32>, &Vec<i32>)| match leader {
        Some(leader) => format!("broker {leader} leads {}", listed(led)),
        None => format!("no leader for {}", listed(led)),
    };
    let mut lines: Vec<_> = by_leader.iter().take(MAX_NAMED).map(line).collect();
    if by_leader.len() > MAX_NAMED {
        lines.push(format!("and {} more leaders", by_leader.len() - MAX_NAMED));
    }
    lines
}

/// Partitions by leader; those without a leader come first.
fn by_leader(partitions: &[ProbedPartition]) -> BTreeMap<Option<i32>, Vec<i32>> {
    let mut by_leader: BTreeMap<Option<i32>, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        by_leader
            .entry(partition.leader)
            .or_default()
            .push(partition.id);
    }
    by_leader
}

fn problems(partitions: &[ProbedPartition], unreachable: &BTreeSet<i32>) -> Vec<CheckProblem> {
    let ids_of = |which: &dyn Fn(&ProbedPartition) -> bool| -> Vec<i32> {
        let those = partitions.iter().filter(|partition| which(partition));
        those.map(|partition| partition.id).collect()
    };
    let mut problems = Vec::new();
    let leaderless = ids_of(&|it| it.leader.is_none());
    if !leaderless.is_empty() {
        problems.push(
            CheckProblem::failure(format!("no leader: partitions {}", listed(&leaderless)))
                .likely("the brokers of all in-sync replicas are down")
                .change(
                    "unclean.leader.election.enable",
                    KeySide::Topic,
                    "true elects a replica that lacks records: they are lost; rather start the brokers",
                ),
        );
    }
    let unreached = ids_of(&|it| {
        it.leader
            .is_some_and(|leader| unreachable.contains(&leader))
    });
    if !unreached.is_empty() {
        problems.push(CheckProblem::failure(format!(
            "the leader cannot be reached from here: partitions {}",
            listed(&unreached)
        )));
    }
    let lagging = ids_of(&|it| it.in_sync.len() < it.replicas.len());
    if !lagging.is_empty() {
        let fewest = partitions.iter().map(|it| it.in_sync.len()).min();
        problems.push(
            CheckProblem::warning(format!(
                "replicas are not in sync: partitions {}; the fewest in-sync replicas are {}",
                listed(&lagging),
                fewest.unwrap_or(0)
            ))
            .likely("a broker is down, or slow, or was just started")
            .change(
                "min.insync.replicas",
                KeySide::Topic,
                "if it is above that number, records with acks=all are refused",
            ),
        );
    }
    problems
}

fn summary(partitions: &[ProbedPartition]) -> String {
    let count = partitions.len();
    let noun = if count == 1 {
        "partition"
    } else {
        "partitions"
    };
    let replicas: BTreeSet<usize> = partitions.iter().map(|it| it.replicas.len()).collect();
    let replicas: Vec<String> = replicas.iter().map(ToString::to_string).collect();
    format!("{count} {noun}, replication factor {}", replicas.join("/"))
}

/// Partition ids, as ranges: `0-3 7 9`.
fn listed(ids: &[i32]) -> String {
    let mut ranges: Vec<(i32, i32)> = Vec::new();
    for id in ids {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*id) => *last = *id,
            _ => ranges.push((*id, *id)),
        }
    }
    let shown = ranges.iter().take(MAX_NAMED).map(|(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    });
    let mut listed = shown.collect::<Vec<_>>().join(" ");
    if ranges.len() > MAX_NAMED {
        listed.push_str(" ...");
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_listed_as_ranges_and_no_line_grows_without_end() {
        assert_eq!(listed(&[0, 1, 2, 5, 7, 8]), "0-2 5 7-8");
        let odd: Vec<i32> = (0..100).map(|id| id * 2).collect();
        assert!(listed(&odd).ends_with(" 30 ..."), "{}", listed(&odd));
        let many = (0..100).map(|id| (Some(id), vec![id])).collect();
        let lines = leaders(&many);
        assert_eq!(lines.len(), MAX_NAMED + 1);
        assert_eq!(lines[MAX_NAMED], "and 84 more leaders");
    }

    #[test]
    fn a_broker_may_list_the_largest_id_twice() {
        assert_eq!(listed(&[i32::MAX, i32::MAX]), "2147483647 2147483647");
    }
}
