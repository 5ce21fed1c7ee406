//! The classes of `sasl.login.callback.handler.class`: each that is known stands for a source of tokens.

use super::Mechanism;
use crate::config::ProducerConfig;
use crate::error::ConfigError;

const KEY: &str = "sasl.login.callback.handler.class";

/// A source of tokens, or of the options of the login module, that a class stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoginHandler {
    /// The options of the login module: Kafka's default.
    Default,
    /// A token endpoint (OIDC, KIP-768).
    #[cfg(feature = "oidc")]
    Oidc,
    /// Tokens for Amazon MSK, signed with AWS credentials.
    #[cfg(feature = "msk-iam")]
    MskIam,
}

/// A known class.
struct HandlerClass {
    name: &'static str,
    /// The handler, or the feature that it needs and that this build does not have.
    handler: Result<LoginHandler, &'static str>,
}

const DEFAULT: Result<LoginHandler, &str> = Ok(LoginHandler::Default);
#[cfg(feature = "oidc")]
const OIDC: Result<LoginHandler, &str> = Ok(LoginHandler::Oidc);
#[cfg(not(feature = "oidc"))]
const OIDC: Result<LoginHandler, &str> = Err("oidc");
#[cfg(feature = "msk-iam")]
const MSK_IAM: Result<LoginHandler, &str> = Ok(LoginHandler::MskIam);
#[cfg(not(feature = "msk-iam"))]
const MSK_IAM: Result<LoginHandler, &str> = Err("msk-iam");

pub(super) const OIDC_CLASS: &str =
    "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler";
pub(super) const MSK_IAM_CLASS: &str =
    "software.amazon.msk.auth.iam.IAMOAuthBearerLoginCallbackHandler";
/// The classes that a configuration has a reason to name.
const NAMED: [&str; 2] = [OIDC_CLASS, MSK_IAM_CLASS];

const CLASSES: &[HandlerClass] = &[
    HandlerClass {
        name: "org.apache.kafka.common.security.authenticator.AbstractLogin$DefaultLoginCallbackHandler",
        handler: DEFAULT,
    },
    HandlerClass {
        name: "org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredLoginCallbackHandler",
        handler: DEFAULT,
    },
    // The name since Kafka 3.4, and the deprecated one before it.
    HandlerClass {
        name: OIDC_CLASS,
        handler: OIDC,
    },
    HandlerClass {
        name: "org.apache.kafka.common.security.oauthbearer.secured.OAuthBearerLoginCallbackHandler",
        handler: OIDC,
    },
    HandlerClass {
        name: MSK_IAM_CLASS,
        handler: MSK_IAM,
    },
];

impl LoginHandler {
    /// The handler that the key names.
    ///
    /// # Errors
    /// If the class is unknown, needs a feature that is off, or does not belong to the mechanism.
    pub(super) fn of(config: &ProducerConfig, mechanism: Mechanism) -> Result<Self, ConfigError> {
        let Some(class) = config.sasl_login_callback_handler_class() else {
            return Ok(Self::Default);
        };
        let Some(known) = CLASSES.iter().find(|known| known.name == class) else {
            return Err(ConfigError::not_built(
                KEY,
                Some(class),
                "the class cannot be loaded",
                format!(
                    "Name one of the classes that are known here, {}; or leave the key out, give a TokenProvider to \
                     ProducerBuilder::token_provider, and set sasl.mechanism=OAUTHBEARER",
                    NAMED.join(" and ")
                ),
            ));
        };
        let handler = known.handler.map_err(|feature| {
            ConfigError::not_built(
                KEY,
                Some(class),
                format!(
                    "this build of the library does not have it: its feature `{feature}` is off"
                ),
                "Build with the feature; or leave the key out, and give ProducerBuilder::token_provider a \
                 TokenProvider",
            )
        })?;
        if handler != Self::Default && mechanism != Mechanism::OAuthBearer {
            return Err(ConfigError::conflict(
                &[KEY, "sasl.mechanism"],
                format!(
                    "{KEY}={class} is for sasl.mechanism=OAUTHBEARER, and sasl.mechanism is {}",
                    mechanism.name()
                ),
                "Set sasl.mechanism=OAUTHBEARER, or leave the other key out",
            ));
        }
        Ok(handler)
    }
}
