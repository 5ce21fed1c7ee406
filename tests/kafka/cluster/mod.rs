//! A cluster of three brokers that are killed, paused and restarted, and whose partitions are moved, while the producer
//! sends.
//!
//! Each fault is tested with two producers at the same time: one with defaults (idempotent, acks=all), and one with
//! acks=1 and without idempotence.

pub(crate) mod hung;
pub(crate) mod impatient;
pub(crate) mod killed;
pub(crate) mod moved;
pub(crate) mod outage;
pub(crate) mod paused;
pub(crate) mod recreated;
pub(crate) mod rolling;
pub(crate) mod upgraded;
pub(crate) mod verified;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kafka_producer::{Acks, ProducerConfigBuilder};

use crate::harness::{Cluster, ClusterOptions, Result};
use crate::producer::config;
use crate::workload::{Report, Workload, Workloads};

const PARTITIONS: usize = 12;
/// Number of records that each thread sends in 10 ms. It is low, because two workloads share the machine with three
/// brokers.
const PER_TICK: usize = 10;

static CLUSTER: Mutex<Option<Arc<Cluster>>> = Mutex::new(None);

/// The cluster shared by these tests. Each test leaves the brokers running and in sync; if a test did not, the cluster
/// is repaired or replaced.
fn cluster() -> Result<Arc<Cluster>> {
    let mut shared = CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cluster) = &*shared {
        match cluster.mend() {
            Ok(()) => return Ok(Arc::clone(cluster)),
            Err(failure) => println!("    another cluster is started: {failure}"),
        }
    }
    *shared = None;
    let cluster = Arc::new(Cluster::start(options())?);
    *shared = Some(Arc::clone(&cluster));
    Ok(cluster)
}

fn options() -> ClusterOptions {
    ClusterOptions::default()
        .brokers(3)
        .session_timeout(Duration::from_secs(3))
        .config("min.insync.replicas", "2")
        // Leaders do not return to their preferred replicas by themselves.
        .config("auto.leader.rebalance.enable", "false")
}

/// Stops the shared cluster, if it was started.
pub(crate) fn stop() {
    CLUSTER
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
}

/// Creates a topic for each of the two producers, and starts sending.
fn both<'c>(
    cluster: &'c Cluster,
    topic: &str,
    configure: impl Fn(ProducerConfigBuilder) -> ProducerConfigBuilder,
) -> std::result::Result<Workloads<'c>, Box<dyn std::error::Error>> {
    let config = || configure(config(&cluster.bootstrap_servers()));
    let (of_default, of_acks_1) = (topic.to_owned(), format!("{topic}-acks-1"));
    for topic in [&of_default, &of_acks_1] {
        cluster.create_topic(topic, PARTITIONS as i32, &[])?;
    }
    let acks_1 = config().enable_idempotence(false).acks(Acks::Leader);
    let workloads = vec![
        Workload::start("default", &of_default, config(), PER_TICK)?,
        Workload::start("acks=1", &of_acks_1, acks_1, PER_TICK)?,
    ];
    Ok(Workloads::new(cluster, workloads, PARTITIONS))
}

/// Checks the guarantees of both producers, which hold for every fault.
fn check_both(cluster: &Cluster, reports: &[Report]) -> Result<()> {
    let [default, acks_1] = reports else {
        panic!("there are two workloads");
    };
    for report in reports {
        report.assert_was_felt();
        report.assert_none_failed();
        cluster.delete_topic(report.ledger().topic())?;
    }
    default.findings.assert_exactly_once();
    acks_1.assert_keeps_what_acks_1_promises();
    Ok(())
}
