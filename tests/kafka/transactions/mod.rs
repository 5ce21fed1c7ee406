//! Transactions: Kafka's consumer with `isolation.level=read_committed` reads exactly the committed records, also after
//! faults.

pub(crate) mod application;
pub(crate) mod basics;
pub(crate) mod crashes;
pub(crate) mod fencing;
pub(crate) mod rights;

use kafka_producer::{ProducerConfigBuilder, ProducerRecord, TransactionError};

use crate::harness::{Cluster, Isolation, Result};
use crate::producer::{Producer, config};

fn transactional(servers: &str, id: &str) -> ProducerConfigBuilder {
    config(servers).set("transactional.id", id)
}

/// Sends values to partition 0 and waits for all.
fn send_all(producer: &Producer, topic: &str, values: &[&str]) -> crate::runner::TestResult {
    let futures: Vec<_> = values
        .iter()
        .map(|value| {
            let record = ProducerRecord::new(topic, value.as_bytes());
            producer.send(record.with_partition(0))
        })
        .collect::<std::result::Result<_, _>>()?;
    for future in futures {
        future.get()?;
    }
    Ok(())
}

/// The values of a topic, in the order of each partition.
fn values(cluster: &Cluster, topic: &str, isolation: Isolation) -> Result<Vec<String>> {
    let mut values = Vec::new();
    cluster.read_back_with(topic, isolation, |record| {
        values.push(String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned());
    })?;
    Ok(values)
}

fn committed(cluster: &Cluster, topic: &str) -> Result<Vec<String>> {
    values(cluster, topic, Isolation::ReadCommitted)
}

/// Prints and returns the error of a call that must fail.
fn refused(what: &str, result: std::result::Result<(), TransactionError>) -> TransactionError {
    let error = match result {
        Ok(()) => panic!("{what}: it succeeded"),
        Err(error) => error,
    };
    println!("    {what}: {error}");
    error
}
