//! A feature that the broker is too old for results in an error with the remedy, and in no record in the log.

use kafka_producer::{ProducerConfigBuilder, ProducerRecord};

use crate::harness::{Cluster, Failure, Result};
use crate::producer::{build, config};

type Record = ProducerRecord<'static, [u8], [u8]>;

/// A broker that does not support the codec.
pub(super) fn of_codec(cluster: &Cluster, codec: &str) -> Result<()> {
    let config = plain(cluster).set("compression.type", codec);
    let topic = format!("refused-{codec}");
    let record = Record::new(topic.clone(), &b"value"[..]);
    refused(cluster, &topic, config, record, "compression.type")
}

/// A broker without InitProducerId.
pub(super) fn of_idempotence(cluster: &Cluster) -> Result<()> {
    let config = config(&cluster.bootstrap_servers());
    let topic = "refused-idempotence";
    let record = Record::new(topic, &b"value"[..]);
    refused(cluster, topic, config, record, "enable.idempotence=false")
}

/// A broker whose message format has no headers.
pub(super) fn of_headers(cluster: &Cluster) -> Result<()> {
    let topic = "refused-headers";
    let record = Record::new(topic, &b"value"[..]).with_header("trace", "1");
    refused(cluster, topic, plain(cluster), record, "headers")
}

fn plain(cluster: &Cluster) -> ProducerConfigBuilder {
    config(&cluster.bootstrap_servers()).enable_idempotence(false)
}

fn refused(
    cluster: &Cluster,
    topic: &str,
    config: ProducerConfigBuilder,
    record: Record,
    remedy: &str,
) -> Result<()> {
    cluster.create_topic(topic, 1, &[])?;
    let Err(why) = send(config, record) else {
        return Err(Failure::new(format!("{topic}: the record was accepted")));
    };
    println!("    refused: {why}");
    if !why.contains(remedy) {
        return Err(Failure::new(format!(
            "{topic}: {remedy:?} is missing in {why:?}"
        )));
    }
    let mut count = 0;
    cluster.read_back(topic, |_| count += 1)?;
    if count > 0 {
        return Err(Failure::new(format!(
            "{topic}: the record was refused, and is in the log"
        )));
    }
    Ok(())
}

fn send(config: ProducerConfigBuilder, record: Record) -> std::result::Result<(), String> {
    let producer = build(config).map_err(|error| error.to_string())?;
    let sent = producer.send(record).map_err(|error| error.to_string());
    let outcome = sent.and_then(|future| future.get().map_err(|error| error.to_string()));
    // The outcome that matters is that of the record.
    drop(producer.close());
    outcome.map(drop)
}
