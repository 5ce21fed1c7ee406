//! Tests of TLS clients, built from configurations, with servers in memory.

pub(crate) mod certificates;
mod handshakes;
#[cfg(feature = "pkcs12")]
mod java_stores;
#[cfg(feature = "pkcs12")]
mod jks;
mod keys;
mod reload;
mod reload_providers;
pub(crate) mod server;

use std::sync::Arc;

use self::certificates::{Authority, crypto};
use super::TlsClient;
use crate::clock::Clock;
use crate::clock::mock::MockClock;
use crate::config::ProducerConfig;
use crate::error::ConfigError;
use crate::security::background::{Background, Wake};
use crate::util::log::LogContext;

/// The client of a configuration with `security.protocol=SSL`.
pub(crate) fn client_of(entries: &[(&str, &str)]) -> Result<TlsClient, ConfigError> {
    let clock: Arc<dyn Clock> = Arc::new(MockClock::new());
    client_at(entries, &clock)
}

/// As `client_of`, with this clock.
fn client_at(entries: &[(&str, &str)], clock: &Arc<dyn Clock>) -> Result<TlsClient, ConfigError> {
    let entries = entries.iter().copied();
    let config = ProducerConfig::from_map(entries.chain([("security.protocol", "SSL")]))?;
    let log = LogContext::for_tests();
    TlsClient::from_config(&config, Some(crypto()), clock, &log, at_once())
}

/// Background work that runs on the calling thread.
fn at_once() -> Background {
    Background {
        run: Arc::new(|work| {
            work();
            Ok(())
        }),
        wake: Arc::new(Wake::default()),
    }
}

/// A client that trusts this authority only.
pub(crate) fn client_trusting(authority: &Authority) -> TlsClient {
    client_of(&[
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.certificates", &authority.pem()),
    ])
    .unwrap()
}
