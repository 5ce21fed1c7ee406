//! TLS: from the `ssl.*` keys to sessions with brokers.
//!
//! | file | what is in it |
//! |---|---|
//! | `choices` | protocol versions, cipher suites, the check of names |
//! | `stores` | whom we trust, who we are: every form of trust and key store |
//! | `pem`, `pkcs12`, `file`, `der`, `ec_key` | the forms themselves |
//! | `provider` | whose cryptography is used |
//! | `verifier` | whether a broker is whom we meant |
//! | `failure` | what went wrong, and which key to change |

mod choices;
mod der;
mod ec_key;
mod failure;
mod file;
mod pem;
#[cfg(feature = "pkcs12")]
mod pkcs12;
#[cfg(not(feature = "pkcs12"))]
#[path = "no_pkcs12.rs"]
mod pkcs12;
mod provider;
mod stores;
mod verifier;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::{ClientConnection, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;

pub(crate) use self::failure::Opening;
use self::verifier::BrokerVerifier;
use crate::clock::Clock;
use crate::config::ProducerConfig;
use crate::error::ConfigError;
use crate::util::log::{self, LogContext};

/// The cryptography that is used: `given`, or that of this build.
///
/// # Errors
/// There is none.
#[cfg(feature = "testing")]
pub(crate) fn crypto_provider(
    given: Option<Arc<CryptoProvider>>,
) -> Result<Arc<CryptoProvider>, ConfigError> {
    provider::choose(given)
}

/// Sealed bytes that wait for the stream, and plain ones that wait to be sealed, are no more than this each: a few
/// records of TLS, so that one write of the system takes them.
const BUFFERED: usize = 64 * 1024;

/// Sessions that are kept to be taken up again: of TLS 1.3 up to eight for each broker, so those of 256 brokers.
const SESSIONS: usize = 8 * 256;

/// The client's side of TLS, made once for a producer. Sessions with the same broker are taken up again.
///
/// # Kafka
/// `SslFactory`, with the `DefaultSslEngineFactory`.
#[derive(Clone)]
pub(crate) struct TlsClient {
    config: Arc<ClientConfig>,
    has_certificate: bool,
}

impl TlsClient {
    /// Reads and checks the `ssl.*` keys.
    ///
    /// # Errors
    /// Which key is to be changed, and how.
    /// # Blocking
    /// Reads files.
    pub(crate) fn from_config(
        config: &ProducerConfig,
        provider: Option<Arc<CryptoProvider>>,
        clock: &Arc<dyn Clock>,
        log: &LogContext,
    ) -> Result<Self, ConfigError> {
        let mut provider = (*provider::choose(provider)?).clone();
        let choices = choices::choose(config, &mut provider)?;
        let trust = stores::trust_store(config)?;
        let own = stores::key_store(config)?;
        let verifier = BrokerVerifier::new(
            trust.roots,
            trust.certificates,
            provider.signature_verification_algorithms,
            choices.checks_name,
        );
        let mut warnings = [choices.warnings, trust.warnings].concat();
        let time = Arc::new(OurTime(Arc::clone(clock)));
        let builder = ClientConfig::builder_with_details(Arc::new(provider), time)
            .with_protocol_versions(&choices.versions)
            .map_err(|error| {
                ConfigError::invalid(
                    choices::ENABLED_PROTOCOLS,
                    None,
                    format!("the provider of cryptography cannot do it: {error}"),
                    "Change it, or use another provider",
                )
            })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let has_certificate = own.is_some();
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                warnings.extend(own.warnings);
                let key = ec_key::completed(own.key, &own.chain);
                let config = builder.with_client_auth_cert(own.chain, key);
                config.map_err(|error| own_is_no_use(own.named_by, &error))?
            }
        };
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        for warning in warnings {
            log::warn!(log, "{warning}");
        }
        Ok(Self {
            config: Arc::new(config),
            has_certificate,
        })
    }

    /// A session with the broker that is called `host`.
    ///
    /// # Errors
    /// Why none can be had: the name is none that a certificate could be for.
    pub(crate) fn session(
        &self,
        host: &Arc<str>,
        address: SocketAddr,
    ) -> Result<Session, Arc<str>> {
        let name = ServerName::try_from(host.to_string()).map_err(|_| {
            format!(
                "{host} is a name that no certificate can be for (check bootstrap.servers, and the \
                 advertised.listeners of the brokers)"
            )
        })?;
        let mut tls = ClientConnection::new(Arc::clone(&self.config), name)
            .map_err(|error| format!("no TLS can be begun: {error}"))?;
        tls.set_buffer_limit(Some(BUFFERED));
        let failures = Failures {
            host: Arc::clone(host),
            address,
            has_certificate: self.has_certificate,
        };
        Ok(Session { tls, failures })
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient")
            .field("has_certificate", &self.has_certificate)
            .finish_non_exhaustive()
    }
}

/// A session with a broker, and what names it if something goes wrong.
pub(crate) struct Session {
    pub(crate) tls: ClientConnection,
    pub(crate) failures: Failures,
}

/// Says what has gone wrong with a broker.
pub(crate) struct Failures {
    host: Arc<str>,
    address: SocketAddr,
    has_certificate: bool,
}

impl Failures {
    /// Says what an error is about, in words that name the key to change. Without an opening the
    /// broker has accepted us before.
    pub(crate) fn describe(&self, error: &rustls::Error, opening: Option<&Opening>) -> Arc<str> {
        let who = self.who();
        failure::describe(error, opening, &who, &self.host, self.has_certificate).into()
    }

    /// Whether another attempt would end the same way.
    pub(crate) fn is_for_good(error: &rustls::Error) -> bool {
        failure::is_for_good(error)
    }

    /// Said when the broker hangs up before the session stands.
    pub(crate) fn hung_up(&self, opening: &Opening) -> String {
        let who = self.who();
        if opening.is_empty() {
            format!(
                "{who} hung up when TLS was begun: a listener that takes plain connections does that (check its port, and \
                 security.protocol), as does a firewall"
            )
        } else {
            format!("{who} hung up in the middle of the TLS handshake")
        }
    }

    /// Which broker it is, the client says; here only where a name has led to.
    fn who(&self) -> String {
        match self.address.ip().to_string() {
            ip if *ip == *self.host => "the broker".to_owned(),
            ip => format!("the broker at {ip}"),
        }
    }
}

fn own_is_no_use(key: &'static str, error: &rustls::Error) -> ConfigError {
    match error {
        rustls::Error::InconsistentKeys(_) => ConfigError::invalid(
            key,
            None,
            "the private key does not belong to the first certificate of the chain",
            "Put the client's own certificate first, and its own key beside it",
        ),
        other => ConfigError::invalid(
            key,
            None,
            format!("the private key cannot be used: {other}"),
            "Use a key for RSA (2,048 bits or more), ECDSA (P-256, P-384) or Ed25519, as PKCS#8",
        ),
    }
}

/// Our clock, as TLS asks it whether certificates are valid.
#[derive(Debug)]
pub(crate) struct OurTime(pub(crate) Arc<dyn Clock>);

impl TimeProvider for OurTime {
    fn current_time(&self) -> Option<UnixTime> {
        let millis = u64::try_from(self.0.timestamp().as_millis()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(millis)))
    }
}

#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
#[cfg(test)]
pub(crate) mod tests;
