//! SASL on the broker's side: PLAIN, SCRAM and OAUTHBEARER, as in Kafka's brokers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::plan::Answer;
use crate::clock::Timestamp;
use crate::config::Password;
use crate::error::ErrorCode;
use crate::protocol::{
    ApiKey, AuthBytes, Frame, Reader, Request, RequestHeader, Response, SaslAuthenticateResponse,
    SaslHandshakeResponse,
};
#[cfg(feature = "sasl-scram")]
use crate::security::sasl::scram::{ScramHash, ScramKeys, ServerScram};
use crate::testing::script::AndThen;

/// Mechanisms offered by default.
#[cfg(feature = "sasl-scram")]
const MECHANISMS: &[&str] = &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
#[cfg(not(feature = "sasl-scram"))]
const MECHANISMS: &[&str] = &["PLAIN"];

/// Offered if there is a token.
const OAUTHBEARER: &str = "OAUTHBEARER";

/// SASL settings of a cluster: mechanisms, users and tokens.
#[derive(Debug, Clone)]
pub(crate) struct SaslListener {
    users: BTreeMap<String, Password>,
    /// The SCRAM keys of the passwords, cached because their computation is slow and there are many connections.
    #[cfg(feature = "sasl-scram")]
    keys: BTreeMap<(String, ScramHash), Arc<ScramKeys>>,
    /// Accepted bearer tokens.
    tokens: Vec<Password>,
    /// Accepts further bearer tokens.
    token_check: Option<TokenCheck>,
    mechanisms: Vec<Arc<str>>,
    /// `connections.max.reauth.ms`.
    session: Option<Duration>,
}

/// A function that accepts a bearer token by returning true.
#[derive(Clone)]
struct TokenCheck(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl fmt::Debug for TokenCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCheck").finish_non_exhaustive()
    }
}

impl Default for SaslListener {
    fn default() -> Self {
        Self {
            users: BTreeMap::new(),
            #[cfg(feature = "sasl-scram")]
            keys: BTreeMap::new(),
            tokens: Vec::new(),
            token_check: None,
            mechanisms: MECHANISMS.iter().map(|name| (*name).into()).collect(),
            session: None,
        }
    }
}

impl SaslListener {
    /// Adds a user with a password.
    pub(crate) fn set_user(&mut self, name: &str, password: &str) {
        self.users.insert(name.to_owned(), Password::new(password));
        #[cfg(feature = "sasl-scram")]
        for hash in [ScramHash::Sha256, ScramHash::Sha512] {
            let keys = ServerScram::keys(hash, &Password::new(password));
            self.keys.insert((name.to_owned(), hash), Arc::new(keys));
        }
    }

    #[cfg(feature = "sasl-scram")]
    fn keys(&self, name: &str, hash: ScramHash) -> Option<Arc<ScramKeys>> {
        self.keys.get(&(name.to_owned(), hash)).cloned()
    }

    /// Accepts a bearer token, and offers OAUTHBEARER.
    pub(crate) fn add_token(&mut self, token: &str) {
        self.tokens.push(Password::new(token));
        self.offer_tokens();
    }

    /// Accepts the bearer tokens that pass a check, and offers OAUTHBEARER.
    pub(crate) fn set_token_check(&mut self, check: impl Fn(&str) -> bool + Send + Sync + 'static) {
        self.token_check = Some(TokenCheck(Arc::new(check)));
        self.offer_tokens();
    }

    fn offer_tokens(&mut self) {
        if !self.mechanisms.iter().any(|name| &**name == OAUTHBEARER) {
            self.mechanisms.push(OAUTHBEARER.into());
        }
    }

    /// # Kafka
    /// `OAuthBearerClientInitialResponse`, without its checks.
    fn takes_token(&self, message: &[u8]) -> bool {
        let mut parts = message.split(|byte| *byte == 1);
        let token = parts.find_map(|part| part.strip_prefix(b"auth=Bearer "));
        let Some(Ok(token)) = token.map(std::str::from_utf8) else {
            return false;
        };
        let check = self.token_check.as_ref();
        self.tokens.iter().any(|known| known.expose() == token)
            || check.is_some_and(|check| (check.0)(token))
    }

    /// Restricts the mechanisms offered.
    pub(crate) fn set_mechanisms(&mut self, names: &[&str]) {
        let offered = MECHANISMS.iter().filter(|name| names.contains(name));
        self.mechanisms = offered.map(|name| (*name).into()).collect();
    }

    pub(crate) fn set_session(&mut self, session: Duration) {
        self.session = Some(session);
    }

    fn refusal(mechanism: &str) -> String {
        format!(
            "Authentication failed during authentication due to invalid credentials with SASL mechanism \
             {mechanism}"
        )
    }

    fn plain(&self, token: &[u8]) -> Result<(), String> {
        let mut parts = token.split(|byte| *byte == 0).skip(1);
        let (name, password) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let known = std::str::from_utf8(name)
            .ok()
            .and_then(|name| self.users.get(name));
        if known.is_some_and(|known| known.expose().as_bytes() == password) {
            return Ok(());
        }
        Err("Authentication failed: Invalid username or password".to_owned())
    }
}

/// Progress of a client's authentication.
#[derive(Debug)]
enum SaslSessionState {
    /// The client has not sent a handshake.
    Begins,
    Plain,
    Token,
    /// The client was told that its token was refused.
    TokenRefused,
    #[cfg(feature = "sasl-scram")]
    Scram(ServerScram),
    /// Authenticated, until this time if sessions have a lifetime.
    Known(Option<Timestamp>),
}

/// Authentication state of a connection.
///
/// # Kafka
/// `org.apache.kafka.common.security.authenticator.SaslServerAuthenticator`.
#[derive(Debug)]
pub(crate) struct SaslSession {
    state: SaslSessionState,
    mechanism: Arc<str>,
    /// Whether tokens come without request headers, as after a handshake of version 0.
    is_bare: bool,
    has_been_known: bool,
}

impl SaslSession {
    /// A session of a client that has not authenticated.
    pub(crate) fn new() -> Self {
        Self {
            state: SaslSessionState::Begins,
            mechanism: "".into(),
            is_bare: false,
            has_been_known: false,
        }
    }

    /// Handles a frame of the authentication, and rejects other requests while the client is not authenticated. Returns
    /// `None` for a request that the broker has to handle.
    pub(super) fn take(
        &mut self,
        listener: &SaslListener,
        frame: &Bytes,
        now: Timestamp,
    ) -> Option<Answer> {
        let is_talking = !matches!(
            self.state,
            SaslSessionState::Begins | SaslSessionState::Known(_)
        );
        if self.is_bare && is_talking {
            return Some(self.bare(listener, frame, now));
        }
        let mut reader = Reader::new(frame);
        let Ok(header) = RequestHeader::decode(&mut reader) else {
            return Some(Answer::Close);
        };
        let (api, version) = (header.api_key, header.api_version);
        if !matches!(api, ApiKey::SaslHandshake | ApiKey::SaslAuthenticate) {
            return self.other(api, now);
        }
        let request = Request::decode_body(api, version, &mut reader);
        let response = match request {
            Ok(Request::SaslHandshake(request)) if !is_talking => {
                self.handshake(listener, &request.mechanism, version)
            }
            Ok(Request::SaslAuthenticate(request)) if is_talking => {
                self.authenticate(listener, &request.auth_bytes.0, now)
            }
            _ => return Some(Answer::Close),
        };
        let is_refused = match &response {
            Response::SaslHandshake(answer) => answer.error != ErrorCode::NoError,
            Response::SaslAuthenticate(answer) => answer.error != ErrorCode::NoError,
            _ => false,
        };
        let frame = response.encode(version, header.correlation_id);
        Some(if is_refused {
            Answer::Part {
                frame,
                bytes: usize::MAX,
                then: AndThen::Close,
            }
        } else {
            Answer::Reply(frame)
        })
    }

    /// Handles a request that does not belong to SASL.
    fn other(&self, api: ApiKey, now: Timestamp) -> Option<Answer> {
        let passes = match self.state {
            SaslSessionState::Begins => api == ApiKey::ApiVersions && !self.has_been_known,
            SaslSessionState::Known(None) => true,
            SaslSessionState::Known(Some(end)) => now < end,
            // No other request is legal during authentication: requests sent before a re-authentication arrive before
            // it.
            SaslSessionState::Plain | SaslSessionState::Token | SaslSessionState::TokenRefused => {
                false
            }
            #[cfg(feature = "sasl-scram")]
            SaslSessionState::Scram(_) => false,
        };
        (!passes).then_some(Answer::Close)
    }

    fn handshake(&mut self, listener: &SaslListener, mechanism: &str, version: i16) -> Response {
        let offered = listener
            .mechanisms
            .iter()
            .find(|name| &***name == mechanism);
        let error = match offered {
            None => ErrorCode::UnsupportedSaslMechanism,
            Some(_) if self.has_been_known && *mechanism != *self.mechanism => {
                ErrorCode::SaslAuthenticationFailed
            }
            Some(name) => {
                self.mechanism = Arc::clone(name);
                self.is_bare = version == 0;
                self.state = match mechanism {
                    #[cfg(feature = "sasl-scram")]
                    "SCRAM-SHA-256" | "SCRAM-SHA-512" => {
                        SaslSessionState::Scram(ServerScram::new(mechanism == "SCRAM-SHA-512"))
                    }
                    OAUTHBEARER => SaslSessionState::Token,
                    _ => SaslSessionState::Plain,
                };
                ErrorCode::NoError
            }
        };
        Response::SaslHandshake(SaslHandshakeResponse {
            error,
            mechanisms: listener.mechanisms.clone(),
        })
    }

    /// Evaluates a token. Returns the answer, and whether it was the last token.
    fn evaluate(
        &mut self,
        listener: &SaslListener,
        token: &[u8],
    ) -> Result<(Vec<u8>, bool), String> {
        match &mut self.state {
            SaslSessionState::Plain => listener.plain(token).map(|()| (Vec::new(), true)),
            SaslSessionState::Token if listener.takes_token(token) => Ok((Vec::new(), true)),
            SaslSessionState::Token => {
                self.state = SaslSessionState::TokenRefused;
                Ok((b"{\"status\":\"invalid_token\"}".to_vec(), false))
            }
            SaslSessionState::TokenRefused => Err("{\"status\":\"invalid_token\"}".to_owned()),
            #[cfg(feature = "sasl-scram")]
            SaslSessionState::Scram(server) => server
                .evaluate(token, |name, hash| listener.keys(name, hash))
                .ok_or_else(|| SaslListener::refusal(&self.mechanism)),
            SaslSessionState::Begins | SaslSessionState::Known(_) => {
                Err(SaslListener::refusal(&self.mechanism))
            }
        }
    }

    fn known(&mut self, listener: &SaslListener, now: Timestamp) {
        self.has_been_known = true;
        self.state = SaslSessionState::Known(listener.session.map(|session| now.plus(session)));
    }

    fn authenticate(&mut self, listener: &SaslListener, token: &[u8], now: Timestamp) -> Response {
        let mut response = SaslAuthenticateResponse {
            error: ErrorCode::NoError,
            error_message: None,
            auth_bytes: AuthBytes(Bytes::new()),
            session_lifetime_ms: 0,
        };
        match self.evaluate(listener, token) {
            Ok((answer, is_last)) => {
                response.auth_bytes = AuthBytes(answer.into());
                if is_last {
                    self.known(listener, now);
                    let millis = listener.session.unwrap_or_default().as_millis();
                    response.session_lifetime_ms = i64::try_from(millis).unwrap_or(i64::MAX);
                }
            }
            Err(why) => {
                response.error = ErrorCode::SaslAuthenticationFailed;
                response.error_message = Some(why.into());
            }
        }
        Response::SaslAuthenticate(response)
    }

    /// Handles a token without a request header. As in brokers before 1.0, a failure closes the connection without an
    /// error response.
    fn bare(&mut self, listener: &SaslListener, token: &[u8], now: Timestamp) -> Answer {
        let Ok((answer, is_last)) = self.evaluate(listener, token) else {
            return Answer::Close;
        };
        if is_last {
            self.known(listener, now);
        }
        Frame::from_payload(answer.into()).map_or(Answer::Close, Answer::Reply)
    }
}
