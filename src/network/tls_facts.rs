//! What a connection shows of its TLS session, for tools that diagnose.

use crate::security::BrokerCertificate;

/// TLS version and broker's certificate of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFacts {
    /// The TLS version, by its name in Java.
    pub protocol: String,
    /// The cipher suite, by its name in Java.
    pub suite: String,
    /// The broker's certificate; `None` if it cannot be parsed.
    pub certificate: Option<BrokerCertificate>,
}
