//! OAUTHBEARER (RFC 7628, KIP-255): a token that somebody else made says who the client is.

use std::sync::Arc;

use super::login::{Login, TokenState};
use super::mechanism::{MechanismFailure, MechanismStep, SaslMechanism};
use super::token::OAuthBearerToken;
use crate::clock::Instant;
use crate::util::wipe::SecretBytes;

/// What a client says to a broker that has told what is wrong, so that it can end the exchange.
const HEARD: u8 = 1;
/// So much of what a broker says is kept, in bytes.
const KEPT_BYTES: usize = 256;

enum State {
    Begins,
    /// The token is out.
    Sent,
    /// The broker has said what is wrong.
    Refused(String),
    Complete,
}

/// # Kafka
/// `org.apache.kafka.common.security.oauthbearer.internals.OAuthBearerSaslClient`.
pub(crate) struct OAuthBearerMechanism {
    login: Arc<Login>,
    state: State,
    /// The token that was sent.
    used: Option<Arc<OAuthBearerToken>>,
}

impl OAuthBearerMechanism {
    pub(crate) fn new(login: Arc<Login>) -> Self {
        Self {
            login,
            state: State::Begins,
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
                self.state = State::Sent;
                Ok(MechanismStep::Send(SecretBytes::new(message)))
            }
            TokenState::Awaited => Ok(MechanismStep::Wait),
            TokenState::Failed(why) => Err(MechanismFailure::Interrupted(format!(
                "there is no token: {why}"
            ))),
        }
    }

    fn evaluate(&mut self, token: &[u8], _now: Instant) -> Result<MechanismStep, MechanismFailure> {
        match std::mem::replace(&mut self.state, State::Complete) {
            State::Sent if token.is_empty() => Ok(MechanismStep::Complete),
            State::Sent => {
                let kept = &token[..token.len().min(KEPT_BYTES)];
                self.state = State::Refused(String::from_utf8_lossy(kept).escape_debug().collect());
                Ok(MechanismStep::Send(SecretBytes::new(vec![HEARD])))
            }
            State::Refused(why) => Err(MechanismFailure::Refused(format!(
                "the broker does not accept the token: {why}"
            ))),
            State::Begins | State::Complete => Err(MechanismFailure::Interrupted(
                "the broker speaks out of turn".to_owned(),
            )),
        }
    }

    fn refused(&mut self, now: Instant) {
        if let Some(token) = &self.used {
            self.login.refused(token, now);
        }
    }
}
