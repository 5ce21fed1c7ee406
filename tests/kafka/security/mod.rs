//! TLS and SASL with real brokers: every mechanism inside every version of TLS, failures and their errors, stores in
//! Java's formats, certificates that are replaced, and configurations published by vendors.
//!
//! To run all of it and update the tables in README and SECURITY:
//! `KAFKA_TESTS=required cargo test --features oidc --test kafka -- security --publish`.

#[path = "../../../src/security/tls/tests/certificates.rs"]
mod certificates;
pub(crate) mod failures;
#[cfg(feature = "gssapi")]
pub(crate) mod gssapi;
#[cfg(feature = "oidc")]
#[path = "../../../src/security/http/tests/server.rs"]
mod http_server;
#[cfg(feature = "oidc")]
mod identity_provider;
pub(crate) mod java_stores;
mod negotiated;
pub(crate) mod records;
pub(crate) mod reload;
mod rig;
mod table;
pub(crate) mod vendors;

pub(crate) use certificates::Authority;
pub(crate) use rig::{stop, trusting, with_identity};

/// Writes the results into the documentation; returns false if there are none.
pub(crate) fn publish() -> Result<bool, Box<dyn std::error::Error>> {
    Ok(table::publish()? | failures::publish()?)
}
