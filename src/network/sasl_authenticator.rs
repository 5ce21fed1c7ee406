//! SASL as brokers speak it: which versions there are, which mechanism it is to be, then its tokens.
//!
//! ```text
//!              ┌─────────────── again (KIP-368) ──────────────┐
//!              ▼                                              │
//!  ApiVersions ─▶ SaslHandshake ─▶ token ⇄ token … ─▶ Complete
//!   (once)          │                ├ version 1: in SaslAuthenticate requests, with errors in words
//!                   │                └ version 0, of brokers before 1.0: bare, and a refusal closes the connection
//! ```

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::authenticator::{AuthFailure, AuthStep, Authenticator};
use crate::clock::{Deadline, Instant};
use crate::error::ErrorCode;
use crate::protocol::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, AuthBytes, Frame, Reader, Request, Response,
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
    decode_response_correlation,
};
use crate::security::sasl::mechanism::{MechanismFailure, MechanismStep, SaslMechanism};
use crate::security::sasl::{Mechanism, SaslClient};
use crate::sync::{Mutex, Rank};

/// The correlation ids of these requests, which the client leaves out.
const MIN_CORRELATION_ID: i32 = i32::MAX - 7;

/// The version of the request for versions: what a broker cannot read here it takes for a token of Kerberos.
const API_VERSIONS_VERSION: i16 = 0;

/// The longest token that a broker may send; those of all mechanisms have some hundred bytes.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// After which part of a session the broker is told again who this is, at the earliest; and by how much it
/// varies, so that the clients of a broker do not come together.
const SESSION_FACTOR: f64 = 0.85;
const SESSION_JITTER: f64 = 0.10;

/// Makes the authenticators of a producer's connections.
pub(crate) struct SaslAuthenticators {
    client: SaslClient,
    client_id: Arc<str>,
    random: Mutex<fastrand::Rng>,
}

impl SaslAuthenticators {
    pub(crate) fn new(client: SaslClient, client_id: Arc<str>) -> Self {
        let random = fastrand::Rng::with_seed(client.seed());
        Self {
            client,
            client_id,
            random: Mutex::new(Rank::LEAF, random),
        }
    }

    /// One for a connection.
    pub(crate) fn make(&self) -> Box<dyn Authenticator> {
        Box::new(SaslClientAuthenticator {
            client: self.client.clone(),
            client_id: Arc::clone(&self.client_id),
            random: self.random.lock().fork(),
            versions: None,
            correlation_id: i32::MAX,
            state: State::Begins,
            mechanism: self.client.start(),
            session: None,
        })
    }

    /// Does what is due without any connection. Returns when to ask again.
    pub(crate) fn poll(&self, now: Instant) -> Deadline {
        self.client.poll(now)
    }
}

/// How tokens travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Versions {
    /// Each as a frame of its own: brokers before 1.0.
    Bare,
    /// In requests of this version.
    Requests(i16),
}

impl Versions {
    fn of_handshake(self) -> i16 {
        match self {
            Self::Bare => 0,
            Self::Requests(_) => 1,
        }
    }
}

/// Which answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begins,
    Versions,
    Handshake,
    /// The mechanism waits for something outside.
    Paused,
    Token,
    Complete,
}

/// # Kafka
/// `org.apache.kafka.common.security.authenticator.SaslClientAuthenticator`. Differs: a broker's bare answer to
/// PLAIN is waited for, so that it is not taken for one to a later request.
struct SaslClientAuthenticator {
    client: SaslClient,
    client_id: Arc<str>,
    random: fastrand::Rng,
    /// Known after the first talk began.
    versions: Option<Versions>,
    /// Of the request that is under way.
    correlation_id: i32,
    state: State,
    mechanism: Box<dyn SaslMechanism>,
    /// How long the broker is content.
    session: Option<Duration>,
}

impl SaslClientAuthenticator {
    fn name(&self) -> &'static str {
        self.client.mechanism().name()
    }

    fn refused(&self, why: &str) -> AuthFailure {
        AuthFailure::Refused(format!("{} authentication: {why}", self.name()).into())
    }

    fn interrupted(&self, why: &str) -> AuthFailure {
        AuthFailure::Interrupted(format!("{} authentication: {why}", self.name()).into())
    }

    /// Where what a broker does not accept can be put right.
    fn remedy(&self) -> &'static str {
        if self.client.mechanism() == Mechanism::OAuthBearer {
            "check the token that the TokenProvider, or sasl.jaas.config, supplies"
        } else {
            "check username and password in sasl.jaas.config"
        }
    }

    fn send(&mut self, request: &Request, version: i16) -> Result<AuthStep, AuthFailure> {
        self.correlation_id = match self.correlation_id.checked_add(1) {
            Some(next) => next,
            None => MIN_CORRELATION_ID,
        };
        let frame = request.encode(version, self.correlation_id, Some(&self.client_id));
        frame
            .map(AuthStep::Send)
            .map_err(|error| self.interrupted(&format!("a request cannot be written: {error}")))
    }

    fn begin(&mut self) -> Result<AuthStep, AuthFailure> {
        self.mechanism = self.client.start();
        self.session = None;
        if let Some(versions) = self.versions {
            return self.send_handshake(versions);
        }
        self.state = State::Versions;
        let request = Request::ApiVersions(ApiVersionsRequest::ours());
        self.send(&request, API_VERSIONS_VERSION)
    }

    fn send_handshake(&mut self, versions: Versions) -> Result<AuthStep, AuthFailure> {
        self.state = State::Handshake;
        let mechanism = self.name().into();
        let request = Request::SaslHandshake(SaslHandshakeRequest { mechanism });
        self.send(&request, versions.of_handshake())
    }

    fn send_token(&mut self, token: &[u8]) -> Result<AuthStep, AuthFailure> {
        self.state = State::Token;
        let token = Bytes::copy_from_slice(token);
        match self.versions {
            Some(Versions::Requests(version)) => {
                let auth_bytes = AuthBytes(token);
                let request = Request::SaslAuthenticate(SaslAuthenticateRequest { auth_bytes });
                self.send(&request, version)
            }
            Some(Versions::Bare) | None => Frame::from_payload(token)
                .map(AuthStep::Send)
                .map_err(|error| self.interrupted(&format!("a token cannot be written: {error}"))),
        }
    }

    fn take(
        &mut self,
        step: Result<MechanismStep, MechanismFailure>,
        now: Instant,
    ) -> Result<AuthStep, AuthFailure> {
        match step {
            Ok(MechanismStep::Send(token)) => self.send_token(token.expose()),
            Ok(MechanismStep::Wait) => {
                self.state = State::Paused;
                Ok(AuthStep::Pause(Deadline::Never))
            }
            Ok(MechanismStep::Complete) => Ok(self.complete(now)),
            Err(MechanismFailure::Refused(why)) => {
                self.mechanism.refused(now);
                let why = format!("{why}; {}", self.remedy());
                Err(self.refused(&why))
            }
            Err(MechanismFailure::Interrupted(why)) => Err(self.interrupted(&why)),
        }
    }

    /// # Kafka
    /// `SaslClientAuthenticator.ReauthInfo#setAuthenticationEndAndSessionReauthenticationTimes`.
    fn complete(&mut self, now: Instant) -> AuthStep {
        self.state = State::Complete;
        let again = self.session.map_or(Deadline::Never, |session| {
            let part = SESSION_FACTOR + SESSION_JITTER * self.random.f64();
            Deadline::after(now, session.mul_f64(part))
        });
        AuthStep::Complete { again }
    }

    /// Reads the answer to the request that is under way.
    fn answer(&self, frame: &Bytes, api: ApiKey, version: i16) -> Result<Response, AuthFailure> {
        let mut reader = Reader::new(frame);
        let read = decode_response_correlation(api, version, &mut reader).and_then(|id| {
            Response::decode(api, version, &mut reader).map(|response| (id, response))
        });
        match read {
            Ok((id, response)) if id == self.correlation_id => Ok(response),
            Ok((id, _)) => Err(self.interrupted(&format!(
                "the broker answers request {id} in the place of {}, which is {api}",
                self.correlation_id
            ))),
            Err(error) => Err(self.interrupted(&format!(
                "the broker's answer to {api} cannot be read ({error}); it may expect another protocol than \
                 security.protocol says"
            ))),
        }
    }

    fn versions(&mut self, response: &ApiVersionsResponse) -> Result<AuthStep, AuthFailure> {
        if response.error != ErrorCode::NoError {
            let why = format!("the broker does not tell its versions: {}", response.error);
            return Err(self.interrupted(&why));
        }
        let newest = |api: ApiKey| {
            let listed = response
                .api_keys
                .iter()
                .find(|listed| listed.api_key == api.code());
            listed.and_then(|listed| api.latest_usable(listed.min, listed.max))
        };
        let versions = match (
            newest(ApiKey::SaslHandshake),
            newest(ApiKey::SaslAuthenticate),
        ) {
            (Some(1..), Some(version)) => Versions::Requests(version),
            _ => Versions::Bare,
        };
        self.versions = Some(versions);
        self.send_handshake(versions)
    }

    fn handshake(
        &mut self,
        response: &SaslHandshakeResponse,
        now: Instant,
    ) -> Result<AuthStep, AuthFailure> {
        match response.error {
            ErrorCode::NoError => {
                let step = self.mechanism.proceed(now);
                self.take(step, now)
            }
            ErrorCode::UnsupportedSaslMechanism => {
                let offered = response.mechanisms.join(", ");
                let offered = if offered.is_empty() { "none" } else { &offered };
                Err(self.refused(&format!(
                    "the broker does not offer this mechanism, it offers: {offered}; set sasl.mechanism to \
                     one of them"
                )))
            }
            ErrorCode::IllegalSaslState => Err(self.refused(
                "the broker does not authenticate clients on this listener; set security.protocol to \
                 PLAINTEXT, or SSL, or name another port in bootstrap.servers",
            )),
            error => Err(self.interrupted(&format!("the broker answers SaslHandshake with {error}"))),
        }
    }

    fn authenticated(
        &mut self,
        response: &SaslAuthenticateResponse,
        now: Instant,
    ) -> Result<AuthStep, AuthFailure> {
        let error = response.error;
        if error == ErrorCode::NoError {
            if let Ok(millis @ 1..) = u64::try_from(response.session_lifetime_ms) {
                self.session = Some(Duration::from_millis(millis));
            }
            return self.token(&response.auth_bytes.0, now);
        }
        let why = match &response.error_message {
            Some(words) => format!("the broker says: {words}"),
            None => format!("the broker says {error}"),
        };
        match error {
            ErrorCode::SaslAuthenticationFailed
            | ErrorCode::IllegalSaslState
            | ErrorCode::UnsupportedSaslMechanism => {
                self.mechanism.refused(now);
                Err(self.refused(&format!("{why}; {}", self.remedy())))
            }
            _ => Err(self.interrupted(&why)),
        }
    }

    fn token(&mut self, token: &[u8], now: Instant) -> Result<AuthStep, AuthFailure> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(self.interrupted(&format!(
                "the broker's token has {} bytes, and no more than {MAX_TOKEN_BYTES} are taken",
                token.len()
            )));
        }
        let step = self.mechanism.evaluate(token, now);
        self.take(step, now)
    }
}

impl Authenticator for SaslClientAuthenticator {
    fn proceed(&mut self, now: Instant) -> Result<AuthStep, AuthFailure> {
        match self.state {
            State::Begins | State::Complete => self.begin(),
            State::Paused => {
                let step = self.mechanism.proceed(now);
                self.take(step, now)
            }
            State::Versions | State::Handshake | State::Token => Ok(AuthStep::Receive),
        }
    }

    fn receive(&mut self, frame: &Bytes, now: Instant) -> Result<AuthStep, AuthFailure> {
        let version = self.versions.map_or(0, Versions::of_handshake);
        match (self.state, self.versions) {
            (State::Versions, _) => {
                match self.answer(frame, ApiKey::ApiVersions, API_VERSIONS_VERSION)? {
                    Response::ApiVersions(response) => self.versions(&response),
                    _ => Err(self.interrupted("the broker speaks out of turn")),
                }
            }
            (State::Handshake, _) => match self.answer(frame, ApiKey::SaslHandshake, version)? {
                Response::SaslHandshake(response) => self.handshake(&response, now),
                _ => Err(self.interrupted("the broker speaks out of turn")),
            },
            (State::Token, Some(Versions::Requests(version))) => {
                match self.answer(frame, ApiKey::SaslAuthenticate, version)? {
                    Response::SaslAuthenticate(response) => self.authenticated(&response, now),
                    _ => Err(self.interrupted("the broker speaks out of turn")),
                }
            }
            (State::Token, _) => self.token(frame, now),
            (State::Begins | State::Paused | State::Complete, _) => {
                Err(self.interrupted("the broker speaks out of turn"))
            }
        }
    }

    fn is_answer(&self, frame: &Bytes) -> bool {
        let id = frame.first_chunk().map(|id| i32::from_be_bytes(*id));
        id.is_some_and(|id| id >= MIN_CORRELATION_ID)
    }
}

#[cfg(test)]
mod tests;
