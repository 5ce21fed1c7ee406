//! TLS and SASL as sans-I/O state machines: bytes in, bytes out, no socket. The network layer moves the bytes.
//!
//! | file | what is in it |
//! |---|---|
//! | `tls` | server authentication and encryption: from the `ssl.*` keys to TLS sessions |
//! | `sasl` | client authentication: from the `sasl.*` keys to SASL exchanges |
//! | `broker_certificate` | names and dates of a broker's certificate, for people |
//!
//! All keys and files are read and validated once, while the producer is constructed; connections share the result.

#[cfg(feature = "cli")]
mod broker_certificate;
pub(crate) mod sasl;
#[cfg(feature = "tls-no-provider")]
pub(crate) mod tls;

#[cfg(feature = "cli")]
pub use self::broker_certificate::BrokerCertificate;
use self::sasl::dependencies::SaslDependencies;
use self::sasl::{FetchToken, SaslClient};
use crate::config::{ProducerConfig, SecurityProtocol};
use crate::error::ConfigError;

/// The security plug-ins that the user passes as values, in addition to the configuration.
#[derive(Clone, Default)]
pub(crate) struct SecurityParts {
    /// The cryptography provider of TLS; `None` for the default of this build.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) crypto_provider: Option<std::sync::Arc<rustls::crypto::CryptoProvider>>,
    /// The source of OAUTHBEARER tokens; `None` if no provider was passed.
    pub(crate) tokens: Option<FetchToken>,
}

/// The TLS and SASL clients of a producer, according to `security.protocol`.
#[derive(Debug, Clone)]
pub(crate) struct Security {
    pub(crate) protocol: SecurityProtocol,
    /// `Some` if the protocol uses TLS.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) tls: Option<tls::TlsClient>,
    /// `Some` if the protocol uses SASL.
    pub(crate) sasl: Option<SaslClient>,
}

impl Security {
    /// Reads and validates the keys that the protocol needs.
    ///
    /// # Errors
    /// The invalid key, and how to correct it.
    /// # Blocking
    /// Reads files.
    pub(crate) fn from_config(
        config: &ProducerConfig,
        parts: SecurityParts,
        dependencies: SaslDependencies,
    ) -> Result<Self, ConfigError> {
        let protocol = config.security_protocol();
        #[cfg(feature = "tls-no-provider")]
        let tls = protocol
            .uses_tls()
            .then(|| {
                let provider = parts.crypto_provider;
                tls::TlsClient::from_config(
                    config,
                    provider,
                    &dependencies.clock,
                    &dependencies.log,
                )
            })
            .transpose()?;
        let sasl = protocol
            .uses_sasl()
            .then(|| SaslClient::from_config(config, parts.tokens, dependencies))
            .transpose()?;
        Ok(Self {
            protocol,
            #[cfg(feature = "tls-no-provider")]
            tls,
            sasl,
        })
    }
}
