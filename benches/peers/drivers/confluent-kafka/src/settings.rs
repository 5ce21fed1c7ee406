//! Translates the setup into the client's keys, which are Kafka's.

use std::collections::HashMap;

use confluent_kafka::producer::ProducerConfig;
use driver_kit::runtime::Tokio;
use driver_kit::{About, Refusal, Setup};

/// The version in the manifest; the crate does not export its version.
const CLIENT: &str = "confluent-kafka 1.0.0";

pub fn of(setup: &Setup, tokio: &Tokio) -> Result<(ProducerConfig, About), Refusal> {
    let mut settings = HashMap::new();
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
        // Java's hash of keys; the default of this client is CRC-32.
        set("partitioner.type", "Murmur2RandomPartitioner".into());
    }
    let config =
        ProducerConfig::new(&settings).map_err(|error| Refusal::Unable(error.to_string()))?;
    let mut unequal = Vec::new();
    if !setup.defaults && setup.partition.is_none() && setup.keys.is_none() {
        unequal.push(
            "Without key, the partition changes every batch.size bytes and long queues are avoided (KIP-794, as in \
             Java 4.4.0); Java 3.0.0 changes it when a batch is full or sent."
                .into(),
        );
    }
    let counting = if setup.callback {
        "Ends are counted in the callback of send, a boxed closure for each record, as the client wants it."
    } else {
        "No callback: flush waits for all records, and the metric record-error-total tells how many failed."
    };
    let about = About {
        client: CLIENT.into(),
        settings: settings.into_iter().collect(),
        unequal,
        notes: vec![
            tokio.note(
                "each sending thread blocks on one future that sends its records one after the other, which waits \
                 only while the client is full.",
            ),
            counting.into(),
        ],
    }
    .with_tls_of(setup, "rustls with aws-lc-rs, the client's only provider");
    Ok((config, about))
}
