//! What a broker is too old for ends with an error that says what to do, and leaves nothing in the log.

use kafka_producer::{ProducerConfigBuilder, ProducerRecord};

use crate::harness::{Cluster, Failure, Result};
use crate::producer::{build, config};

/// A broker that does not know the codec.
pub(super) fn of_codec(cluster: &Cluster, codec: &str) -> Result<()> {
    let config = config(&cluster.bootstrap_servers())
        .enable_idempotence(false)
        .set("compression.type", codec);
    refused(cluster, config, "compression.type")
}

/// A broker that hands out no producer ids.
pub(super) fn of_idempotence(cluster: &Cluster) -> Result<()> {
    let config = config(&cluster.bootstrap_servers());
    refused(cluster, config, "enable.idempotence=false")
}

fn refused(cluster: &Cluster, config: ProducerConfigBuilder, remedy: &str) -> Result<()> {
    const TOPIC: &str = "refused";
    cluster.create_topic(TOPIC, 1, &[])?;
    let Err(why) = send_one(config, TOPIC) else {
        return Err(Failure::new("the record was taken instead of refused"));
    };
    println!("    refused: {why}");
    if !why.contains(remedy) {
        return Err(Failure::new(format!(
            "it says {why:?} and not a word of {remedy}"
        )));
    }
    let mut count = 0;
    cluster.read_back(TOPIC, |_| count += 1)?;
    cluster.delete_topic(TOPIC)?;
    if count > 0 {
        return Err(Failure::new("the record was refused, and is in the log"));
    }
    Ok(())
}

fn send_one(config: ProducerConfigBuilder, topic: &str) -> std::result::Result<(), String> {
    let producer = build(config).map_err(|error| error.to_string())?;
    let record = ProducerRecord::<[u8], [u8]>::new(topic, &b"value"[..]);
    let sent = producer.send(record).map_err(|error| error.to_string());
    let outcome = sent.and_then(|future| future.get().map_err(|error| error.to_string()));
    // What is asked here is answered.
    drop(producer.close());
    outcome.map(drop)
}
