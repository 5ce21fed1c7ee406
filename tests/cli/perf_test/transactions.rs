//! Records in transactions.

use std::time::Duration;

use kafka_producer::testing::{TestCluster, TransactionState};

use super::{cluster, send, values};
use crate::lines::{TOTAL, shape};

const PACED: [&str; 4] = ["--record-size", "10", "--throughput", "200"];

fn committed(cluster: &TestCluster) -> usize {
    let seen = |partition| cluster.read_committed("t", partition).len();
    (0..3).map(seen).sum()
}

/// The number of transaction markers in the log: one for each transaction and each of its partitions.
fn markers(cluster: &TestCluster) -> usize {
    let offsets = |partition| cluster.last_stable_offset("t", partition).unwrap() as usize;
    (0..3).map(offsets).sum::<usize>() - values(cluster).len()
}

#[test]
fn records_are_committed_after_the_transaction_duration_and_at_the_end() {
    let cluster = cluster();
    let further = [
        "--transaction-duration-ms",
        "100",
        "--transactional-id",
        "mine",
    ];
    let ended = send(&cluster, "100", &[&PACED[..], &further].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = ended.lines();
    assert_eq!(
        (lines.len(), shape(lines[0])),
        (1, TOTAL.to_owned()),
        "{ended:?}"
    );
    assert_eq!(committed(&cluster), 100);
    // The run takes half a second, which has about five transactions, each with up to three partitions.
    let markers = markers(&cluster);
    assert!((2..=18).contains(&markers), "{markers}");
    let transaction = cluster.transaction("mine").unwrap();
    assert_eq!(transaction.state, TransactionState::CompleteCommit);
    assert_eq!(transaction.timeout, Duration::from_secs(60));
}

#[test]
fn the_transactional_id_is_that_of_the_option_or_of_the_configuration_or_the_default() {
    let cluster = cluster();
    let duration = ["--transaction-duration-ms", "60000"];
    let default = "performance-producer-default-transactional-id";
    for (further, id) in [
        (&[][..], default),
        (&["transactional.id=other"], "other"),
        (
            &["transactional.id=yet", "--transactional-id", "mine"],
            "mine",
        ),
    ] {
        assert!(cluster.transaction(id).is_none());
        let ended = send(&cluster, "10", &[further, &duration, &PACED[..]].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let transaction = cluster.transaction(id).unwrap();
        assert_eq!(transaction.state, TransactionState::CompleteCommit, "{id}");
    }
    assert!(cluster.transaction("yet").is_none());
    assert_eq!(committed(&cluster), 30);
}

#[test]
fn an_id_without_a_duration_has_no_effect() {
    let cluster = cluster();
    let further = ["--transactional-id", "mine"];
    let ended = send(&cluster, "10", &[&PACED[..], &further].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(cluster.transaction("mine").is_none());
    assert_eq!((committed(&cluster), markers(&cluster)), (10, 0));
}
