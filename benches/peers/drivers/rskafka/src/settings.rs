//! Translates the setup into the client's settings, as far as the client supports it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use driver_kit::runtime::Tokio;
use driver_kit::{About, Refusal, SIZED_UNCOMPRESSED, Setup};
use rskafka::client::partition::Compression;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// The version in the manifest; the crate does not export its version.
const CLIENT: &str = "rskafka 0.6.0";

/// The value in the example of the documentation; the crate has no default.
const DEFAULT_BATCH_BYTES: usize = 1024;
/// The default of the batching producer.
const DEFAULT_LINGER: Duration = Duration::from_millis(5);

pub fn check(setup: &Setup) -> Result<(), Refusal> {
    if setup.defaults {
        return Ok(());
    }
    if setup.idempotent {
        return Err(Refusal::Unable("rskafka has no idempotence.".into()));
    }
    if setup.acks != "all" {
        return Err(Refusal::Unable("rskafka always asks for acks=all.".into()));
    }
    Ok(())
}

pub fn batching(setup: &Setup) -> (usize, Duration) {
    if setup.defaults {
        (DEFAULT_BATCH_BYTES, DEFAULT_LINGER)
    } else {
        (setup.batch_bytes, Duration::from_millis(setup.linger_ms))
    }
}

/// The compression. The client has fixed levels: gzip 6, zstd 3, the fastest lz4.
pub fn compression(setup: &Setup) -> Result<Compression, Refusal> {
    match setup.compression.as_str() {
        _ if setup.defaults => Ok(Compression::NoCompression),
        "none" => Ok(Compression::NoCompression),
        "gzip" => Ok(Compression::Gzip),
        "snappy" => Ok(Compression::Snappy),
        "lz4" => Ok(Compression::Lz4),
        "zstd" => Ok(Compression::Zstd),
        other => Err(Refusal::Unable(format!("rskafka has no codec {other}."))),
    }
}

/// The TLS configuration; `None` without TLS.
pub fn tls(setup: &Setup) -> Result<Option<Arc<ClientConfig>>, Refusal> {
    let Some(authority) = &setup.authority else {
        return Ok(None);
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).map_err(Refusal::failed)? {
        let certificate = certificate.map_err(Refusal::failed)?;
        roots.add(certificate).map_err(Refusal::failed)?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    Ok(Some(Arc::new(config.with_no_client_auth())))
}

/// The maximum number of records in flight. The client has no limit of its own, so the driver sets one.
pub fn under_way_max(setup: &Setup) -> usize {
    let record = setup.payload_bytes + setup.key_bytes;
    (setup.buffer_bytes / record.max(1) / setup.threads.max(1)).max(1)
}

pub fn about(setup: &Setup, under_way_max: usize, tokio: &Tokio) -> About {
    let (batch_bytes, linger) = batching(setup);
    let mut settings = BTreeMap::new();
    let mut set = |key: &str, value: String| {
        settings.insert(key.to_owned(), value);
    };
    set("bootstrap_brokers", setup.bootstrap.clone());
    if let Some(authority) = &setup.authority {
        set("tls_config, with_root_certificates", authority.clone());
    }
    set("RecordAggregator", format!("{batch_bytes} bytes"));
    set("with_linger", format!("{linger:?}"));
    let compression = compression(setup).unwrap_or_default();
    set("with_compression", format!("{compression:?}"));
    let mut unequal = Vec::new();
    if compression != Compression::NoCompression {
        unequal.push(SIZED_UNCOMPRESSED.into());
    }
    if compression == Compression::Snappy {
        unequal.push(
            "It makes one bare Snappy block of a batch, where others write snappy-java's blocks of 32 KiB."
                .into(),
        );
    }
    About {
        client: CLIENT.into(),
        settings,
        unequal: [
            "It takes owned bytes only, so each value and key is copied into a Vec first, as its users do; others copy \
             from the caller's memory into the batch."
                .into(),
            "It does not choose partitions: the driver hashes keys (with SipHash), and fills one batch of one \
             partition after the other with records without key."
                .into(),
            format!(
                "It bounds no memory: the driver keeps {under_way_max} records under way for each sending thread, as \
                 many as the buffer would hold."
            ),
            "Requests in flight are not limited, a request carries one batch of one partition, and there are no \
             timeouts for requests and deliveries (the broker is given 30 s)."
                .into(),
        ]
        .into_iter()
        .chain(unequal)
        .collect(),
        notes: vec![
            tokio.note(
                "each sending thread blocks on a set of futures, one for each record under way, of the batching \
                 producer of the record's partition. At a fixed rate each record is a task.",
            ),
            "With and without callback each record's future is awaited: one that is dropped may take its record \
             along. One by one, each record is a request, without the batching producer, whose timer ticks in \
             milliseconds."
                .into(),
        ],
    }
    .with_tls_of(setup, "rustls with ring, the client's only provider")
}
