//! Translates the setup into the client's builder.

use std::collections::BTreeMap;
use std::time::Duration;

use driver_kit::{About, Refusal, SIZED_UNCOMPRESSED, Setup};
use rustfs_kafka::client::{KafkaClient, ProducerTimestamp};
use rustfs_kafka::producer::{BatchProducer, Compression, RequiredAcks};

/// The version in the manifest; the crate does not export its version.
const CLIENT: &str = "rustfs-kafka 1.4.1";

/// The default of the client.
const DEFAULT_LINGER: Duration = Duration::from_millis(5);

pub fn producer(setup: &Setup) -> Result<(BatchProducer, Duration), Refusal> {
    if setup.authority.is_some() {
        return Err(Refusal::Unable(
            "rustfs-kafka 1.4.1 with TLS asks for webpki-roots 1.0.11, which could not be had (1.0.10 was the newest).".into(),
        ));
    }
    let hosts = setup.bootstrap.split(',').map(str::to_owned).collect();
    let failed = |error: rustfs_kafka::Error| Refusal::Failed(error.to_string());
    if setup.defaults {
        let builder = BatchProducer::from_hosts(hosts);
        return Ok((builder.create().map_err(failed)?, DEFAULT_LINGER));
    }
    if setup.idempotent {
        return Err(Refusal::Unable(
            "rustfs-kafka has idempotence only in transactions.".into(),
        ));
    }
    let acks = match setup.acks.as_str() {
        "0" => RequiredAcks::None,
        "1" => RequiredAcks::One,
        "all" => RequiredAcks::All,
        other => return Err(Refusal::Failed(format!("acks is not {other}"))),
    };
    let compression = match setup.compression.as_str() {
        "none" => Compression::NONE,
        "gzip" => Compression::GZIP,
        "snappy" => Compression::SNAPPY,
        "lz4" => Compression::LZ4,
        "zstd" => Compression::ZSTD,
        other => {
            return Err(Refusal::Unable(format!(
                "rustfs-kafka has no codec {other}."
            )));
        }
    };
    let mut client = KafkaClient::new(hosts);
    // Without this setting the timestamp of records is 0.
    client.set_producer_timestamp(Some(ProducerTimestamp::CreateTime));
    client.load_metadata_all().map_err(failed)?;
    let producer = BatchProducer::from_client(client)
        .with_required_acks(acks)
        .with_linger(setup.linger_ms)
        .with_batch_size(usize::MAX)
        .with_max_batch_bytes(max_batch_bytes(setup))
        .with_ack_timeout(Duration::from_millis(setup.request_timeout_ms))
        .with_compression(compression)
        .create()
        .map_err(failed)?;
    Ok((producer, Duration::from_millis(setup.linger_ms)))
}

/// The batch size for the client, whose limit applies to all partitions together.
fn max_batch_bytes(setup: &Setup) -> usize {
    let partitions = match setup.partition {
        Some(_) => 1,
        None => usize::try_from(setup.partitions).unwrap_or(1),
    };
    setup.batch_bytes * partitions
}

fn settings(setup: &Setup) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut set = |key: &str, value: String| {
        settings.insert(key.to_owned(), value);
    };
    set("hosts", setup.bootstrap.clone());
    if !setup.defaults {
        set("with_required_acks", setup.acks.clone());
        set("with_linger", setup.linger_ms.to_string());
        set("with_batch_size", "usize::MAX".into());
        set("with_max_batch_bytes", max_batch_bytes(setup).to_string());
        set(
            "with_ack_timeout",
            format!("{} ms", setup.request_timeout_ms),
        );
        set("with_compression", setup.compression.to_uppercase());
        set("set_producer_timestamp", "CreateTime".into());
    }
    settings
}

pub fn about(setup: &Setup) -> About {
    let mut of_codec = Vec::new();
    if setup.compresses() {
        of_codec.push(SIZED_UNCOMPRESSED.into());
    }
    if !setup.defaults && setup.compression == "lz4" {
        of_codec.push(
            "lz4 is at level 4, of the slower and denser kind, and cannot be set; others take the quick kind."
                .into(),
        );
    }
    About {
        client: CLIENT.into(),
        settings: settings(setup),
        unequal: [
            "One request is under way at a time, and the sending thread waits for its answer; nothing is sent and no \
             record taken meanwhile."
                .into(),
            "Its limit on a batch is for all partitions together and counts keys and values only: it is set to the \
             batch size times the number of partitions. It needs no larger buffer."
                .into(),
            "Records without key go to all partitions in turn, and keys are hashed with xxHash.".into(),
            "It has no time limit for delivery.".into(),
            "All records of a request get the time of the request (none at all with its defaults); others look at the \
             clock for each record."
                .into(),
        ]
        .into_iter()
        .chain(of_codec)
        .collect(),
        notes: vec![
            "Sending takes the producer as &mut, so threads share it through a mutex.".into(),
            "It has no callbacks: the records of a batch end when the call returns that sent it.".into(),
            "It looks at its linger only when it is called: at a fixed rate the driver flushes when it is over.".into(),
        ],
    }
}
