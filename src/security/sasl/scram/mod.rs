//! SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677): client and broker prove to each other that they know the
//! password, without sending it.

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
use super::dependencies::SaslDependencies;
use super::mechanism::{MechanismFailure, MechanismRefusal, MechanismStep, SaslMechanism};
use super::plain::Credentials;
use crate::clock::{Deadline, Instant};
use crate::util::foreign_text::printable_start;
use crate::util::wipe::SecretBytes;

/// Minimum of iterations that is accepted: with fewer, an eavesdropper could guess the password by brute force.
const MIN_ITERATIONS: u32 = 4096;
/// Maximum of iterations that is accepted: half a second of CPU time. Kafka's own tools create users with 4,096
/// iterations, and allow up to 16,384.
const MAX_ITERATIONS: u32 = 1_000_000;
/// Longest salt that is accepted, in bytes.
const MAX_SALT_BYTES: usize = 1024;
/// Number of random bytes in a nonce.
const NONCE_BYTES: usize = 24;
/// The event that a connection waits for while a helper thread derives the keys, for error texts.
const WAITS_FOR: &str = "the keys, which are computed from the password";
/// The GS2 header before the client's first message: no channel binding, no authorization id.
const GS2_HEADER: &str = "n,,";

/// A user name, and the cached keys of the password.
#[derive(Clone)]
pub(crate) struct ScramClient {
    hash: ScramHash,
    username: Arc<str>,
    /// True if the user is a delegation token (KIP-48): the client then sends the extension `tokenauth=true`.
    is_token: bool,
    keys: Arc<KeyCache>,
    dependencies: SaslDependencies,
}

impl ScramClient {
    pub(crate) fn new(
        hash: ScramHash,
        credentials: &Credentials,
        is_token: bool,
        dependencies: SaslDependencies,
    ) -> Self {
        Self {
            hash,
            username: credentials.username.as_str().into(),
            is_token,
            keys: KeyCache::new(hash, credentials.password.clone(), dependencies.clone()),
            dependencies,
        }
    }

    /// Starts one exchange.
    pub(crate) fn start(&self) -> ScramMechanism {
        ScramMechanism {
            client: self.clone(),
            state: ScramState::Begins,
        }
    }
}

enum ScramState {
    Begins,
    /// The client's first message was sent.
    First {
        bare: String,
        nonce: String,
    },
    /// The broker's first message was received; the keys are being derived.
    Derives {
        wanted: Derivation,
        /// `AuthMessage`. Its last part is the client's final message without the proof.
        auth_message: String,
        /// The offset of that last part in bytes.
        final_at: usize,
    },
    /// The client's final message, with the proof, was sent.
    Final {
        keys: Arc<ScramKeys>,
        auth_message: String,
    },
    Complete,
}

/// # Kafka
/// `org.apache.kafka.common.security.scram.internals.ScramSaslClient`. Differs: the broker's nonce must begin with the
/// client's, and the number of iterations has an upper bound.
pub(crate) struct ScramMechanism {
    client: ScramClient,
    state: ScramState,
}

fn send(message: String) -> MechanismStep {
    MechanismStep::Send(SecretBytes::new(message.into_bytes()))
}

fn refused(why: impl Into<String>) -> MechanismFailure {
    MechanismFailure::Refused(MechanismRefusal::Credentials, why.into())
}

impl ScramMechanism {
    fn begin(&mut self) -> Result<MechanismStep, MechanismFailure> {
        let mut random = [0; NONCE_BYTES];
        (self.client.dependencies.random)(&mut random).map_err(|error| {
            MechanismFailure::Interrupted(format!(
                "the operating system has no random numbers: {error}"
            ))
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
        self.state = ScramState::First { bare, nonce };
        Ok(send(message))
    }

    fn server_first(
        &mut self,
        bare: &str,
        nonce: &str,
        token: &[u8],
    ) -> Result<MechanismStep, MechanismFailure> {
        let first = read_server_first(token)
            .map_err(|why| refused(format!("the broker's first message is malformed: {why}")))?;
        // The broker must extend our nonce: otherwise the response belongs to another exchange, perhaps a replayed one.
        let own = first.nonce.strip_prefix(nonce);
        if own.is_none_or(str::is_empty) {
            return Err(refused(
                "the nonce in the broker's first message does not extend the client's nonce, so the message \
                 belongs to another exchange",
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
                "the broker's salt has {} bytes, more than the limit of {MAX_SALT_BYTES}",
                first.salt.len()
            )));
        }
        // Parsed above, so it is UTF-8.
        let server_first = std::str::from_utf8(token).unwrap_or_default();
        // No channel binding: `c=` is the base64 of the GS2 header.
        let binding = base64::encode(GS2_HEADER.as_bytes());
        let auth_prefix = format!("{bare},{server_first},");
        let auth_message = format!("{auth_prefix}c={binding},r={}", first.nonce);
        let final_at = auth_prefix.len();
        self.state = ScramState::Derives {
            wanted: Derivation {
                salt: first.salt,
                iterations: first.iterations,
            },
            auth_message,
            final_at,
        };
        self.client_final()
    }

    /// Sends the client's final message, if the keys have been derived.
    fn client_final(&mut self) -> Result<MechanismStep, MechanismFailure> {
        let ScramState::Derives {
            wanted,
            auth_message,
            final_at,
        } = &mut self.state
        else {
            return Ok(MechanismStep::Wait(WAITS_FOR, Deadline::Never));
        };
        let keys = self.client.keys.keys(wanted);
        let Some(keys) = keys.map_err(MechanismFailure::Interrupted)? else {
            return Ok(MechanismStep::Wait(WAITS_FOR, Deadline::Never));
        };
        let proof = keys.proof(self.client.hash, auth_message.as_bytes());
        let message = format!(
            "{},p={}",
            &auth_message[*final_at..],
            base64::encode(&proof)
        );
        self.state = ScramState::Final {
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
            .map_err(|why| refused(format!("the broker's final message is malformed: {why}")))?;
        match read {
            ServerFinal::Error(why) => Err(refused(format!(
                "the broker does not accept the credentials: {}",
                printable_start(why)
            ))),
            ServerFinal::Signature(signature)
                if keys.is_of_server(self.client.hash, auth_message.as_bytes(), &signature) =>
            {
                Ok(MechanismStep::Complete)
            }
            ServerFinal::Signature(_) => Err(refused(
                "the broker did not prove that it knows the password: it may be an impostor",
            )),
        }
    }
}

impl SaslMechanism for ScramMechanism {
    fn proceed(&mut self, _now: Instant) -> Result<MechanismStep, MechanismFailure> {
        match self.state {
            ScramState::Begins => self.begin(),
            _ => self.client_final(),
        }
    }

    fn evaluate(&mut self, token: &[u8], _now: Instant) -> Result<MechanismStep, MechanismFailure> {
        // The exchange is complete after any failure: a further call is an error, not another attempt.
        match std::mem::replace(&mut self.state, ScramState::Complete) {
            ScramState::First { bare, nonce } => self.server_first(&bare, &nonce, token),
            ScramState::Final { keys, auth_message } => {
                self.server_final(&keys, &auth_message, token)
            }
            ScramState::Begins | ScramState::Derives { .. } | ScramState::Complete => Err(
                MechanismFailure::Interrupted("the broker sent an unexpected message".to_owned()),
            ),
        }
    }
}

/// Entry point of a fuzz target: runs an exchange with two messages of a broker, which a zero byte separates.
///
/// # Panics
/// If the server signature is accepted.
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
    let dependencies = SaslDependencies {
        // Keys are not derived: the fuzz target covers the code before and after the derivation.
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
    let mut mechanism =
        ScramClient::new(ScramHash::Sha256, &credentials, false, dependencies).start();
    let now = Instant::ORIGIN;
    if mechanism.proceed(now).is_ok() && mechanism.evaluate(first, now).is_ok() {
        assert!(
            mechanism.evaluate(last, now).is_err(),
            "the exchange went on although its keys were not derived"
        );
    }
}

#[cfg(test)]
mod tests;
