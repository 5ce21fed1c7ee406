//! SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677): each side proves that it knows the password, and neither
//! says it.

mod hash;
mod key_cache;
pub(crate) mod messages;
#[cfg(feature = "testing")]
mod server;

use std::sync::Arc;

pub(crate) use self::hash::{ScramHash, ScramKeys};
use self::key_cache::{Derivation, KeyCache};
use self::messages::{ServerFinal, read_server_final, read_server_first, sasl_name};
#[cfg(feature = "testing")]
pub(crate) use self::server::ServerScram;
use super::base64;
use super::mechanism::{MechanismFailure, MechanismStep, SaslMechanism};
use super::outside::Outside;
use super::plain::Credentials;
use crate::clock::Instant;
use crate::util::wipe::SecretBytes;

/// No broker may ask for fewer: a password could be guessed from what is said.
const MIN_ITERATIONS: u32 = 4096;
/// Nor for more, which take half a second. Kafka's own tools give 4,096 and allow up to 16,384.
const MAX_ITERATIONS: u32 = 1_000_000;
/// A salt of more bytes than this is none.
const MAX_SALT_BYTES: usize = 1024;
/// Random bytes of a nonce.
const NONCE_BYTES: usize = 24;
/// What stands before the client's first message: there is no channel binding, nor another name to act for.
const GS2_HEADER: &str = "n,,";

/// A user, and the keys of the password.
#[derive(Clone)]
pub(crate) struct ScramClient {
    hash: ScramHash,
    username: Arc<str>,
    /// The user is a delegation token (KIP-48).
    is_token: bool,
    keys: Arc<KeyCache>,
    outside: Outside,
}

impl ScramClient {
    pub(crate) fn new(
        hash: ScramHash,
        credentials: &Credentials,
        is_token: bool,
        outside: Outside,
    ) -> Self {
        Self {
            hash,
            username: credentials.username.as_str().into(),
            is_token,
            keys: KeyCache::new(hash, credentials.password.clone(), outside.clone()),
            outside,
        }
    }

    /// One exchange.
    pub(crate) fn start(&self) -> ScramMechanism {
        ScramMechanism {
            client: self.clone(),
            state: State::Begins,
        }
    }
}

enum State {
    Begins,
    /// The client's first message is out.
    First {
        bare: String,
        nonce: String,
    },
    /// The broker's first message is here; the keys are not.
    Derives {
        wanted: Derivation,
        /// `AuthMessage`, and where the last part of it begins.
        auth_message: String,
        final_at: usize,
    },
    /// The client's proof is out.
    Final {
        keys: Arc<ScramKeys>,
        auth_message: String,
    },
    Complete,
}

/// # Kafka
/// `org.apache.kafka.common.security.scram.internals.ScramSaslClient`. Differs: the nonce must go on after the
/// client's, and the number of iterations has an upper bound.
pub(crate) struct ScramMechanism {
    client: ScramClient,
    state: State,
}

fn send(message: String) -> MechanismStep {
    MechanismStep::Send(SecretBytes::new(message.into_bytes()))
}

fn refused(why: impl Into<String>) -> MechanismFailure {
    MechanismFailure::Refused(why.into())
}

impl ScramMechanism {
    fn begin(&mut self) -> Result<MechanismStep, MechanismFailure> {
        let mut random = [0; NONCE_BYTES];
        (self.client.outside.random)(&mut random).map_err(|error| {
            MechanismFailure::Interrupted(format!("there are no random numbers to be had: {error}"))
        })?;
        let nonce = base64::encode(&random);
        let extension = if self.client.is_token {
            ",tokenauth=true"
        } else {
            ""
        };
        let name = sasl_name(&self.client.username);
        let bare = format!("n={name},r={nonce}{extension}");
        let message = format!("{GS2_HEADER}{bare}");
        self.state = State::First { bare, nonce };
        Ok(send(message))
    }

    fn server_first(
        &mut self,
        bare: &str,
        nonce: &str,
        token: &[u8],
    ) -> Result<MechanismStep, MechanismFailure> {
        let first = read_server_first(token)
            .map_err(|why| refused(format!("the broker's first message is none: {why}")))?;
        let own = first.nonce.strip_prefix(nonce);
        if own.is_none_or(str::is_empty) {
            return Err(refused(
                "the broker does not go on with the nonce that it was sent, so the answer is not for \
                 this exchange",
            ));
        }
        if first.iterations < MIN_ITERATIONS {
            return Err(refused(format!(
                "the broker asks for {} iterations, and fewer than {MIN_ITERATIONS} would give the \
                 password away: create the user again with more",
                first.iterations
            )));
        }
        if first.iterations > MAX_ITERATIONS {
            return Err(refused(format!(
                "the broker asks for {} iterations, and no more than {MAX_ITERATIONS} are computed here: \
                 create the user again with fewer",
                first.iterations
            )));
        }
        if first.salt.len() > MAX_SALT_BYTES {
            return Err(refused(format!(
                "the broker's salt has {} bytes, and no more than {MAX_SALT_BYTES} are taken",
                first.salt.len()
            )));
        }
        let server_first = std::str::from_utf8(token).unwrap_or_default();
        let binding = base64::encode(GS2_HEADER.as_bytes());
        let said = format!("{bare},{server_first},");
        let auth_message = format!("{said}c={binding},r={}", first.nonce);
        let final_at = said.len();
        self.state = State::Derives {
            wanted: Derivation {
                salt: first.salt,
                iterations: first.iterations,
            },
            auth_message,
            final_at,
        };
        self.client_final()
    }

    /// Goes on, if the keys are there.
    fn client_final(&mut self) -> Result<MechanismStep, MechanismFailure> {
        let State::Derives {
            wanted,
            auth_message,
            final_at,
        } = &mut self.state
        else {
            return Ok(MechanismStep::Wait);
        };
        let keys = self.client.keys.keys(wanted);
        let Some(keys) = keys.map_err(MechanismFailure::Interrupted)? else {
            return Ok(MechanismStep::Wait);
        };
        let proof = keys.proof(self.client.hash, auth_message.as_bytes());
        let message = format!(
            "{},p={}",
            &auth_message[*final_at..],
            base64::encode(&proof)
        );
        self.state = State::Final {
            auth_message: std::mem::take(auth_message),
            keys,
        };
        Ok(send(message))
    }

    fn server_final(
        &self,
        keys: &ScramKeys,
        auth_message: &str,
        token: &[u8],
    ) -> Result<MechanismStep, MechanismFailure> {
        let read = read_server_final(token)
            .map_err(|why| refused(format!("the broker's final message is none: {why}")))?;
        match read {
            ServerFinal::Error(why) => Err(refused(format!(
                "the broker does not accept the credentials: {why}"
            ))),
            ServerFinal::Signature(signature)
                if keys.is_of_server(self.client.hash, auth_message.as_bytes(), &signature) =>
            {
                Ok(MechanismStep::Complete)
            }
            ServerFinal::Signature(_) => Err(refused(
                "the broker does not prove that it knows the password: somebody else answers in its place",
            )),
        }
    }
}

impl SaslMechanism for ScramMechanism {
    fn proceed(&mut self, _now: Instant) -> Result<MechanismStep, MechanismFailure> {
        match self.state {
            State::Begins => self.begin(),
            _ => self.client_final(),
        }
    }

    fn evaluate(&mut self, token: &[u8], _now: Instant) -> Result<MechanismStep, MechanismFailure> {
        match std::mem::replace(&mut self.state, State::Complete) {
            State::First { bare, nonce } => self.server_first(&bare, &nonce, token),
            State::Final { keys, auth_message } => self.server_final(&keys, &auth_message, token),
            State::Begins | State::Derives { .. } | State::Complete => Err(
                MechanismFailure::Interrupted("the broker speaks out of turn".to_owned()),
            ),
        }
    }
}

/// Talks with a broker that says anything: two messages, with a zero between them.
///
/// # Panics
/// If it believes that the broker knows the password.
#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) fn talk_with(messages: &[u8]) {
    let mut parts = messages.splitn(2, |byte| *byte == 0);
    let (first, last) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let read = read_server_first(first);
    if let Ok(read) = &read {
        assert!(!read.salt.is_empty() && !read.nonce.is_empty());
    }
    let keys = ScramKeys::derive(ScramHash::Sha256, b"never guessed", b"salt", 1);
    if let Ok(ServerFinal::Signature(signature)) = read_server_final(last) {
        assert!(
            !keys.is_of_server(ScramHash::Sha256, first, &signature),
            "{signature:?}"
        );
    }
    let outside = Outside {
        // Nothing is derived: what comes before and after that is looked at.
        run: Arc::new(|_| Ok(())),
        wake: Arc::default(),
        random: Arc::new(|bytes| {
            bytes.fill(0);
            Ok(())
        }),
        clock: Arc::new(crate::clock::SystemClock::new()),
        log: crate::util::log::LogContext::of_producer("fuzz", None),
        seed: 0,
    };
    let credentials = Credentials {
        username: "user".to_owned(),
        password: crate::config::Password::new("never guessed"),
    };
    let mut mechanism = ScramClient::new(ScramHash::Sha256, &credentials, false, outside).start();
    let now = Instant::ORIGIN;
    if mechanism.proceed(now).is_ok() && mechanism.evaluate(first, now).is_ok() {
        assert!(
            mechanism.evaluate(last, now).is_err(),
            "the broker spoke out of turn"
        );
    }
}

#[cfg(test)]
mod tests;
