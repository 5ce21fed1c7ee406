//! TLS and SASL with real brokers: every mechanism inside every version of TLS, what goes wrong and how it is told, and
//! configurations as vendors print them.
//!
//! All of it, and the tables for README and SECURITY: `KAFKA_TESTS=required cargo test --test kafka -- security --publish`.

#[path = "../../../src/security/tls/tests/certificates.rs"]
mod certificates;
pub(crate) mod failures;
pub(crate) mod records;
mod rig;
mod table;
pub(crate) mod vendors;

pub(crate) use certificates::Authority;
pub(crate) use rig::{stop, trusting, with_identity};

/// Writes what was found into the documentation; false if nothing was run.
pub(crate) fn publish() -> Result<bool, Box<dyn std::error::Error>> {
    Ok(table::publish()? | failures::publish()?)
}
