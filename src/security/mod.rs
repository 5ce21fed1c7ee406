//! What connections are secured with: bytes in, bytes out, no socket.
//!
//! | file | what is in it |
//! |---|---|
//! | `tls` | TLS: from the `ssl.*` keys to sessions |
//!
//! Everything is read, checked and made once, while the producer is constructed; connections then only use it.

#[cfg(feature = "tls-no-provider")]
pub(crate) mod tls;

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::{ProducerConfig, SecurityProtocol};
use crate::error::ConfigError;
use crate::util::log::LogContext;

/// What the user handed over as values, beside the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct SecurityParts {
    /// Whose cryptography TLS uses.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) crypto_provider: Option<Arc<rustls::crypto::CryptoProvider>>,
}

/// What the connections of a producer are secured with, as `security.protocol` says.
#[derive(Debug, Clone)]
pub(crate) struct Security {
    pub(crate) protocol: SecurityProtocol,
    /// There if the protocol uses TLS.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) tls: Option<tls::TlsClient>,
}

impl Security {
    /// Reads and checks all that the protocol needs.
    ///
    /// # Errors
    /// Which key is to be changed, and how.
    /// # Blocking
    /// Reads files.
    #[cfg_attr(
        not(feature = "tls-no-provider"),
        allow(
            clippy::unnecessary_wraps,
            reason = "nothing can be wrong where there is no TLS"
        )
    )]
    pub(crate) fn from_config(
        config: &ProducerConfig,
        parts: &SecurityParts,
        clock: &Arc<dyn Clock>,
        log: &LogContext,
    ) -> Result<Self, ConfigError> {
        let protocol = config.security_protocol();
        // Without TLS in the build nothing asks for these.
        let _ = (parts, clock, log);
        Ok(Self {
            protocol,
            #[cfg(feature = "tls-no-provider")]
            tls: protocol
                .uses_tls()
                .then(|| {
                    let provider = parts.crypto_provider.clone();
                    tls::TlsClient::from_config(config, provider, clock, log)
                })
                .transpose()?,
        })
    }
}
