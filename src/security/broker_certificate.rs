//! The certificate of a broker, for people.

use std::time::Duration;

/// Names and end of validity of a broker's certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BrokerCertificate {
    /// The subject, as `CN=kafka-1, O=Example`; empty if the certificate names only hosts.
    pub subject: String,
    /// The issuer.
    pub issuer: String,
    /// The end of its validity, as a date and time in UTC.
    pub valid_until: Option<String>,
    /// Time until the end of its validity when it was read: zero if it has ended.
    pub valid_for: Option<Duration>,
}
