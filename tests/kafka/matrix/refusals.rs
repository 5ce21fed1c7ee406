//! If the broker is too old for a feature, sending fails with an error that names the remedy, and no record is in the
//! log.

use kafka_producer::{ProducerConfigBuilder, ProducerRecord};

use crate::harness::{Cluster, Failure, Result};
use crate::producer::{build, config};

type Record = ProducerRecord<'static, [u8], [u8]>;

/// Sends with a codec that the broker does not support.
pub(super) fn of_codec(cluster: &Cluster, codec: &str) -> Result<()> {
    let config = plain(cluster).set("compression.type", codec);
    let topic = format!("refused-{codec}");
    let record = Record::new(topic.clone(), &b"value"[..]);
    refused(cluster, &topic, config, record, "compression.type")
}

/// Sends with idempotence to a broker that does not support `InitProducerId`.
pub(super) fn of_idempotence(cluster: &Cluster) -> Result<()> {
    let config = config(&cluster.bootstrap_servers());
    let topic = "refused-idempotence";
    let record = Record::new(topic, &b"value"[..]);
    refused(cluster, topic, config, record, "enable.idempotence=false")
}

/// Sends a header to a broker whose message format has none.
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
    // Only the outcome of the record matters, not that of `close`.
    drop(producer.close());
    outcome.map(drop)
}
