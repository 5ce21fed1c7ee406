//! The broker's side of SCRAM, for the brokers of tests. It derives the keys from passwords; real brokers store only
//! the keys.

use std::sync::Arc;

use super::hash::{ScramHash, ScramKeys};
use super::{MIN_ITERATIONS, base64};
use crate::config::Password;

/// Fixed nonce suffix and salt of the test broker, which need not be random because it protects nothing.
const NONCE: &str = "TestClusterNonce";
const SALT: &[u8] = b"TestClusterSalt";

/// The broker's side of one exchange.
///
/// # Kafka
/// `org.apache.kafka.common.security.scram.internals.ScramSaslServer`.
#[derive(Debug)]
pub(crate) struct ServerScram {
    hash: ScramHash,
    /// The user's keys, the `AuthMessage` so far, and the nonce.
    first: Option<(Arc<ScramKeys>, String, String)>,
}

impl ServerScram {
    /// An exchange with SHA-512, or with SHA-256 if `is_sha_512` is false.
    pub(crate) fn new(is_sha_512: bool) -> Self {
        let hash = if is_sha_512 {
            ScramHash::Sha512
        } else {
            ScramHash::Sha256
        };
        Self { hash, first: None }
    }

    /// Derives the keys of a user.
    pub(crate) fn keys(hash: ScramHash, password: &Password) -> ScramKeys {
        ScramKeys::derive(hash, password.expose().as_bytes(), SALT, MIN_ITERATIONS)
    }

    /// The response to a client's message, and whether it is the last; `None` if the client is rejected.
    pub(crate) fn evaluate(
        &mut self,
        message: &[u8],
        keys: impl FnOnce(&str, ScramHash) -> Option<Arc<ScramKeys>>,
    ) -> Option<(Vec<u8>, bool)> {
        let message = std::str::from_utf8(message).ok()?;
        match self.first.take() {
            None => self
                .client_first(message, keys)
                .map(|answer| (answer, false)),
            Some((keys, auth_prefix, nonce)) => {
                let answer = self.client_final(message, &keys, &auth_prefix, &nonce)?;
                Some((answer, true))
            }
        }
    }

    fn client_first(
        &mut self,
        message: &str,
        keys: impl FnOnce(&str, ScramHash) -> Option<Arc<ScramKeys>>,
    ) -> Option<Vec<u8>> {
        let bare = message.strip_prefix("n,,")?;
        let mut parts = bare.split(',');
        let name = parts.next()?.strip_prefix("n=")?;
        let name = name.replace("=2C", ",").replace("=3D", "=");
        let nonce = format!("{}{NONCE}", parts.next()?.strip_prefix("r=")?);
        let keys = keys(&name, self.hash)?;
        let first = format!("r={nonce},s={},i={MIN_ITERATIONS}", base64::encode(SALT));
        self.first = Some((keys, format!("{bare},{first},"), nonce));
        Some(first.into_bytes())
    }

    fn client_final(
        &self,
        message: &str,
        keys: &ScramKeys,
        auth_prefix: &str,
        nonce: &str,
    ) -> Option<Vec<u8>> {
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        if without_proof != format!("c=biws,r={nonce}") {
            return None;
        }
        let auth_message = format!("{auth_prefix}{without_proof}");
        let proof = base64::decode(proof)?;
        let signature = keys.check(self.hash, auth_message.as_bytes(), &proof)?;
        Some(format!("v={}", base64::encode(&signature)).into_bytes())
    }
}
