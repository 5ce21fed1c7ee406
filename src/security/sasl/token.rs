//! Tokens for OAUTHBEARER, and who supplies them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::config::Password;
use crate::error::BoxError;

/// A bearer token for `sasl.mechanism=OAUTHBEARER`, as a [`TokenProvider`] supplies it.
///
/// ```
/// use std::time::Duration;
///
/// use kafka_producer::OAuthBearerToken;
///
/// let token = OAuthBearerToken::new("eyJhbGciOiJub25lIn0.e30.", Duration::from_secs(3600))
///     .extension("logicalCluster", "lkc-1234");
/// assert!(!format!("{token:?}").contains("eyJ"));
/// ```
///
/// # Kafka
/// `org.apache.kafka.common.security.oauthbearer.OAuthBearerToken` and `SaslExtensions`. Differs: how long it is
/// valid counts from when it was asked for, so that no two clocks have to agree; scope and principal stay in the
/// token, since nobody here asks for them.
#[derive(Clone)]
pub struct OAuthBearerToken {
    value: Password,
    valid_for: Duration,
    extensions: BTreeMap<String, String>,
}

impl OAuthBearerToken {
    /// A token as it goes to the broker, without `Bearer` before it, and how long it is valid from now on: the
    /// `expires_in` of a token endpoint's answer. It is refreshed before that, see
    /// `sasl.login.refresh.window.factor`.
    pub fn new(value: impl Into<String>, valid_for: Duration) -> Self {
        Self {
            value: Password::new(value),
            valid_for,
            extensions: BTreeMap::new(),
        }
    }

    /// Something to be told besides (KIP-342): a name of letters, other than `auth`, and a value of printable
    /// ASCII.
    #[must_use]
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extensions.insert(name.into(), value.into());
        self
    }

    pub(crate) fn valid_for(&self) -> Duration {
        self.valid_for
    }

    /// The first message of a client that has it.
    ///
    /// # Kafka
    /// `OAuthBearerClientInitialResponse#toBytes`.
    pub(crate) fn initial_response(&self) -> Vec<u8> {
        let extensions = self.extensions.iter();
        let length = extensions
            .clone()
            .map(|(name, value)| name.len() + value.len() + 2);
        let value = self.value.expose();
        // In one piece from the start: memory that is given back on the way is not wiped.
        let mut message = Vec::with_capacity(32 + value.len() + length.sum::<usize>());
        message.extend_from_slice(b"n,,\x01auth=Bearer ");
        message.extend_from_slice(value.as_bytes());
        for (name, value) in extensions {
            for part in ["\x01", name, "=", value] {
                message.extend_from_slice(part.as_bytes());
            }
        }
        message.extend_from_slice(b"\x01\x01");
        message
    }

    /// Whether it can be written into a message.
    ///
    /// # Errors
    /// What is wrong with it, in words that do not quote it.
    ///
    /// # Kafka
    /// `OAuthBearerClientInitialResponse#validateExtensions`.
    pub(crate) fn check(&self) -> Result<(), String> {
        let value = self.value.expose();
        if value.is_empty() {
            return Err("the token is empty".to_owned());
        }
        if self.valid_for.is_zero() {
            return Err("the token has ended before it could be used".to_owned());
        }
        if !value.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("the token has blanks or characters that are not ASCII".to_owned());
        }
        for (name, value) in &self.extensions {
            if name.is_empty() || name == "auth" || !name.bytes().all(|b| b.is_ascii_alphabetic()) {
                return Err(format!(
                    "the extension {name:?} has no name of letters, other than \"auth\""
                ));
            }
            let is_text = |b: u8| matches!(b, 0x20..=0x7e | b'\t' | b'\r' | b'\n');
            if value.is_empty() || !value.bytes().all(is_text) {
                return Err(format!(
                    "the value of the extension {name:?} is not printable ASCII"
                ));
            }
        }
        Ok(())
    }
}

/// Shows neither the token nor the values of its extensions.
impl fmt::Debug for OAuthBearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthBearerToken")
            .field("valid_for", &self.valid_for)
            .field("extensions", &self.extensions.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Supplies the tokens of `sasl.mechanism=OAUTHBEARER`: asks a token endpoint, reads the file that a platform
/// keeps fresh, or signs one. Given to a producer with
/// [`ProducerBuilder::token_provider`](crate::ProducerBuilder::token_provider).
///
/// ```
/// use std::time::Duration;
///
/// use kafka_producer::{BoxError, OAuthBearerToken, TokenProvider};
///
/// /// The token of a Kubernetes service account.
/// struct ServiceAccount;
///
/// impl TokenProvider for ServiceAccount {
///     fn token(&self) -> Result<OAuthBearerToken, BoxError> {
///         let path = "/var/run/secrets/kafka/token";
///         let token = std::fs::read_to_string(path)?;
///         Ok(OAuthBearerToken::new(token.trim_end(), Duration::from_secs(600)))
///     }
/// }
/// ```
///
/// # Blocking
/// It may take as long as it needs: nothing waits for it but connections that have no valid token. One that does
/// not come back within `socket.connection.setup.timeout.ms` fails their attempts until it does.
///
/// # Threads
/// Called on a helper thread, never twice at once for one producer: soon after the producer is built, and before
/// each token ends. Calls that wait for the producer are refused inside it.
///
/// # Kafka
/// The `AuthenticateCallbackHandler` of `sasl.login.callback.handler.class`, for `OAuthBearerTokenCallback` and
/// `SaslExtensionsCallback`.
pub trait TokenProvider: Send + Sync {
    /// A token that is valid now.
    ///
    /// # Errors
    /// Why there is none. It is asked for again: after ten seconds as long as the one before is valid, else after
    /// one. What the error says is logged and told to those who wait, so it must not hold secrets.
    fn token(&self) -> Result<OAuthBearerToken, BoxError>;
}

impl<F> TokenProvider for F
where
    F: Fn() -> Result<OAuthBearerToken, BoxError> + Send + Sync,
{
    fn token(&self) -> Result<OAuthBearerToken, BoxError> {
        self()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Java: OAuthBearerClientInitialResponseTest#testBuildClientResponseToBytes
    #[test]
    fn the_first_message_has_the_token_and_the_extensions() {
        let token = OAuthBearerToken::new("t.o-k_en", HOUR);
        assert_eq!(
            token.initial_response(),
            b"n,,\x01auth=Bearer t.o-k_en\x01\x01"
        );
        let token = token.extension("nineteen", "42").extension("b", "c d");
        assert_eq!(
            token.initial_response(),
            b"n,,\x01auth=Bearer t.o-k_en\x01b=c d\x01nineteen=42\x01\x01"
        );
        assert_eq!(token.check(), Ok(()));
    }

    /// Java: OAuthBearerClientInitialResponseTest#testThrowsSaslExceptionOnInvalidExtensionKey,
    /// testThrowsSaslExceptionOnInvalidExtensionValue
    #[test]
    fn what_would_say_something_else_in_a_message_is_refused_and_not_quoted() {
        for value in ["", "a b", "hunter2\x01auth=Bearer x", "tökén", "a\n"] {
            let why = OAuthBearerToken::new(value, HOUR).check().unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
        for (name, value) in [
            ("auth", "x"),
            ("", "x"),
            ("a1", "x"),
            ("a=b", "x"),
            ("a", ""),
            ("a", "\x01"),
        ] {
            let token = OAuthBearerToken::new("x", HOUR).extension(name, value);
            assert!(token.check().is_err(), "{name:?} {value:?}");
        }
    }
}
