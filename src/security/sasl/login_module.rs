//! Kafka's login modules: the mechanisms that they belong to, and the meaning of their options.

use std::collections::BTreeMap;

use super::Mechanism;
#[cfg(feature = "gssapi")]
use super::gssapi::{KerberosEnvironment, Krb5Login};
use super::jaas::{KEY, LoginModuleEntry};
use super::login_handler::{MSK_IAM_CLASS, OIDC_CLASS};
use super::plain::Credentials;
use super::unsecured::UnsecuredToken;
use crate::config::Password;
use crate::error::ConfigError;

/// The parsed options of a login module.
pub(super) enum LoginOptions {
    Password {
        credentials: Credentials,
        /// True if the user is a delegation token, which only SCRAM supports.
        #[cfg(feature = "sasl-scram")]
        is_token: bool,
    },
    /// An unsecured token; `None` if the module has no options, so that a provider has to supply tokens.
    Token(Option<UnsecuredToken>),
    #[cfg(feature = "gssapi")]
    Kerberos(Krb5Login),
}

/// A login module of Kafka, or of the JDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Module {
    Plain,
    Scram,
    OAuthBearer,
    #[cfg(feature = "gssapi")]
    Kerberos,
}

const MODULES: &[(&str, Module)] = &[
    (
        "org.apache.kafka.common.security.plain.PlainLoginModule",
        Module::Plain,
    ),
    (
        "org.apache.kafka.common.security.scram.ScramLoginModule",
        Module::Scram,
    ),
    (
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule",
        Module::OAuthBearer,
    ),
    #[cfg(feature = "gssapi")]
    (
        "com.sun.security.auth.module.Krb5LoginModule",
        Module::Kerberos,
    ),
];

/// Remedy for `AWS_MSK_IAM`, Amazon's own mechanism.
pub(super) const INSTEAD_OF_MSK_IAM: &str = "AWS_MSK_IAM is not supported. MSK accepts the same signatures by \
     OAUTHBEARER. Build with the feature `msk-iam`, and call ProducerConfigBuilder::sasl_msk_iam; or set \
     sasl.mechanism=OAUTHBEARER, \
     sasl.login.callback.handler.class=software.amazon.msk.auth.iam.IAMOAuthBearerLoginCallbackHandler, and \
     sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required; with the options \
     of the IAMLoginModule before the semicolon";

/// Well-known modules that are not supported, with the remedy for each.
const KNOWN_ELSEWHERE: [(&str, &str); 3] = [
    (
        "Krb5LoginModule",
        if cfg!(feature = "gssapi") {
            "For sasl.mechanism=GSSAPI name com.sun.security.auth.module.Krb5LoginModule, and its options"
        } else {
            "GSSAPI (Kerberos) needs the feature `gssapi` of the library, which is off in this build"
        },
    ),
    ("IAMLoginModule", INSTEAD_OF_MSK_IAM),
    (
        "AADLoginModule",
        "Set sasl.mechanism=OAUTHBEARER, get the token in a TokenProvider, and give that to \
         ProducerBuilder::token_provider",
    ),
];

fn module_of(mechanism: Mechanism) -> Module {
    match mechanism {
        Mechanism::Plain => Module::Plain,
        #[cfg(feature = "sasl-scram")]
        Mechanism::ScramSha256 | Mechanism::ScramSha512 => Module::Scram,
        Mechanism::OAuthBearer => Module::OAuthBearer,
        #[cfg(feature = "gssapi")]
        Mechanism::Gssapi => Module::Kerberos,
    }
}

fn class_of(module: Module) -> &'static str {
    let found = MODULES.iter().find(|(_, other)| *other == module);
    found.map_or("", |(class, _)| class)
}

/// An example of `sasl.jaas.config` for OIDC.
#[cfg(feature = "oidc")]
pub(super) const OIDC_RECIPE: &str = "sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule \
     required clientId=\"ID\" clientSecret=\"SECRET\";";

/// An example of `sasl.jaas.config` for Amazon MSK with IAM.
#[cfg(feature = "msk-iam")]
pub(super) const MSK_IAM_RECIPE: &str = "sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule \
     required awsRegion=\"REGION\";";

/// An example of `sasl.jaas.config` for a mechanism.
pub(super) fn recipe(mechanism: Mechanism) -> String {
    let module = module_of(mechanism);
    let options = match module {
        Module::Plain | Module::Scram => "username=\"NAME\" password=\"PASSWORD\"",
        Module::OAuthBearer => "unsecuredLoginStringClaim_sub=\"NAME\"",
        #[cfg(feature = "gssapi")]
        Module::Kerberos => "useKeyTab=true keyTab=\"FILE\" principal=\"NAME@REALM\"",
    };
    format!("{KEY}={} required {options};", class_of(module))
}

/// Validates the options of a login module.
pub(super) fn read(
    entry: &LoginModuleEntry,
    mechanism: Mechanism,
) -> Result<LoginOptions, ConfigError> {
    let module = check_class(entry, mechanism)?;
    match module {
        Module::Plain | Module::Scram => {
            let credentials = credentials(&entry.options, mechanism)?;
            Ok(LoginOptions::Password {
                credentials,
                #[cfg(feature = "sasl-scram")]
                is_token: (entry.options.get("tokenauth"))
                    .is_some_and(|value| value.expose().eq_ignore_ascii_case("true")),
            })
        }
        Module::OAuthBearer => UnsecuredToken::of(&entry.options)
            .map(LoginOptions::Token)
            .map_err(|why| ConfigError::invalid(KEY, None, why, remedy_for_tokens(&entry.options))),
        #[cfg(feature = "gssapi")]
        Module::Kerberos => {
            let environment = KerberosEnvironment::of_process();
            Krb5Login::of(&entry.options, &environment).map(LoginOptions::Kerberos)
        }
    }
}

/// The remedy for options that are not those of an unsecured token. Those of a login handler need its class.
fn remedy_for_tokens(options: &BTreeMap<String, Password>) -> String {
    let has = |is_of: fn(&str) -> bool| options.keys().any(|name| is_of(name));
    let class = if has(|name| matches!(name, "clientId" | "clientSecret" | "scope")) {
        OIDC_CLASS
    } else if has(|name| name.starts_with("aws")) {
        MSK_IAM_CLASS
    } else {
        return "Set the options of an unsecured token, or leave all out and give ProducerBuilder::token_provider a \
                TokenProvider"
            .to_owned();
    };
    format!("Set sasl.login.callback.handler.class={class}, whose options these are")
}

/// Checks that the login module is that of the mechanism.
pub(super) fn check_class(
    entry: &LoginModuleEntry,
    mechanism: Mechanism,
) -> Result<Module, ConfigError> {
    let expected = module_of(mechanism);
    let Some((_, module)) = MODULES.iter().find(|(class, _)| *class == entry.class) else {
        return Err(unknown(entry, mechanism));
    };
    if *module != expected {
        return Err(ConfigError::conflict(
            &[KEY, "sasl.mechanism"],
            format!(
                "the login module of {KEY} is {}, and sasl.mechanism={} needs {}",
                entry.class,
                mechanism.name(),
                class_of(expected)
            ),
            "Change one of the two keys",
        ));
    }
    Ok(expected)
}

fn unknown(entry: &LoginModuleEntry, mechanism: Mechanism) -> ConfigError {
    let simple = entry.class.rsplit('.').next().unwrap_or_default();
    // Text that is not a class name may be part of a secret, so it is not quoted.
    let is_class = entry.class.contains('.')
        && entry
            .class
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._$".contains(c));
    let names = if is_class {
        format!("{} is", entry.class)
    } else {
        "it names".to_owned()
    };
    let elsewhere = KNOWN_ELSEWHERE.iter().find(|(known, _)| *known == simple);
    ConfigError::not_built(
        KEY,
        None,
        format!("{names} no supported login module; classes are not loaded"),
        match elsewhere {
            Some((_, remedy)) => (*remedy).to_owned(),
            None => format!("Write {}", recipe(mechanism)),
        },
    )
}

fn credentials(
    options: &BTreeMap<String, Password>,
    mechanism: Mechanism,
) -> Result<Credentials, ConfigError> {
    let given = |name: &str| {
        let value = options.get(name).filter(|value| !value.expose().is_empty());
        value.ok_or_else(|| {
            ConfigError::invalid(
                KEY,
                None,
                format!("the option {name} is missing, or empty"),
                format!("Write {}", recipe(mechanism)),
            )
        })
    };
    let (username, password) = (given("username")?, given("password")?);
    for (name, value) in [("username", username), ("password", password)] {
        if value.expose().contains('\0') {
            return Err(ConfigError::invalid(
                KEY,
                None,
                format!("the option {name} contains a NUL, which no mechanism can transmit"),
                "Take it out",
            ));
        }
    }
    Ok(Credentials {
        username: username.expose().to_owned(),
        password: password.clone(),
    })
}
