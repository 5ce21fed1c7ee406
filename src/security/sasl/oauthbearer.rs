//! OAUTHBEARER (RFC 7628, KIP-255): the client authenticates with a bearer token.

use std::sync::Arc;

use super::login::{Login, TokenState};
use super::mechanism::{MechanismFailure, MechanismRefusal, MechanismStep, SaslMechanism};
use super::token::OAuthBearerToken;
use crate::clock::{Deadline, Instant};
use crate::config::Password;
use crate::util::foreign_text::printable_within;
use crate::util::wipe::SecretBytes;

/// The client's reply to the broker's error (a single `^A`), which ends the exchange (RFC 7628, section 3.2.3).
const ERROR_REPLY: u8 = 1;
/// The event that a connection waits for while there is no token, for error texts.
const WAITS_FOR: &str = "a token, which was requested from the TokenProvider or the token endpoint";
/// Longest part of a broker's error that is kept, in bytes.
const MAX_ERROR_BYTES: usize = 256;

enum OAuthBearerState {
    Initial,
    /// The token was sent.
    Sent,
    /// The broker responded with an error.
    Refused(String),
    Complete,
}

/// # Kafka
/// `org.apache.kafka.common.security.oauthbearer.internals.OAuthBearerSaslClient`.
pub(crate) struct OAuthBearerMechanism {
    login: Arc<Login>,
    state: OAuthBearerState,
    /// The token that was sent, to report its rejection.
    used: Option<Arc<OAuthBearerToken>>,
}

impl OAuthBearerMechanism {
    pub(crate) fn new(login: Arc<Login>) -> Self {
        Self {
            login,
            state: OAuthBearerState::Initial,
            used: None,
        }
    }
}

impl SaslMechanism for OAuthBearerMechanism {
    fn proceed(&mut self, now: Instant) -> Result<MechanismStep, MechanismFailure> {
        match self.login.token(now) {
            TokenState::Valid(token) => {
                let message = token.initial_response();
                self.used = Some(token);
                self.state = OAuthBearerState::Sent;
                Ok(MechanismStep::Send(SecretBytes::new(message)))
            }
            TokenState::Awaited => Ok(MechanismStep::Wait(WAITS_FOR, Deadline::Never)),
            TokenState::Failed(why) => Err(MechanismFailure::Interrupted(format!(
                "there is no token: {why}"
            ))),
        }
    }

    fn evaluate(&mut self, token: &[u8], _now: Instant) -> Result<MechanismStep, MechanismFailure> {
        match std::mem::replace(&mut self.state, OAuthBearerState::Complete) {
            // An empty response is success. Anything else is an error as JSON, which must be answered before the broker
            // fails the exchange.
            OAuthBearerState::Sent if token.is_empty() => Ok(MechanismStep::Complete),
            OAuthBearerState::Sent => {
                let words = String::from_utf8_lossy(token);
                let words = match self.sent_secret() {
                    Some(secret) => secret.hidden_in(&words),
                    None => words,
                };
                let words = printable_within(&words, MAX_ERROR_BYTES).into_owned();
                self.state = OAuthBearerState::Refused(words);
                Ok(MechanismStep::Send(SecretBytes::new(vec![ERROR_REPLY])))
            }
            OAuthBearerState::Refused(why) => Err(MechanismFailure::Refused(
                MechanismRefusal::Credentials,
                format!("the broker does not accept the token: {why}"),
            )),
            OAuthBearerState::Initial | OAuthBearerState::Complete => Err(
                MechanismFailure::Interrupted("the broker sent an unexpected message".to_owned()),
            ),
        }
    }

    fn sent_secret(&self) -> Option<&Password> {
        self.used.as_ref().map(|token| token.value())
    }

    fn refused(&mut self, now: Instant) {
        if let Some(token) = &self.used {
            self.login.refused(token, now);
        }
    }
}
