//! TLS and SASL as sans-I/O state machines: bytes in, bytes out, no socket. The network layer moves the bytes. Only `http`
//! has sockets of its own, which it uses on a helper thread.
//!
//! | file | what is in it |
//! |---|---|
//! | `tls` | server authentication and encryption: from the `ssl.*` keys to TLS sessions |
//! | `sasl` | client authentication: from the `sasl.*` keys to SASL exchanges |
//! | `background` | the helper thread for slow work of both, and the waker of the poller |
//! | `http` | the HTTP client for token endpoints and credential services, on a helper thread |
//! | `broker_certificate` | names and dates of a broker's certificate, for people |
//! | `tls_reload` | the result of reloading the files of TLS |
//!
//! All keys and files are read and validated while the producer is constructed; connections share the result. The files
//! of TLS are read again if `ssl.reload.interval.ms` is set, or by a call.

pub(crate) mod background;
#[cfg(feature = "cli")]
mod broker_certificate;
#[cfg(feature = "http-client")]
#[allow(dead_code, reason = "each of its users needs a part")]
pub(crate) mod http;
pub(crate) mod sasl;
#[cfg(feature = "tls-no-provider")]
pub(crate) mod tls;
mod tls_reload;

use std::sync::Arc;

use self::background::Wake;
#[cfg(feature = "cli")]
pub use self::broker_certificate::BrokerCertificate;
use self::sasl::dependencies::SaslDependencies;
use self::sasl::{FetchToken, SaslClient};
pub use self::tls_reload::TlsReload;
use crate::config::{ProducerConfig, SecurityProtocol};
use crate::error::ConfigError;

/// The security plug-ins that the user passes as values, in addition to the configuration.
#[derive(Clone, Default)]
pub(crate) struct SecurityParts {
    /// The cryptography provider of TLS; `None` for the default of this build.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) crypto_provider: Option<Arc<rustls::crypto::CryptoProvider>>,
    /// The source of OAUTHBEARER tokens; `None` if no provider was passed.
    pub(crate) tokens: Option<FetchToken>,
}

#[cfg(test)]
impl SecurityParts {
    /// No plug-in but this source of tokens.
    pub(crate) fn with_tokens(tokens: Option<FetchToken>) -> Self {
        Self {
            #[cfg(feature = "tls-no-provider")]
            crypto_provider: None,
            tokens,
        }
    }
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
    wake: Arc<Wake>,
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
        let wake = Arc::clone(&dependencies.wake);
        #[cfg(feature = "tls-no-provider")]
        let tls = protocol
            .uses_tls()
            .then(|| {
                let background = background::Background {
                    run: Arc::clone(&dependencies.run),
                    wake: Arc::clone(&wake),
                };
                tls::TlsClient::from_config(
                    config,
                    parts.crypto_provider.clone(),
                    &dependencies.clock,
                    &dependencies.log,
                    background,
                )
            })
            .transpose()?;
        let sasl = protocol
            .uses_sasl()
            .then(|| SaslClient::from_config(config, parts, dependencies))
            .transpose()?;
        Ok(Self {
            protocol,
            #[cfg(feature = "tls-no-provider")]
            tls,
            sasl,
            wake,
        })
    }

    /// Sets the function that wakes the poller when work of a helper thread has ended: the SCRAM keys or the token that
    /// a connection waits for are ready, or the files of TLS were read.
    pub(crate) fn attach(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.wake.attach(wake);
    }
}
