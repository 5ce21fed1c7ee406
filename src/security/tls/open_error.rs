//! Why a key store or an encrypted key could not be opened.

use super::key_entry::quoted;
use super::store_names::PRIVATE_PASSWORD;
use crate::error::ConfigError;

/// Why a store or key could not be opened.
#[derive(Debug)]
pub(super) enum OpenError {
    /// The password is wrong.
    Password,
    /// The password is not set.
    NoPassword,
    /// The store is open, but the password of its private key is wrong.
    KeyPassword {
        /// The alias of the key, if it is known.
        alias: Option<String>,
        /// True if the key has a password of its own (`ssl.key.password`); otherwise that of the store was tried.
        is_set: bool,
    },
    /// The data is malformed, for this reason.
    Unreadable(String),
    /// The key derivation is too expensive: the parameter that exceeds its limit.
    Slow(String),
    /// A required part is missing, as in "no private key".
    Missing(&'static str),
}

pub(super) type Opened<T> = Result<T, OpenError>;

impl OpenError {
    /// Converts to a configuration error of `key`; `password` is the configuration key of the password.
    pub(super) fn of(self, key: &'static str, password: &'static str, path: &str) -> ConfigError {
        let path = Some(path).filter(|path| !path.is_empty());
        let check = "Check it with `keytool -list` or `openssl pkcs12 -info`";
        match self {
            Self::Password => ConfigError::invalid(
                password,
                None,
                match path {
                    Some(path) => {
                        format!("this password does not open {path}, or the file is damaged")
                    }
                    None => format!("this password does not open the private key of {key}"),
                },
                "Set it to the right one",
            ),
            Self::NoPassword => ConfigError::invalid(
                password,
                None,
                format!(
                    "the key is not set, and {} does not open without it",
                    path.unwrap_or(key)
                ),
                "Set it to the password of the store",
            ),
            Self::KeyPassword { alias, is_set } => {
                wrong_key_password(alias.as_deref(), is_set, path.unwrap_or(key))
            }
            Self::Unreadable(why) => {
                ConfigError::invalid(key, path, format!("it cannot be read: {why}"), check)
            }
            Self::Slow(why) => ConfigError::invalid(
                key,
                path,
                why,
                "Write it again with 10,000 iterations, as is usual (`openssl pkcs12 -export -iter 10000`, `openssl \
                 pkcs8 -topk8 -iter 10000`, `keytool -importkeystore`)",
            ),
            Self::Missing(what) => {
                ConfigError::invalid(key, path, format!("{what} is in it"), check)
            }
        }
    }
}

fn wrong_key_password(alias: Option<&str>, is_set: bool, store: &str) -> ConfigError {
    let alias = alias.map_or_else(String::new, |alias| {
        format!(" of the alias {}", quoted(alias))
    });
    let (problem, remedy) = if is_set {
        (
            format!("this password does not open the private key{alias} in {store}"),
            "Set it to the right one, or leave it out if the key has the password of the store",
        )
    } else {
        (
            format!(
                "the key is not set, and the password of {store} does not open the private key{alias} in it"
            ),
            "Set it to the password of the private key (`keytool -keypass` or `-destkeypass`)",
        )
    };
    ConfigError::invalid(PRIVATE_PASSWORD, None, problem, remedy)
}
