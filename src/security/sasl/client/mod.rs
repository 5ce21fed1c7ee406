//! The SASL configuration of a producer, which starts the SASL exchange of each connection.

#[cfg(any(feature = "oidc", feature = "msk-iam"))]
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::dependencies::SaslDependencies;
#[cfg(feature = "gssapi")]
use super::gssapi::GssapiClient;
use super::jaas::{self, KEY, LoginModuleEntry};
use super::login::{FetchToken, Login, RefreshTimes};
use super::login_handler::LoginHandler;
use super::login_module::{self, LoginOptions};
use super::mechanism::SaslMechanism;
#[cfg(feature = "msk-iam")]
use super::msk_iam;
use super::oauthbearer::OAuthBearerMechanism;
#[cfg(feature = "oidc")]
use super::oidc;
use super::plain::{Credentials, PlainMechanism};
#[cfg(feature = "sasl-scram")]
use super::scram::{ScramClient, ScramHash};
use super::unsecured::UnsecuredToken;
use crate::clock::{Deadline, Instant};
#[cfg(any(feature = "oidc", feature = "msk-iam"))]
use crate::config::Password;
use crate::config::ProducerConfig;
use crate::error::ConfigError;
use crate::security::SecurityParts;

/// A supported SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Plain,
    #[cfg(feature = "sasl-scram")]
    ScramSha256,
    #[cfg(feature = "sasl-scram")]
    ScramSha512,
    OAuthBearer,
    #[cfg(feature = "gssapi")]
    Gssapi,
}

impl Mechanism {
    const ALL: &[Self] = &[
        Self::Plain,
        #[cfg(feature = "sasl-scram")]
        Self::ScramSha256,
        #[cfg(feature = "sasl-scram")]
        Self::ScramSha512,
        Self::OAuthBearer,
        #[cfg(feature = "gssapi")]
        Self::Gssapi,
    ];

    /// The registered SASL name of the mechanism.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            #[cfg(feature = "sasl-scram")]
            Self::ScramSha256 => "SCRAM-SHA-256",
            #[cfg(feature = "sasl-scram")]
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OAuthBearer => "OAUTHBEARER",
            #[cfg(feature = "gssapi")]
            Self::Gssapi => "GSSAPI",
        }
    }

    fn of(config: &ProducerConfig) -> Result<Self, ConfigError> {
        const MECHANISM: &str = "sasl.mechanism";
        let given = config.sasl_mechanism();
        if let Some(found) = Self::ALL.iter().find(|mechanism| mechanism.name() == given) {
            return Ok(*found);
        }
        let names = Self::ALL.iter().map(|mechanism| mechanism.name());
        let names = names.collect::<Vec<_>>().join(", ");
        let problem = match given {
            "GSSAPI" => {
                "Kerberos needs the feature `gssapi` of the library, which is off in this build; it is Kafka's default \
                 if the key is not set"
            }
            "SCRAM-SHA-256" | "SCRAM-SHA-512" => {
                "this build of the library does not have it: its feature `sasl-scram` is off"
            }
            _ => "there is no such mechanism here",
        };
        let remedy = match given {
            "AWS_MSK_IAM" => login_module::INSTEAD_OF_MSK_IAM.to_owned(),
            _ => format!("Set {MECHANISM} to one that the brokers offer of {names}"),
        };
        Err(ConfigError::not_built(
            MECHANISM,
            Some(given),
            problem,
            remedy,
        ))
    }
}

/// Kafka's default classes: naming one explicitly changes nothing.
const OWN_CLIENT_HANDLERS: &[&str] = &[
    "org.apache.kafka.common.security.authenticator.SaslClientCallbackHandler",
    "org.apache.kafka.common.security.kerberos.KerberosClientCallbackHandler",
    "org.apache.kafka.common.security.oauthbearer.internals.OAuthBearerSaslClientCallbackHandler",
    // Amazon's documentation of MSK sets it besides the key that counts, `sasl.login.callback.handler.class`.
    "software.amazon.msk.auth.iam.IAMOAuthBearerLoginCallbackHandler",
];
const OWN_LOGINS: &[&str] = &[
    "org.apache.kafka.common.security.authenticator.DefaultLogin",
    "org.apache.kafka.common.security.kerberos.KerberosLogin",
    "org.apache.kafka.common.security.oauthbearer.internals.OAuthBearerRefreshingLogin",
];

/// Rejects all classes but Kafka's defaults, since no Java class can be loaded. Classes of login handlers are not
/// checked here, see [`LoginHandler`].
fn check_classes(config: &ProducerConfig) -> Result<(), ConfigError> {
    let tokens = "Leave the key out. Tokens come from a TokenProvider: give one to \
                  ProducerBuilder::token_provider, and set sasl.mechanism=OAUTHBEARER";
    let secrets = "Leave the key out. Names and passwords come from sasl.jaas.config, which \
                   ProducerConfigBuilder::sasl_plain and sasl_scram_sha_512 set when the configuration is built";
    for (key, class, own, remedy) in [
        (
            "sasl.client.callback.handler.class",
            config.sasl_client_callback_handler_class(),
            OWN_CLIENT_HANDLERS,
            secrets,
        ),
        (
            "sasl.login.class",
            config.sasl_login_class(),
            OWN_LOGINS,
            tokens,
        ),
    ] {
        match class {
            Some(class) if !own.contains(&class) => {
                let problem = "the class cannot be loaded";
                return Err(ConfigError::not_built(key, Some(class), problem, remedy));
            }
            _ => {}
        }
    }
    Ok(())
}

#[derive(Clone)]
enum SaslClientKind {
    Plain(Credentials),
    #[cfg(feature = "sasl-scram")]
    Scram(ScramClient),
    OAuthBearer(Arc<Login>),
    #[cfg(feature = "gssapi")]
    Gssapi(GssapiClient),
}

/// The credentials of a producer and their mechanism. Created once for a producer; clones share the state.
///
/// # Kafka
/// `SaslChannelBuilder#configure`, with the `LoginManager`.
#[derive(Clone)]
pub(crate) struct SaslClient {
    mechanism: Mechanism,
    kind: SaslClientKind,
    dependencies: SaslDependencies,
}

impl SaslClient {
    /// Reads and validates the keys. No token is fetched yet.
    ///
    /// # Errors
    /// The invalid key, and how to correct it.
    pub(crate) fn from_config(
        config: &ProducerConfig,
        parts: SecurityParts,
        dependencies: SaslDependencies,
    ) -> Result<Self, ConfigError> {
        let mechanism = Mechanism::of(config)?;
        check_classes(config)?;
        let handler = match parts.tokens {
            None => LoginHandler::of(config, mechanism)?,
            // A provider passed as a value takes precedence over a class name, as with other plug-ins.
            Some(_) => LoginHandler::Default,
        };
        let kind = match (mechanism, parts.tokens, handler) {
            (Mechanism::OAuthBearer, Some(fetch), _) => {
                SaslClientKind::token(fetch, config, &dependencies)
            }
            (mechanism, _, LoginHandler::Default) => {
                let options = login_options(config, mechanism)?;
                SaslClientKind::of(mechanism, options, config, &dependencies)?
            }
            #[cfg(feature = "oidc")]
            (mechanism, _, LoginHandler::Oidc) => {
                let options = handler_options(config, mechanism, login_module::OIDC_RECIPE)?;
                let provider = parts.crypto_provider;
                let fetch = oidc::fetch_token(config, &options, provider, &dependencies)?;
                SaslClientKind::token(fetch, config, &dependencies)
            }
            #[cfg(feature = "msk-iam")]
            (mechanism, _, LoginHandler::MskIam) => {
                let options = handler_options(config, mechanism, login_module::MSK_IAM_RECIPE)?;
                let fetch = msk_iam::fetch_token(&options, parts.crypto_provider, &dependencies)?;
                SaslClientKind::token(fetch, config, &dependencies)
            }
        };
        Ok(Self {
            mechanism,
            kind,
            dependencies,
        })
    }

    pub(crate) fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// A seed for random choices.
    pub(crate) fn seed(&self) -> u64 {
        self.dependencies.seed
    }

    /// Starts the exchange of one connection. `host` is the broker's name, as configured or advertised.
    #[cfg_attr(
        not(feature = "gssapi"),
        allow(unused_variables, reason = "only Kerberos has names of brokers")
    )]
    pub(crate) fn start(&self, host: &Arc<str>) -> Box<dyn SaslMechanism> {
        match &self.kind {
            SaslClientKind::Plain(credentials) => Box::new(PlainMechanism(credentials.clone())),
            #[cfg(feature = "sasl-scram")]
            SaslClientKind::Scram(client) => Box::new(client.start()),
            SaslClientKind::OAuthBearer(login) => {
                Box::new(OAuthBearerMechanism::new(Arc::clone(login)))
            }
            #[cfg(feature = "gssapi")]
            SaslClientKind::Gssapi(client) => Box::new(client.start(host)),
        }
    }

    /// Refreshes the token if that is due. Returns the time of the next call.
    pub(crate) fn poll(&self, now: Instant) -> Deadline {
        if let SaslClientKind::OAuthBearer(login) = &self.kind {
            login.poll(now)
        } else {
            Deadline::Never
        }
    }
}

impl SaslClientKind {
    fn token(fetch: FetchToken, config: &ProducerConfig, dependencies: &SaslDependencies) -> Self {
        Self::OAuthBearer(Login::new(
            fetch,
            RefreshTimes::of(config),
            dependencies.clone(),
        ))
    }

    fn of(
        mechanism: Mechanism,
        options: LoginOptions,
        config: &ProducerConfig,
        dependencies: &SaslDependencies,
    ) -> Result<Self, ConfigError> {
        Ok(match (mechanism, options) {
            #[cfg(feature = "sasl-scram")]
            (
                Mechanism::ScramSha256 | Mechanism::ScramSha512,
                LoginOptions::Password {
                    credentials,
                    is_token,
                },
            ) => {
                let hash = match mechanism {
                    Mechanism::ScramSha256 => ScramHash::Sha256,
                    _ => ScramHash::Sha512,
                };
                let dependencies = dependencies.clone();
                Self::Scram(ScramClient::new(hash, &credentials, is_token, dependencies))
            }
            (_, LoginOptions::Password { credentials, .. }) => Self::Plain(credentials),
            (_, LoginOptions::Token(Some(unsecured))) => {
                let clock = Arc::clone(&dependencies.clock);
                let fetch = move || Ok(UnsecuredToken::at(&unsecured, clock.timestamp()));
                Self::token(Arc::new(fetch), config, dependencies)
            }
            (_, LoginOptions::Token(None)) => {
                return Err(ConfigError::invalid(
                    KEY,
                    None,
                    "it configures no token, and the producer has no TokenProvider",
                    "Give one to ProducerBuilder::token_provider; where tokens need no signature, set \
                     the option unsecuredLoginStringClaim_sub instead",
                ));
            }
            #[cfg(feature = "gssapi")]
            (_, LoginOptions::Kerberos(login)) => {
                let service = login.service(config.sasl_kerberos_service_name())?;
                login.log_ignored(&dependencies.log);
                Self::Gssapi(GssapiClient::new(login, service, dependencies.clone()))
            }
        })
    }
}

#[cfg(feature = "gssapi")]
const SERVICE_NAME: &str = "sasl.kerberos.service.name";
/// Where the login of a JVM goes, for the remedy of a missing one.
const LOGIN_FILE: &str = "what a file for java.security.auth.login.config has between its braces goes into the key, \
                          the file is not read";

fn login_options(
    config: &ProducerConfig,
    mechanism: Mechanism,
) -> Result<LoginOptions, ConfigError> {
    let recipe = login_module::recipe(mechanism);
    login_module::read(&login_entry(config, mechanism, &recipe)?, mechanism)
}

/// The options of the login module as they are written, for a login handler; empty if `sasl.jaas.config` is not set.
#[cfg(any(feature = "oidc", feature = "msk-iam"))]
fn handler_options(
    config: &ProducerConfig,
    mechanism: Mechanism,
    recipe: &str,
) -> Result<BTreeMap<String, Password>, ConfigError> {
    if config.sasl_jaas_config().is_none() {
        return Ok(BTreeMap::new());
    }
    let entry = login_entry(config, mechanism, recipe)?;
    login_module::check_class(&entry, mechanism)?;
    Ok(entry.options)
}

fn login_entry(
    config: &ProducerConfig,
    mechanism: Mechanism,
    recipe: &str,
) -> Result<LoginModuleEntry, ConfigError> {
    let Some(text) = config.sasl_jaas_config() else {
        return Err(ConfigError::invalid(
            KEY,
            None,
            format!(
                "the key is not set, and sasl.mechanism={} needs it",
                mechanism.name()
            ),
            match mechanism {
                Mechanism::OAuthBearer => {
                    "Give ProducerBuilder::token_provider a TokenProvider, or set the key"
                        .to_owned()
                }
                #[cfg(feature = "gssapi")]
                Mechanism::Gssapi => format!(
                    "Write {recipe}, and set {SERVICE_NAME}; or set sasl.mechanism, whose default is GSSAPI; {LOGIN_FILE}"
                ),
                _ => format!(
                    "Write {recipe}, or use ProducerConfigBuilder::sasl_plain or sasl_scram_sha_512; {LOGIN_FILE}"
                ),
            },
        ));
    };
    jaas::parse(text.expose())
        .map_err(|why| ConfigError::invalid(KEY, None, why, format!("Write {recipe}")))
}

impl fmt::Debug for SaslClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslClient")
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
