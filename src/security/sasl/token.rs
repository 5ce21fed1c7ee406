//! Bearer tokens for OAUTHBEARER, and the trait of their provider.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::config::Password;
use crate::error::BoxError;

/// Longest initial client response, in bytes. The default limit of brokers is half of it
/// (`sasl.server.max.receive.size`).
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

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
/// `org.apache.kafka.common.security.oauthbearer.OAuthBearerToken` and `SaslExtensions`. Differs: the lifetime counts
/// from the request of the token, so that no clocks need to be synchronized; scope and principal stay inside the token,
/// since the client does not use them.
#[derive(Clone)]
pub struct OAuthBearerToken {
    value: Password,
    valid_for: Duration,
    extensions: BTreeMap<String, String>,
}

impl OAuthBearerToken {
    /// A token as it is sent to the broker, without the prefix `Bearer`, and its lifetime: the `expires_in` of a token
    /// endpoint's response. The lifetime counts from the call of the provider. The token is refreshed before it
    /// expires, see `sasl.login.refresh.window.factor`.
    pub fn new(value: impl Into<String>, valid_for: Duration) -> Self {
        Self {
            value: Password::new(value),
            valid_for,
            extensions: BTreeMap::new(),
        }
    }

    /// Adds a SASL extension (KIP-342): a name of letters, other than `auth`, and a value of printable ASCII.
    #[must_use]
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extensions.insert(name.into(), value.into());
        self
    }

    pub(crate) fn valid_for(&self) -> Duration {
        self.valid_for
    }

    pub(crate) fn value(&self) -> &Password {
        &self.value
    }

    /// The initial client response with this token.
    ///
    /// # Kafka
    /// `OAuthBearerClientInitialResponse#toBytes`.
    pub(crate) fn initial_response(&self) -> Vec<u8> {
        let extensions = self.extensions.iter();
        let value = self.value.expose();
        // Allocated at its final size: a reallocation would free a copy of the token without wiping it.
        let mut message = Vec::with_capacity(self.message_bytes());
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

    /// Upper bound of the size of the initial client response.
    fn message_bytes(&self) -> usize {
        let extensions = self.extensions.iter();
        let of_extensions = extensions.map(|(name, value)| name.len() + value.len() + 2);
        32 + self.value.expose().len() + of_extensions.sum::<usize>()
    }

    /// Validates token and extensions for the initial client response.
    ///
    /// # Errors
    /// A description of the invalid part, which does not quote it.
    ///
    /// # Kafka
    /// `OAuthBearerClientInitialResponse#validateExtensions`.
    pub(crate) fn check(&self) -> Result<(), String> {
        let value = self.value.expose();
        if value.is_empty() {
            return Err("the token is empty".to_owned());
        }
        let bytes = self.message_bytes();
        if bytes > MAX_MESSAGE_BYTES {
            return Err(format!(
                "the token has {bytes} bytes with its extensions, and no more than {MAX_MESSAGE_BYTES} are sent"
            ));
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

/// Prints neither the token nor the values of its extensions.
impl fmt::Debug for OAuthBearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthBearerToken")
            .field("valid_for", &self.valid_for)
            .field("extensions", &self.extensions.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Supplies the tokens of `sasl.mechanism=OAUTHBEARER`: requests them from a token endpoint, reads a file that the
/// platform keeps up to date, or signs them. Passed to a producer with
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
/// May block: only connections without a valid token wait for the call. If it takes longer than
/// `socket.connection.setup.timeout.ms`, the attempts of these connections to connect fail meanwhile.
///
/// # Threads
/// Called on a helper thread, never concurrently for one producer: soon after the producer is built, and before each
/// token expires. Blocking calls of the producer are rejected inside it.
///
/// # Kafka
/// The `AuthenticateCallbackHandler` of `sasl.login.callback.handler.class`, for `OAuthBearerTokenCallback` and
/// `SaslExtensionsCallback`.
pub trait TokenProvider: Send + Sync {
    /// Returns a valid token.
    ///
    /// # Errors
    /// If there is no token. The call is retried after ten seconds, or earlier at the end of the previous token. Once
    /// there is no valid token, it is retried after one second, and after each further failure twice as long, up to a
    /// minute. The error's text is logged and returned to waiting callers, so it must not contain secrets.
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
    fn invalid_tokens_and_extensions_are_rejected_and_not_quoted() {
        for value in ["", "a b", "hunter2\x01auth=Bearer x", "tökén", "a\n"] {
            let why = OAuthBearerToken::new(value, HOUR).check().unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
        for length in [MAX_MESSAGE_BYTES, 3] {
            let token = OAuthBearerToken::new("x".repeat(length), HOUR);
            let token = token.extension("a", "y".repeat(MAX_MESSAGE_BYTES - length));
            assert!(token.check().unwrap_err().contains("1048576"));
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
