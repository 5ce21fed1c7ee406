//! Tests of the harness's operations on replicas, and on topics in use.

use std::time::{Duration, Instant};

use super::{values, write};
use crate::harness::{Cluster, ClusterOptions};
use crate::runner::{TestResult, tests};
use crate::shared;
use crate::workload::wait_for;

tests![
    leaders_move_brokers_restart_in_turn_and_failed_brokers_are_repaired,
    a_topic_that_is_deleted_and_created_again_is_empty,
];

/// All operations are in one test, because a cluster takes a while to start.
fn leaders_move_brokers_restart_in_turn_and_failed_brokers_are_repaired() -> TestResult {
    let cluster = Cluster::start(
        ClusterOptions::default()
            .brokers(3)
            .session_timeout(Duration::from_secs(2))
            .config("min.insync.replicas", "2")
            .config("auto.leader.rebalance.enable", "false"),
    )?;
    cluster.create_topic("led", 2, &[])?;
    leaders_move(&cluster)?;
    write(&cluster, "led", "before")?;

    let processes = cluster.process_ids();
    cluster.rolling_restart()?;
    let survivors = cluster.process_ids();
    let survivors = survivors.iter().filter(|id| processes.contains(id)).count();
    assert_eq!(survivors, 2, "ZooKeeper and the helper");
    write(&cluster, "led", "between")?;

    a_killed_leader_is_replaced(&cluster)?;
    cluster.broker(1).pause()?;
    assert!(cluster.broker(1).is_paused());
    let start = Instant::now();
    cluster.mend()?;
    println!("mended in {:.2?}", start.elapsed());
    assert!(!cluster.broker(1).is_paused());
    for state in cluster.describe_topic("led")? {
        assert_eq!(state.in_sync.len(), 3, "{state:?}");
    }
    let mut read = values(&cluster, "led")?;
    read.sort_unstable();
    assert_eq!(read, ["before", "between"]);
    Ok(())
}

fn leaders_move(cluster: &Cluster) -> TestResult {
    for (first, second) in [(0, 1), (1, 2), (2, 2)] {
        cluster.move_leaders("led", &[(0, first), (1, second)])?;
        await_leader(cluster, 0, first);
        await_leader(cluster, 1, second);
    }
    let mut states = Vec::new();
    wait_for("the order is known", Duration::from_secs(10), || {
        states = cluster.describe_topic("led").unwrap_or_default();
        states
            .iter()
            .all(|state| state.replicas.first() == Some(&2))
    });
    assert!(
        states.iter().all(|state| state.replicas.len() == 3),
        "{states:?}"
    );
    let why = cluster
        .move_leaders("led", &[(0, 7)])
        .expect_err("there is no broker 7")
        .to_string();
    assert!(why.contains("broker 7 has no replica of led-0"), "{why}");
    assert!(cluster.leader_of("led", 5).is_err(), "no such partition");
    Ok(())
}

/// Waits until the metadata has the leader: brokers are informed asynchronously.
fn await_leader(cluster: &Cluster, partition: i32, leader: usize) {
    wait_for("the leader is known", Duration::from_secs(10), || {
        cluster.leader_of("led", partition).ok() == Some(leader)
    });
}

/// Kills the leader of partition 0, and waits until it is replaced. Leaves the killed broker down.
fn a_killed_leader_is_replaced(cluster: &Cluster) -> TestResult {
    cluster.move_leaders("led", &[(0, 0)])?;
    cluster.broker(0).kill()?;
    let start = Instant::now();
    let noticed = || {
        let states = cluster.describe_topic("led");
        states.is_ok_and(|states| {
            states
                .iter()
                .all(|state| state.leader.is_some_and(|id| id != 0) && !state.in_sync.contains(&0))
        })
    };
    wait_for("the kill is noticed", Duration::from_secs(30), noticed);
    println!("noticed after {:.2?}", start.elapsed());
    Ok(())
}

fn a_topic_that_is_deleted_and_created_again_is_empty() -> TestResult {
    let cluster = shared::cluster()?;
    cluster.create_topic("again", 2, &[])?;
    write(&cluster, "again", "gone")?;
    cluster.delete_topic("again")?;
    cluster.create_topic("again", 3, &[])?;
    assert_eq!(cluster.describe_topic("again")?.len(), 3);
    assert_eq!(values(&cluster, "again")?, [""; 0]);
    write(&cluster, "again", "new")?;
    assert_eq!(values(&cluster, "again")?, ["new"]);
    let why = cluster
        .create_topic("again", 3, &[])
        .expect_err("it is there")
        .to_string();
    assert!(why.contains("TopicExistsException"), "{why}");
    Ok(())
}
