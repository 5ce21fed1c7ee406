//! Translates the setup into librdkafka's keys.

use std::collections::BTreeMap;

use driver_kit::{About, SIZED_UNCOMPRESSED, Setup};
use rdkafka::config::ClientConfig;
use rdkafka::util::get_rdkafka_version;

/// The version in the lock file; the crate does not export its version.
const CRATE: &str = "rdkafka 0.39.0";

pub fn of(setup: &Setup) -> (ClientConfig, BTreeMap<String, String>) {
    let mut settings = BTreeMap::new();
    let mut set = |key: &str, value: String| {
        settings.insert(key.to_owned(), value);
    };
    set("bootstrap.servers", setup.bootstrap.clone());
    if let Some(id) = setup.transactional_id() {
        set("transactional.id", id);
        // librdkafka rejects a value below message.timeout.ms.
        set(
            "transaction.timeout.ms",
            setup.delivery_timeout_ms.to_string(),
        );
    }
    if let Some(authority) = &setup.authority {
        set("security.protocol", "SSL".into());
        set("ssl.ca.location", authority.clone());
    }
    if !setup.callback {
        set("delivery.report.only.error", "true".into());
    }
    if !setup.defaults {
        set("acks", setup.acks.clone());
        set("enable.idempotence", setup.idempotent.to_string());
        set("queue.buffering.max.ms", setup.linger_ms.to_string());
        // With 0 each record without a key would go to a different partition than the one before.
        let sticky = setup.linger_ms.max(1);
        set("sticky.partitioning.linger.ms", sticky.to_string());
        set("batch.size", setup.batch_bytes.to_string());
        // The limits are sizes in bytes, as in other clients, and not record counts.
        set("batch.num.messages", "1000000".into());
        set("queue.buffering.max.messages", "0".into());
        let kbytes = (setup.buffer_bytes / 1024).max(1);
        set("queue.buffering.max.kbytes", kbytes.to_string());
        let in_flight = setup.max_in_flight.to_string();
        set("max.in.flight.requests.per.connection", in_flight);
        set("request.timeout.ms", setup.request_timeout_ms.to_string());
        set("socket.timeout.ms", setup.request_timeout_ms.to_string());
        set("message.timeout.ms", setup.delivery_timeout_ms.to_string());
        set("compression.type", setup.compression.clone());
        set("socket.nagle.disable", "true".into());
        set("partitioner", "murmur2_random".into());
    }
    let mut config = ClientConfig::new();
    for (key, value) in &settings {
        config.set(key, value);
    }
    (config, settings)
}

pub fn about(setup: &Setup, is_threaded: bool, settings: BTreeMap<String, String>) -> About {
    let mut unequal = Vec::new();
    if !setup.defaults {
        unequal.push(
            "A request carries one batch of one partition, where others put one of each partition into it; \
             so as many requests in flight hold fewer records."
                .into(),
        );
        unequal.push(
            "The queue's limit counts the bytes of keys and values, not the memory around them, which others \
             count."
                .into(),
        );
        if setup.compresses() {
            unequal.push(SIZED_UNCOMPRESSED.into());
        }
        if setup.partition.is_none() && setup.keys.is_none() {
            unequal.push(
                "Records without key change the partition after a time, sticky.partitioning.linger.ms, which is \
                 as long as the linger here; others change it with the batch."
                    .into(),
            );
        }
    }
    let polling = if is_threaded {
        "The crate's thread polls; when the queue is full, senders sleep 0.5 ms and try again."
    } else {
        "Each sending thread polls after each send; when the queue is full it sleeps 0.5 ms and polls until nothing is \
         due; one by one it polls without a pause until the report is there, since a longer poll of this crate never \
         returns early."
    };
    let counting = if setup.callback {
        "Ends are counted in the delivery callback; in place of the crate's flush, which looks every 100 ms, the \
         number of records in flight is looked at every 0.5 ms."
    } else {
        "Without callback, only failures are reported (delivery.report.only.error), and the number of records in \
         flight, looked at every 0.5 ms, tells when all have ended."
    };
    About {
        client: format!("librdkafka {} through {CRATE}", get_rdkafka_version().1),
        settings,
        unequal,
        notes: vec![polling.into(), counting.into()],
    }
    .with_tls_of(setup, "the machine's OpenSSL")
}
