//! What connections are secured with: bytes in, bytes out, no socket. The network carries the bytes.
//!
//! | file | what is in it |
//! |---|---|
//! | `tls` | who the brokers are, and that nobody else reads: from the `ssl.*` keys to sessions |
//! | `sasl` | who the client is: from the `sasl.*` keys to exchanges |
//!
//! Everything is read, checked and made once, while the producer is constructed; connections then only use it.

pub(crate) mod sasl;
#[cfg(feature = "tls-no-provider")]
pub(crate) mod tls;

use self::sasl::outside::Outside;
use self::sasl::{FetchToken, SaslClient};
use crate::config::{ProducerConfig, SecurityProtocol};
use crate::error::ConfigError;

/// What the user handed over as values, beside the configuration.
#[derive(Clone, Default)]
pub(crate) struct SecurityParts {
    /// Whose cryptography TLS uses.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) crypto_provider: Option<std::sync::Arc<rustls::crypto::CryptoProvider>>,
    /// Where tokens come from.
    pub(crate) tokens: Option<FetchToken>,
}

/// What the connections of a producer are secured with, as `security.protocol` says.
#[derive(Debug, Clone)]
pub(crate) struct Security {
    pub(crate) protocol: SecurityProtocol,
    /// There if the protocol uses TLS.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) tls: Option<tls::TlsClient>,
    /// There if the protocol uses SASL.
    pub(crate) sasl: Option<SaslClient>,
}

impl Security {
    /// Reads and checks all that the protocol needs.
    ///
    /// # Errors
    /// Which key is to be changed, and how.
    /// # Blocking
    /// Reads files.
    pub(crate) fn from_config(
        config: &ProducerConfig,
        parts: SecurityParts,
        outside: Outside,
    ) -> Result<Self, ConfigError> {
        let protocol = config.security_protocol();
        #[cfg(feature = "tls-no-provider")]
        let tls = protocol
            .uses_tls()
            .then(|| {
                let provider = parts.crypto_provider;
                tls::TlsClient::from_config(config, provider, &outside.clock, &outside.log)
            })
            .transpose()?;
        let sasl = protocol
            .uses_sasl()
            .then(|| SaslClient::from_config(config, parts.tokens, outside))
            .transpose()?;
        Ok(Self {
            protocol,
            #[cfg(feature = "tls-no-provider")]
            tls,
            sasl,
        })
    }
}
