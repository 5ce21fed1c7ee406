//! TLS: from the `ssl.*` keys to client sessions.
//!
//! | file | what is in it |
//! |---|---|
//! | `choices` | protocol versions, cipher suites, host name verification |
//! | `stores` | trust store and key store, in every supported form |
//! | `java_store`, `jks`, `pkcs12`, `key_entry`, `open_error`, `store_names` | key stores in Java's formats |
//! | `pem`, `file`, `der`, `ec_key` | the other file formats |
//! | `key_derivation` | limits of the cost of opening a store |
//! | `key_proof` | proof that a private key belongs to a certificate |
//! | `loaded` | client certificate and verifier, made from the stores, with digests of their content |
//! | `reload` | reads changed files again while the producer runs |
//! | `provider` | the cryptography provider |
//! | `verifier` | verification of the broker's certificate |
//! | `peer` | names and dates of the broker's certificate, for people |
//! | `failure`, `date` | descriptions of failures, with the configuration key to change |

mod choices;
pub(super) mod date;
mod der;
mod ec_key;
mod failure;
mod file;
#[cfg(feature = "pkcs12")]
mod java_store;
#[cfg(not(feature = "pkcs12"))]
#[path = "no_java_store.rs"]
mod java_store;
#[cfg(feature = "pkcs12")]
mod jks;
#[cfg(feature = "pkcs12")]
mod key_derivation;
mod key_entry;
mod key_proof;
mod loaded;
#[cfg(feature = "pkcs12")]
mod open_error;
#[cfg(feature = "cli")]
mod peer;
mod pem;
#[cfg(feature = "pkcs12")]
mod pkcs12;
mod provider;
mod reload;
mod store_names;
mod stores;
mod verifier;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientConnection, ClientSessionMemoryCache, ClientSessionStore, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, HandshakeKind};

pub(crate) use self::failure::Opening;
use self::failure::OwnCertificate;
use self::loaded::{BrokerTrust, ClientIdentity, ContentHash, StoreInUse};
use self::reload::{FileRefusal, Reloader, ReloaderParts};
use self::verifier::BrokerVerifier;
use super::TlsReload;
use super::background::Background;
use crate::clock::{Clock, Deadline, Instant};
use crate::config::ProducerConfig;
use crate::error::ConfigError;
use crate::sync::ArcSwap;
use crate::util::log::{self, LogContext};

#[cfg(all(feature = "pkcs12", feature = "testing", feature = "_internals"))]
pub(crate) use self::jks::check_any as check_any_jks;
#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) use self::stores::read_any as read_any_store;

/// The cryptography provider: `given`, or the default of this build.
///
/// # Errors
/// If there is none.
#[cfg(feature = "testing")]
pub(crate) fn crypto_provider(
    given: Option<Arc<CryptoProvider>>,
) -> Result<Arc<CryptoProvider>, ConfigError> {
    provider::choose(given)
}

/// Limit in bytes of the ciphertext that waits for the socket, and of the plaintext that waits for encryption: a few
/// TLS records, so that one write call takes them. A higher limit does not help, and above 128 KiB the C library
/// returns the memory to the system after each request (docs/BENCHMARKS.md).
const BUFFER_BYTES: usize = 64 * 1024;

/// Capacity of the session cache: TLS 1.3 stores up to eight tickets for each broker, so this is enough for 256
/// brokers.
const SESSION_CACHE_SIZE: usize = 8 * 256;

/// The TLS client of a producer, created once. Connections to the same broker resume its sessions.
///
/// # Threads
/// Clones share the settings, which a reload on any thread replaces. The sender thread loads them for each session.
/// # Kafka
/// `SslFactory`, with the `DefaultSslEngineFactory`.
#[derive(Clone)]
pub(crate) struct TlsClient {
    settings: Arc<ArcSwap<SessionSettings>>,
    /// True if host names are verified.
    checks_name: bool,
    reloader: Arc<Reloader>,
}

/// The settings of new sessions. They are replaced as a whole, so that no session has the certificate of one reload and
/// the session cache of another.
struct SessionSettings {
    config: Arc<ClientConfig>,
    /// The client's own certificate, if it has one.
    own: Option<OwnCertificate>,
    again: Arc<CheckAgain>,
}

impl SessionSettings {
    /// Settings with an empty session cache.
    fn new(
        mut config: ClientConfig,
        own: Option<OwnCertificate>,
        verifier: Arc<BrokerVerifier>,
        time: Arc<OurTime>,
    ) -> Self {
        let sessions = Arc::new(ClientSessionMemoryCache::new(SESSION_CACHE_SIZE));
        config.resumption = Resumption::store(Arc::clone(&sessions) as _);
        Self {
            config: Arc::new(config),
            own,
            again: Arc::new(CheckAgain {
                verifier,
                sessions,
                time,
            }),
        }
    }

    /// The same settings with another client certificate. No session is taken over: a broker would not see the new
    /// certificate when it is resumed.
    fn with_identity(&self, identity: &ClientIdentity) -> Self {
        let mut config = (*self.config).clone();
        config.client_auth_cert_resolver = identity.resolver();
        let again = &self.again;
        Self::new(
            config,
            Some(identity.own),
            Arc::clone(&again.verifier),
            Arc::clone(&again.time),
        )
    }

    /// The same settings with another trust store. No session is taken over: the broker may have proved itself with a
    /// certificate that is not trusted any more.
    fn with_trust(&self, trust: &BrokerTrust) -> Self {
        let mut config = (*self.config).clone();
        let verifier = Arc::clone(&trust.verifier);
        config
            .dangerous()
            .set_certificate_verifier(Arc::clone(&verifier) as _);
        Self::new(config, self.own, verifier, Arc::clone(&self.again.time))
    }
}

/// Verifies the certificate of a resumed session, whose handshake does not include one.
struct CheckAgain {
    verifier: Arc<BrokerVerifier>,
    sessions: Arc<ClientSessionMemoryCache>,
    time: Arc<OurTime>,
}

impl CheckAgain {
    fn check(
        &self,
        name: &ServerName<'static>,
        tls: &ClientConnection,
    ) -> Result<(), rustls::Error> {
        let [own, above @ ..] = tls.peer_certificates().unwrap_or_default() else {
            return Err(rustls::Error::NoCertificatesPresented);
        };
        let now = self.time.current_time();
        let now = now.ok_or(rustls::Error::FailedToGetCurrentTime)?;
        let checked = self.verifier.verify_server_cert(own, above, name, &[], now);
        if checked.is_err() {
            // Evict the session: the next connection does a full handshake, with the broker's current certificate.
            self.sessions.remove_tls12_session(name);
            while self.sessions.take_tls13_ticket(name).is_some() {}
        }
        checked.map(drop)
    }
}

impl TlsClient {
    /// Reads and validates the `ssl.*` keys.
    ///
    /// # Errors
    /// The invalid key, and how to correct it.
    /// # Blocking
    /// Reads files.
    pub(crate) fn from_config(
        config: &ProducerConfig,
        provider: Option<Arc<CryptoProvider>>,
        clock: &Arc<dyn Clock>,
        log: &LogContext,
        background: Background,
    ) -> Result<Self, ConfigError> {
        let mut provider = (*provider::choose(provider)?).clone();
        let choices = choices::choose(config, &mut provider)?;
        let provider = Arc::new(provider);
        let hash = ContentHash::of_provider(&provider).ok_or_else(no_cipher_suites)?;
        // Before the files are parsed: if one changes meanwhile, the first check finds that it has.
        let files = reload::files_of(config, hash);
        let trust = stores::trust_store(config)?;
        let own = stores::key_store(config)?;
        let trust = BrokerTrust::of(trust, choices.checks_name, &provider, hash);
        let time = Arc::new(OurTime(Arc::clone(clock)));
        let builder =
            ClientConfig::builder_with_details(Arc::clone(&provider), Arc::clone(&time) as _)
                .with_protocol_versions(&choices.versions)
                .map_err(|error| {
                    ConfigError::invalid(
                        choices::ENABLED_PROTOCOLS,
                        None,
                        format!("the cryptography provider does not support it: {error}"),
                        "Change it, or use another provider",
                    )
                })?
                .dangerous()
                .with_custom_certificate_verifier(Arc::clone(&trust.verifier) as _);
        let identity = own.map(|own| ClientIdentity::of(own, &provider, hash));
        let identity = identity.transpose().map_err(FileRefusal::into_error)?;
        let client_config = match &identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_cert_resolver(identity.resolver()),
        };
        let mut warnings = [&choices.warnings[..], &trust.warnings[..]].concat();
        warnings.extend(identity.iter().flat_map(|own| own.warnings.iter().cloned()));
        warnings.extend(reload::warning(config, &files));
        for warning in warnings {
            log::warn!(log, "{warning}");
        }
        let settings = Arc::new(ArcSwap::new(Arc::new(SessionSettings::new(
            client_config,
            identity.as_ref().map(|identity| identity.own),
            Arc::clone(&trust.verifier),
            time,
        ))));
        let parts = ReloaderParts {
            config: config.clone(),
            provider,
            hash,
            checks_name: choices.checks_name,
            clock: Arc::clone(clock),
            log: log.clone(),
            background,
            settings: Arc::clone(&settings),
            files,
        };
        let own = identity.map(|identity| StoreInUse {
            digest: identity.digest,
            warnings: identity.warnings,
        });
        let trust = StoreInUse {
            digest: trust.digest,
            warnings: trust.warnings,
        };
        Ok(Self {
            settings,
            checks_name: choices.checks_name,
            reloader: Arc::new(Reloader::new(parts, [own, Some(trust)])),
        })
    }

    /// Starts to look for changed files on a helper thread, if that is due. Returns the time of the next call.
    ///
    /// # Threads
    /// Sender thread. Does not block.
    pub(crate) fn poll(&self, now: Instant) -> Deadline {
        self.reloader.poll(now)
    }

    /// Reads the files again. New connections use the content that has changed. Returns the changes, and the error of
    /// the files that cannot be used, whose earlier content stays in use.
    ///
    /// # Blocking
    /// Reads files, and derives keys from passwords.
    pub(crate) fn reload(&self) -> (TlsReload, Option<ConfigError>) {
        self.reloader.reload()
    }

    /// A session with the broker whose host name is `host`.
    ///
    /// # Errors
    /// If the name is not valid in a certificate.
    pub(crate) fn session(
        &self,
        host: &Arc<str>,
        address: SocketAddr,
    ) -> Result<Session, Arc<str>> {
        let name = match ServerName::try_from(host.to_string()) {
            Ok(name) => name,
            // Without host name verification any name will do; for an address no SNI is sent.
            Err(_) if !self.checks_name => ServerName::from(address.ip()),
            Err(_) => {
                return Err(format!(
                    "{host:?} is not a valid host name in a certificate (check bootstrap.servers, and the \
                     advertised.listeners of the brokers)"
                )
                .into());
            }
        };
        let settings = self.settings.load();
        let mut tls = ClientConnection::new(Arc::clone(&settings.config), name.clone())
            .map_err(|error| format!("the TLS session cannot be created: {error}"))?;
        tls.set_buffer_limit(Some(BUFFER_BYTES));
        let failures = TlsFailures {
            host: Arc::clone(host),
            address,
            own: settings.own,
        };
        Ok(Session {
            tls,
            failures,
            name,
            again: Arc::clone(&settings.again),
        })
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient")
            .field("own", &self.settings.load().own)
            .finish_non_exhaustive()
    }
}

/// A TLS session with a broker, and the data for descriptions of its failures.
pub(crate) struct Session {
    pub(crate) tls: ClientConnection,
    pub(crate) failures: TlsFailures,
    name: ServerName<'static>,
    again: Arc<CheckAgain>,
}

impl Session {
    /// Verifies the certificate again if the session was resumed: the certificate may have expired meanwhile.
    ///
    /// # Errors
    /// Why the certificate is not valid any more. The session is evicted from the cache.
    ///
    /// # Kafka
    /// Differs: Java resumes sessions for a day without verifying the certificate again.
    pub(crate) fn check_resumed(&self) -> Result<(), rustls::Error> {
        match self.tls.handshake_kind() {
            Some(HandshakeKind::Resumed) => self.again.check(&self.name, &self.tls),
            _ => Ok(()),
        }
    }
}

impl Session {
    /// The negotiated cipher suite and TLS version, with Java's names.
    pub(crate) fn cipher(&self) -> Option<(String, String)> {
        let suite = self.tls.negotiated_cipher_suite()?.suite();
        let suite = suite.as_str()?.replacen("TLS13_", "TLS_", 1);
        let protocol = self.tls.protocol_version()?.as_str()?;
        Some((suite, protocol.replace('_', ".")))
    }

    /// The broker's certificate, once it is known.
    #[cfg(feature = "cli")]
    pub(crate) fn certificate(&self) -> Option<crate::security::BrokerCertificate> {
        peer::broker_certificate(&self.tls, self.again.time.current_time())
    }
}

/// Describes TLS failures of one broker.
pub(crate) struct TlsFailures {
    host: Arc<str>,
    address: SocketAddr,
    own: Option<OwnCertificate>,
}

impl TlsFailures {
    /// Describes an error, with the key to change. `opening` is `None` if the handshake was already complete.
    pub(crate) fn describe(&self, error: &rustls::Error, opening: Option<&Opening>) -> Arc<str> {
        let who = self.who();
        failure::describe(error, opening, &who, &self.host, self.own).into()
    }

    /// True if the error is permanent.
    pub(crate) fn is_for_good(error: &rustls::Error) -> bool {
        failure::is_for_good(error)
    }

    /// The description of a connection that the broker closed during the handshake.
    pub(crate) fn hung_up(&self, opening: &Opening) -> String {
        let who = self.who();
        if opening.is_empty() {
            format!(
                "{who} closed the connection at the beginning of TLS, as a plain text listener or a firewall does \
                 (check the port, and security.protocol)"
            )
        } else {
            format!(
                "{who} closed the connection during the TLS handshake (check {}, {}, and the client certificate in \
                 {}; the log of the broker has the reason)",
                choices::ENABLED_PROTOCOLS,
                choices::CIPHER_SUITES,
                stores::KEY_LOCATION
            )
        }
    }

    /// The broker's address: the caller adds its name or node id.
    fn who(&self) -> String {
        match self.address.ip().to_string() {
            ip if *ip == *self.host => "the broker".to_owned(),
            ip => format!("the broker at {ip}"),
        }
    }
}

fn no_cipher_suites() -> ConfigError {
    ConfigError::invalid(
        choices::CIPHER_SUITES,
        None,
        "no cipher suite of the cryptography provider is left",
        "Name suites that the provider has, leave the key out, or use another provider",
    )
}

/// The producer's clock, for the verification of certificates.
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
