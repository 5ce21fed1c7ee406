//! SASL as a producer is configured for it, from which each connection gets its exchange.

use std::fmt;
use std::sync::Arc;

use super::jaas;
use super::login::{FetchToken, Login, RefreshTimes};
use super::login_module::{self, KEY, LoginOptions};
use super::mechanism::SaslMechanism;
use super::oauthbearer::OAuthBearerMechanism;
use super::outside::Outside;
use super::plain::{Credentials, PlainMechanism};
#[cfg(feature = "sasl-scram")]
use super::scram::{ScramClient, ScramHash};
use super::unsecured::UnsecuredToken;
use crate::clock::{Deadline, Instant};
use crate::config::ProducerConfig;
use crate::error::ConfigError;

/// A mechanism that there is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Plain,
    #[cfg(feature = "sasl-scram")]
    ScramSha256,
    #[cfg(feature = "sasl-scram")]
    ScramSha512,
    OAuthBearer,
}

impl Mechanism {
    const ALL: &[Self] = &[
        Self::Plain,
        #[cfg(feature = "sasl-scram")]
        Self::ScramSha256,
        #[cfg(feature = "sasl-scram")]
        Self::ScramSha512,
        Self::OAuthBearer,
    ];

    /// Its registered name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            #[cfg(feature = "sasl-scram")]
            Self::ScramSha256 => "SCRAM-SHA-256",
            #[cfg(feature = "sasl-scram")]
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OAuthBearer => "OAUTHBEARER",
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
            "GSSAPI" => "Kerberos is not built, and is what Kafka takes where the key is left out",
            "SCRAM-SHA-256" | "SCRAM-SHA-512" => {
                "this build of the library does not have it: its feature `sasl-scram` is off"
            }
            _ => "there is no such mechanism here",
        };
        Err(ConfigError::not_built(
            MECHANISM,
            Some(given),
            problem,
            format!("Set {MECHANISM} to one that the brokers offer of {names}"),
        ))
    }
}

/// Classes that Kafka takes by itself, so that naming them changes nothing.
const OWN_CLIENT_HANDLERS: &[&str] = &[
    "org.apache.kafka.common.security.authenticator.SaslClientCallbackHandler",
    "org.apache.kafka.common.security.oauthbearer.internals.OAuthBearerSaslClientCallbackHandler",
];
const OWN_LOGIN_HANDLERS: &[&str] = &[
    "org.apache.kafka.common.security.authenticator.AbstractLogin$DefaultLoginCallbackHandler",
    "org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredLoginCallbackHandler",
];
const OWN_LOGINS: &[&str] = &[
    "org.apache.kafka.common.security.authenticator.DefaultLogin",
    "org.apache.kafka.common.security.oauthbearer.internals.OAuthBearerRefreshingLogin",
];

/// Refuses the classes of others, since none are loaded.
fn check_classes(config: &ProducerConfig, has_tokens: bool) -> Result<(), ConfigError> {
    let tokens = "Leave the key out. Tokens come from a TokenProvider: give one to \
                  ProducerBuilder::token_provider, and set sasl.mechanism=OAUTHBEARER";
    let secrets = "Leave the key out. Names and passwords stand in sasl.jaas.config, and may be put there by \
                   ProducerConfigBuilder::sasl_plain and its like when the configuration is built";
    for (key, class, own, remedy) in [
        (
            "sasl.client.callback.handler.class",
            config.sasl_client_callback_handler_class(),
            OWN_CLIENT_HANDLERS,
            secrets,
        ),
        (
            "sasl.login.callback.handler.class",
            // One that was given wins over one that is named, as with other plug-ins.
            config
                .sasl_login_callback_handler_class()
                .filter(|_| !has_tokens),
            OWN_LOGIN_HANDLERS,
            tokens,
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
enum Kind {
    Plain(Credentials),
    #[cfg(feature = "sasl-scram")]
    Scram(ScramClient),
    OAuthBearer(Arc<Login>),
}

/// Who the client is, by which mechanism. Made once for a producer; clones are the same one.
///
/// # Kafka
/// `SaslChannelBuilder#configure`, with the `LoginManager`.
#[derive(Clone)]
pub(crate) struct SaslClient {
    mechanism: Mechanism,
    kind: Kind,
    outside: Outside,
}

impl SaslClient {
    /// Reads the keys. Nothing is begun yet.
    ///
    /// # Errors
    /// What is wrong, with the key.
    pub(crate) fn from_config(
        config: &ProducerConfig,
        tokens: Option<FetchToken>,
        outside: Outside,
    ) -> Result<Self, ConfigError> {
        let mechanism = Mechanism::of(config)?;
        check_classes(config, tokens.is_some())?;
        let kind = match (mechanism, tokens) {
            (Mechanism::OAuthBearer, Some(fetch)) => Kind::token(fetch, config, &outside),
            (mechanism, _) => {
                let options = login_options(config, mechanism)?;
                Kind::of(mechanism, options, config, &outside)?
            }
        };
        Ok(Self {
            mechanism,
            kind,
            outside,
        })
    }

    /// Who is woken when something that a connection waits for is there.
    pub(crate) fn attach(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.outside.wake.attach(wake);
    }

    pub(crate) fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Where random choices start from.
    pub(crate) fn seed(&self) -> u64 {
        self.outside.seed
    }

    /// One exchange with a broker.
    pub(crate) fn start(&self) -> Box<dyn SaslMechanism> {
        match &self.kind {
            Kind::Plain(credentials) => Box::new(PlainMechanism(credentials.clone())),
            #[cfg(feature = "sasl-scram")]
            Kind::Scram(client) => Box::new(client.start()),
            Kind::OAuthBearer(login) => Box::new(OAuthBearerMechanism::new(Arc::clone(login))),
        }
    }

    /// Does what is due without any connection: the refresh of a token. Returns when to ask again.
    pub(crate) fn poll(&self, now: Instant) -> Deadline {
        if let Kind::OAuthBearer(login) = &self.kind {
            login.poll(now)
        } else {
            Deadline::Never
        }
    }
}

impl Kind {
    fn token(fetch: FetchToken, config: &ProducerConfig, outside: &Outside) -> Self {
        Self::OAuthBearer(Login::new(fetch, RefreshTimes::of(config), outside.clone()))
    }

    fn of(
        mechanism: Mechanism,
        options: LoginOptions,
        config: &ProducerConfig,
        outside: &Outside,
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
                let outside = outside.clone();
                Self::Scram(ScramClient::new(hash, &credentials, is_token, outside))
            }
            (_, LoginOptions::Password { credentials, .. }) => Self::Plain(credentials),
            (_, LoginOptions::Token(Some(unsecured))) => {
                let clock = Arc::clone(&outside.clock);
                let fetch = move || Ok(UnsecuredToken::at(&unsecured, clock.timestamp()));
                Self::token(Arc::new(fetch), config, outside)
            }
            (_, LoginOptions::Token(None)) => {
                return Err(ConfigError::invalid(
                    KEY,
                    None,
                    "it says nothing of a token, and the producer was given no TokenProvider",
                    "Give one to ProducerBuilder::token_provider; where tokens need no signature, set \
                     the option unsecuredLoginStringClaim_sub instead",
                ));
            }
        })
    }
}

fn login_options(
    config: &ProducerConfig,
    mechanism: Mechanism,
) -> Result<LoginOptions, ConfigError> {
    let Some(text) = config.sasl_jaas_config() else {
        return Err(ConfigError::invalid(
            KEY,
            None,
            format!(
                "the key is not set, and sasl.mechanism={} needs it",
                mechanism.name()
            ),
            if mechanism == Mechanism::OAuthBearer {
                "Give ProducerBuilder::token_provider a TokenProvider, or set the key".to_owned()
            } else {
                format!(
                    "Write {}, or use ProducerConfigBuilder::sasl_plain or its like",
                    login_module::recipe(mechanism)
                )
            },
        ));
    };
    let entry = jaas::parse(text.expose()).map_err(|why| {
        let remedy = format!("Write {}", login_module::recipe(mechanism));
        ConfigError::invalid(KEY, None, why, remedy)
    })?;
    login_module::read(&entry, mechanism)
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
