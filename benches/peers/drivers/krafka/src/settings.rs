//! Translates the setup into the client's builders.

use std::collections::BTreeMap;
use std::time::Duration;

use driver_kit::runtime::Tokio;
use driver_kit::{About, Refusal, SIZED_UNCOMPRESSED, Setup};
use krafka::auth::{AuthConfig, TlsConfig};
use krafka::producer::{Acks, ProducerBuilder};
use krafka::{Compression, Kafka, KafkaBuilder};

/// The version in the manifest; the crate does not export its version.
const CLIENT: &str = "krafka 0.28.1";

pub fn connection(setup: &Setup) -> KafkaBuilder {
    let mut builder = Kafka::builder(setup.bootstrap.as_str());
    if let Some(authority) = &setup.authority {
        let tls = TlsConfig::new().with_ca_cert(authority);
        builder = builder.security(AuthConfig::ssl(tls));
    }
    if setup.defaults {
        return builder;
    }
    let request_timeout = Duration::from_millis(setup.request_timeout_ms);
    builder
        .max_in_flight_requests(setup.max_in_flight)
        .request_timeout(request_timeout)
        // It must not exceed the request timeout.
        .connect_timeout(CONNECT_TIMEOUT.min(request_timeout))
}

pub fn producer(builder: ProducerBuilder, setup: &Setup) -> Result<ProducerBuilder, Refusal> {
    if setup.defaults {
        return Ok(builder);
    }
    let acks = match setup.acks.as_str() {
        "0" => Acks::None,
        "1" => Acks::Leader,
        "all" => Acks::All,
        other => return Err(Refusal::Failed(format!("acks is not {other}"))),
    };
    let compression = match setup.compression.as_str() {
        "none" => Compression::None,
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        other => return Err(Refusal::Unable(format!("krafka has no codec {other}."))),
    };
    Ok(builder
        .compression(compression)
        .acks(acks)
        .idempotent(setup.idempotent)
        .linger(Duration::from_millis(setup.linger_ms))
        .batch_size(setup.batch_bytes)
        .buffer_memory(setup.buffer_bytes)
        .delivery_timeout(Duration::from_millis(setup.delivery_timeout_ms)))
}

fn settings(setup: &Setup) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut set = |key: &str, value: String| {
        settings.insert(key.to_owned(), value);
    };
    set("bootstrap_servers", setup.bootstrap.clone());
    if let Some(authority) = &setup.authority {
        set("security", "ssl".to_owned());
        set("with_ca_cert", authority.clone());
    }
    if !setup.defaults {
        set("max_in_flight_requests", setup.max_in_flight.to_string());
        set(
            "request_timeout",
            format!("{} ms", setup.request_timeout_ms),
        );
        let connect_timeout = CONNECT_TIMEOUT.min(Duration::from_millis(setup.request_timeout_ms));
        set("connect_timeout", format!("{connect_timeout:?}"));
        set("acks", setup.acks.clone());
        set("idempotent", setup.idempotent.to_string());
        set("linger", format!("{} ms", setup.linger_ms));
        set("batch_size", setup.batch_bytes.to_string());
        set("compression", setup.compression.clone());
        set("buffer_memory", setup.buffer_bytes.to_string());
        set(
            "delivery_timeout",
            format!("{} ms", setup.delivery_timeout_ms),
        );
    }
    settings
}

pub fn about(setup: &Setup, tokio: &Tokio) -> About {
    let mut unequal = vec![
        "It takes owned bytes only, so each value and key is copied into a Bytes first, as its users do; others copy \
         from the caller's memory into the batch."
            .into(),
    ];
    if !setup.defaults && setup.partition.is_none() && setup.keys.is_none() {
        unequal.push(
            "Without key, the partition changes every batch_size bytes (KIP-794, as in Java 4.4.0); Java 3.0.0 changes \
             it when a batch is full or sent."
                .into(),
        );
    }
    if setup.compresses() {
        unequal.push(SIZED_UNCOMPRESSED.into());
    }
    let counting = if setup.callback {
        "It has no callbacks: a task awaits each record's delivery handle and counts it."
    } else {
        "The delivery handle is dropped, flush waits for all records, and the client's count of failed batches tells \
         whether any failed."
    };
    About {
        client: CLIENT.into(),
        settings: settings(setup),
        unequal,
        notes: vec![
            tokio.note(
                "each sending thread blocks on one future that enqueues its records one after the other, which waits \
                 only while the client is full.",
            ),
            counting.into(),
        ],
    }
    .with_tls_of(setup, "rustls with ring, the client's default provider")
}

/// The default of the client.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
