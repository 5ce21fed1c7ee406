//! Translates the setup into the client's keys, which are Kafka's.

use std::collections::BTreeMap;

use driver_kit::runtime::Tokio;
use driver_kit::{About, Setup};

/// The version in the manifest; the crate does not export its version.
const CLIENT: &str = "kacrab 0.4.0";

pub fn of(setup: &Setup) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut set = |key: &str, value: String| {
        settings.insert(key.to_owned(), value);
    };
    set("bootstrap.servers", setup.bootstrap.clone());
    if let Some(authority) = &setup.authority {
        set("security.protocol", "SSL".to_owned());
        set("ssl.truststore.type", "PEM".to_owned());
        set("ssl.truststore.location", authority.clone());
    }
    if !setup.defaults {
        set("acks", setup.acks.clone());
        set("enable.idempotence", setup.idempotent.to_string());
        set("linger.ms", setup.linger_ms.to_string());
        set("batch.size", setup.batch_bytes.to_string());
        set("buffer.memory", setup.buffer_bytes.to_string());
        let in_flight = setup.max_in_flight.to_string();
        set("max.in.flight.requests.per.connection", in_flight);
        set("request.timeout.ms", setup.request_timeout_ms.to_string());
        set("delivery.timeout.ms", setup.delivery_timeout_ms.to_string());
        set("compression.type", setup.compression.clone());
        if setup.compression == "gzip" {
            // The client converts the default -1 into 0, which does not compress; other clients use 6.
            set("compression.gzip.level", "6".to_owned());
        }
    }
    settings
}

pub fn about(setup: &Setup, settings: BTreeMap<String, String>, tokio: &Tokio) -> About {
    let mut unequal = vec![
        "It takes owned bytes only, so each value and key is copied into a Bytes first, as its users do; others copy \
         from the caller's memory into the batch."
            .into(),
    ];
    if !setup.defaults && setup.partition.is_none() && setup.keys.is_none() {
        unequal.push(
            "Without key, the partition changes every batch.size bytes and long queues are avoided (KIP-794, as in \
             Java 4.4.0); Java 3.0.0 changes it when a batch is full or sent."
                .into(),
        );
    }
    let counting = "With and without callback, a task awaits each delivery's future: a callback that is registered \
                    while its batch is being acknowledged is never called, and neither flush nor the metrics tell of \
                    all failures.";
    About {
        client: CLIENT.into(),
        settings,
        unequal,
        notes: vec![
            tokio.note(
                "sending threads call its send, which is not async and spins while the client is full.",
            ),
            counting.into(),
        ],
    }
    .with_tls_of(setup, "rustls with aws-lc-rs, the first provider in the client's documentation")
}
