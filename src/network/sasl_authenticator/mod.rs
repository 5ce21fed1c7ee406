//! SASL authenticator: the SASL requests of Kafka (API versions, handshake, tokens), independent of the mechanism.
//!
//! ```text
//!              ┌─────────────── again (KIP-368) ──────────────┐
//!              ▼                                              │
//!  ApiVersions ─▶ SaslHandshake ─▶ token ⇄ token … ─▶ Complete
//!   (once)          │                ├ version 1: in SaslAuthenticate requests, with error messages
//!                   │                └ version 0, of brokers before 1.0: bare, and a failure closes the connection
//! ```

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::authenticator::{AuthFailure, AuthRefusal, AuthRefusalKind, AuthStep, Authenticator};
use crate::clock::{Deadline, Instant};
use crate::error::ErrorCode;
use crate::protocol::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, AuthBytes, Frame, Reader, Request, Response,
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
    decode_response_correlation,
};
use crate::security::sasl::mechanism::{
    MechanismFailure, MechanismRefusal, MechanismStep, SaslMechanism,
};
use crate::security::sasl::{Mechanism, SaslClient};
use crate::sync::{Mutex, Rank};
use crate::util::foreign_text::printable_start;

/// First of the reserved correlation ids, which only SASL requests use: the correlation id of a response that arrives
/// during re-authentication shows whether it belongs to a SASL request.
const MIN_CORRELATION_ID: i32 = i32::MAX - 7;

/// Version of the ApiVersions request. It is 0, since a broker treats a request that it cannot decode here as a
/// Kerberos (GSSAPI) token.
const API_VERSIONS_VERSION: i16 = 0;

/// Longest token accepted from a broker, in bytes; the tokens of all mechanisms have some hundred bytes.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// Earliest time of re-authentication, as a fraction of the session lifetime. A random part of the jitter is added, to
/// spread the re-authentications of a broker's clients.
const SESSION_FACTOR: f64 = 0.85;
const SESSION_JITTER: f64 = 0.10;

/// Factory of a producer's SASL authenticators, one per connection.
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

    /// An authenticator for a connection to a broker on this host.
    pub(crate) fn make(&self, host: &Arc<str>) -> Box<dyn Authenticator> {
        Box::new(SaslClientAuthenticator {
            client: self.client.clone(),
            client_id: Arc::clone(&self.client_id),
            random: self.random.lock().fork(),
            versions: None,
            correlation_id: i32::MAX,
            state: SaslState::Initial,
            mechanism: self.client.start(host),
            host: Arc::clone(host),
            session: None,
        })
    }

    /// Does the mechanism's periodic work (token refresh). Returns when to call again at the latest.
    pub(crate) fn poll(&self, now: Instant) -> Deadline {
        self.client.poll(now)
    }
}

/// How tokens are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenFraming {
    /// Each as a bare frame, for brokers before 1.0.
    Bare,
    /// In SaslAuthenticate requests of this version.
    Requests(i16),
}

impl TokenFraming {
    fn of_handshake(self) -> i16 {
        match self {
            Self::Bare => 0,
            Self::Requests(_) => 1,
        }
    }
}

/// State of an exchange, named for the response that it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SaslState {
    Initial,
    Versions,
    Handshake,
    /// The mechanism waits for something other than the broker, described by this text for errors.
    Paused(&'static str),
    Token,
    /// The mechanism's last token is being sent bare: the broker does not respond to it.
    LastToken,
    Complete,
}

/// The SASL authenticator of one connection.
///
/// # Kafka
/// `org.apache.kafka.common.security.authenticator.SaslClientAuthenticator`. Differs: a broker's bare (and empty)
/// response to PLAIN is awaited, so that it is not taken for the response to a later request.
struct SaslClientAuthenticator {
    client: SaslClient,
    client_id: Arc<str>,
    /// The broker's host name, as configured or advertised: a part of its name in some mechanisms.
    host: Arc<str>,
    random: fastrand::Rng,
    /// Known after the first ApiVersions response; kept for re-authentications.
    versions: Option<TokenFraming>,
    /// Correlation id of the request in flight.
    correlation_id: i32,
    state: SaslState,
    mechanism: Box<dyn SaslMechanism>,
    /// Session lifetime, from the SaslAuthenticate response.
    session: Option<Duration>,
}

impl SaslClientAuthenticator {
    fn name(&self) -> &'static str {
        self.client.mechanism().name()
    }

    fn refused(&self, kind: AuthRefusalKind, why: &str) -> AuthFailure {
        let reason = format!("{} authentication: {why}", self.name()).into();
        AuthFailure::Refused(AuthRefusal { kind, reason })
    }

    fn interrupted(&self, why: &str) -> AuthFailure {
        AuthFailure::Interrupted(format!("{} authentication: {why}", self.name()).into())
    }

    /// The words of the broker, without the password or token that it was sent: a broker that logs its rejections in
    /// detail may repeat it.
    fn without_secret<'w>(&self, words: &'w str) -> Cow<'w, str> {
        match self.mechanism.sent_secret() {
            Some(secret) => secret.hidden_in(words),
            None => words.into(),
        }
    }

    /// Remedy for rejected credentials, for error texts.
    fn remedy(&self) -> &'static str {
        match self.client.mechanism() {
            Mechanism::OAuthBearer => {
                "check the token that the TokenProvider, the token endpoint or sasl.jaas.config supplies"
            }
            #[cfg(feature = "gssapi")]
            Mechanism::Gssapi => {
                "check sasl.kerberos.service.name, and the login in sasl.jaas.config"
            }
            _ => "check username and password in sasl.jaas.config",
        }
    }

    /// A step that sends a request, with the next reserved correlation id.
    fn send(&mut self, request: &Request, version: i16) -> Result<AuthStep, AuthFailure> {
        // Wraps within the reserved ids; one request is in flight at a time, so ids cannot collide.
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
        // A mechanism keeps the state of one exchange (SCRAM's nonce, for instance).
        self.mechanism = self.client.start(&self.host);
        self.session = None;
        // Re-authentication skips ApiVersions: the broker behind this connection is still the same.
        if let Some(versions) = self.versions {
            return self.send_handshake(versions);
        }
        self.state = SaslState::Versions;
        let request = Request::ApiVersions(ApiVersionsRequest::ours());
        self.send(&request, API_VERSIONS_VERSION)
    }

    fn send_handshake(&mut self, versions: TokenFraming) -> Result<AuthStep, AuthFailure> {
        self.state = SaslState::Handshake;
        let mechanism = self.name().into();
        let request = Request::SaslHandshake(SaslHandshakeRequest { mechanism });
        self.send(&request, versions.of_handshake())
    }

    /// Whether tokens are sent in requests, to which the broker responds.
    fn sends_requests(&self) -> bool {
        matches!(self.versions, Some(TokenFraming::Requests(_)))
    }

    fn send_token(&mut self, token: &[u8]) -> Result<AuthStep, AuthFailure> {
        self.state = SaslState::Token;
        let token = Bytes::copy_from_slice(token);
        match self.versions {
            Some(TokenFraming::Requests(version)) => {
                let auth_bytes = AuthBytes(token);
                let request = Request::SaslAuthenticate(SaslAuthenticateRequest { auth_bytes });
                self.send(&request, version)
            }
            Some(TokenFraming::Bare) | None => Frame::from_payload(token)
                .map(AuthStep::Send)
                .map_err(|error| self.interrupted(&format!("a token cannot be written: {error}"))),
        }
    }

    /// Applies a step of the mechanism.
    fn take(
        &mut self,
        step: Result<MechanismStep, MechanismFailure>,
        now: Instant,
    ) -> Result<AuthStep, AuthFailure> {
        match step {
            Ok(MechanismStep::Send(token)) => self.send_token(token.expose()),
            Ok(MechanismStep::SendLast(token)) => {
                let step = self.send_token(token.expose())?;
                if !self.sends_requests() {
                    self.state = SaslState::LastToken;
                }
                Ok(step)
            }
            Ok(MechanismStep::Wait(what, until)) => {
                self.state = SaslState::Paused(what);
                // When the mechanism can continue earlier, it wakes up the selector, which calls `proceed`.
                Ok(AuthStep::Pause(until))
            }
            Ok(MechanismStep::Complete) => Ok(self.complete(now)),
            Err(MechanismFailure::Refused(MechanismRefusal::Protocol, why)) => {
                Err(self.refused(AuthRefusalKind::Other, &why))
            }
            Err(MechanismFailure::Refused(MechanismRefusal::Credentials, why)) => {
                // The mechanism may drop a cached token, so that the next attempt uses a new one.
                self.mechanism.refused(now);
                let why = format!("{why}; {}", self.remedy());
                Err(self.refused(AuthRefusalKind::Credentials, &why))
            }
            Err(MechanismFailure::Interrupted(why)) => Err(self.interrupted(&why)),
        }
    }

    /// Completes the exchange, and schedules re-authentication if the session has a lifetime (KIP-368).
    ///
    /// # Kafka
    /// `SaslClientAuthenticator.ReauthInfo#setAuthenticationEndAndSessionReauthenticationTimes`.
    fn complete(&mut self, now: Instant) -> AuthStep {
        self.state = SaslState::Complete;
        let again = self.session.map_or(Deadline::Never, |session| {
            let part = SESSION_FACTOR + SESSION_JITTER * self.random.f64();
            Deadline::after(now, session.mul_f64(part))
        });
        AuthStep::Complete { again }
    }

    /// Decodes a frame as the response to the request in flight.
    fn answer(&self, frame: &Bytes, api: ApiKey, version: i16) -> Result<Response, AuthFailure> {
        let mut reader = Reader::new(frame);
        let read = decode_response_correlation(api, version, &mut reader).and_then(|id| {
            Response::decode(api, version, &mut reader).map(|response| (id, response))
        });
        match read {
            Ok((id, response)) if id == self.correlation_id => Ok(response),
            Ok((id, _)) => Err(self.interrupted(&format!(
                "the broker responded to request {id} instead of {}, which is {api}",
                self.correlation_id
            ))),
            Err(error) => Err(self.interrupted(&format!(
                "the broker's response to {api} cannot be read ({error}); it may expect another protocol than \
                 security.protocol says"
            ))),
        }
    }

    /// Handles the ApiVersions response: chooses how tokens are sent, and sends the SaslHandshake.
    fn versions(&mut self, response: &ApiVersionsResponse) -> Result<AuthStep, AuthFailure> {
        if response.error != ErrorCode::NoError {
            let why = format!(
                "the broker did not return its API versions: {}",
                response.error
            );
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
            // SaslHandshake version 1 announces SaslAuthenticate requests (KIP-152).
            (Some(1..), Some(version)) => TokenFraming::Requests(version),
            _ => TokenFraming::Bare,
        };
        self.versions = Some(versions);
        self.send_handshake(versions)
    }

    /// Handles the SaslHandshake response: starts the mechanism, or fails with the list of those that the broker
    /// offers.
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
                let offered = match printable_start(&offered) {
                    offered if offered.is_empty() => "none".into(),
                    offered => offered,
                };
                let why = format!(
                    "the broker does not offer this mechanism, it offers: {offered}; set sasl.mechanism to \
                     one of them"
                );
                Err(self.refused(AuthRefusalKind::Mechanism, &why))
            }
            ErrorCode::IllegalSaslState => Err(self.refused(
                AuthRefusalKind::Other,
                "the broker does not authenticate clients on this listener; set security.protocol to \
                 PLAINTEXT, or SSL, or name another port in bootstrap.servers",
            )),
            error => Err(self.interrupted(&format!("the broker responded to SaslHandshake with {error}"))),
        }
    }

    /// Handles a SaslAuthenticate response: the broker's token, or its error.
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
            Some(words) => format!("the broker reported: {}", self.without_secret(words)),
            None => format!("the broker reported {error}"),
        };
        match error {
            ErrorCode::SaslAuthenticationFailed
            | ErrorCode::IllegalSaslState
            | ErrorCode::UnsupportedSaslMechanism => {
                self.mechanism.refused(now);
                let why = format!("{why}; {}", self.remedy());
                Err(self.refused(AuthRefusalKind::Credentials, &why))
            }
            _ => Err(self.interrupted(&why)),
        }
    }

    /// Passes the broker's token to the mechanism.
    fn token(&mut self, token: &[u8], now: Instant) -> Result<AuthStep, AuthFailure> {
        // The token is untrusted input of the mechanism, and on a re-authenticated connection frames may be large.
        if token.len() > MAX_TOKEN_BYTES {
            return Err(self.interrupted(&format!(
                "the broker's token has {} bytes, more than the limit of {MAX_TOKEN_BYTES}",
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
            SaslState::Initial | SaslState::Complete => self.begin(),
            SaslState::Paused(_) => {
                let step = self.mechanism.proceed(now);
                self.take(step, now)
            }
            SaslState::Versions | SaslState::Handshake | SaslState::Token => Ok(AuthStep::Receive),
            // It is written in full now.
            SaslState::LastToken => Ok(self.complete(now)),
        }
    }

    fn receive(&mut self, frame: &Bytes, now: Instant) -> Result<AuthStep, AuthFailure> {
        let version = self.versions.map_or(0, TokenFraming::of_handshake);
        match (self.state, self.versions) {
            (SaslState::Versions, _) => {
                match self.answer(frame, ApiKey::ApiVersions, API_VERSIONS_VERSION)? {
                    Response::ApiVersions(response) => self.versions(&response),
                    _ => Err(self.interrupted("the broker sent an unexpected frame")),
                }
            }
            (SaslState::Handshake, _) => {
                match self.answer(frame, ApiKey::SaslHandshake, version)? {
                    Response::SaslHandshake(response) => self.handshake(&response, now),
                    _ => Err(self.interrupted("the broker sent an unexpected frame")),
                }
            }
            (SaslState::Token, Some(TokenFraming::Requests(version))) => {
                match self.answer(frame, ApiKey::SaslAuthenticate, version)? {
                    Response::SaslAuthenticate(response) => self.authenticated(&response, now),
                    _ => Err(self.interrupted("the broker sent an unexpected frame")),
                }
            }
            (SaslState::Token, _) => self.token(frame, now),
            // No response is awaited: the broker sent an unsolicited frame.
            (
                SaslState::Initial
                | SaslState::Paused(_)
                | SaslState::LastToken
                | SaslState::Complete,
                _,
            ) => Err(self.interrupted("the broker sent an unexpected frame")),
        }
    }

    fn waits_for(&self) -> &'static str {
        match self.state {
            SaslState::Initial | SaslState::Versions => "the broker's response to ApiVersions",
            SaslState::Handshake => "the broker's response to SaslHandshake",
            SaslState::Paused(what) => what,
            SaslState::Token if !self.sends_requests() => "the broker's response to a token",
            SaslState::LastToken => "the transmission of the last token",
            SaslState::Token | SaslState::Complete => "the broker's response to SaslAuthenticate",
        }
    }

    fn is_answer(&self, frame: &Bytes) -> bool {
        let id = frame.first_chunk().map(|id| i32::from_be_bytes(*id));
        id.is_some_and(|id| id >= MIN_CORRELATION_ID)
    }
}

#[cfg(test)]
mod tests;
