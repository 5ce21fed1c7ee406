//! The cryptography of SCRAM (RFC 5802, section 3), for both of its hash functions.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

use crate::util::wipe::{SecretBytes, wipe};

/// The hash function of a mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ScramHash {
    Sha256,
    Sha512,
}

/// Calls a generic function of this file with the HMAC type of a `ScramHash`.
macro_rules! for_hash {
    ($hash:expr, $function:ident($($argument:expr),*)) => {
        match $hash {
            ScramHash::Sha256 => $function::<Hmac<Sha256>>($($argument),*),
            ScramHash::Sha512 => $function::<Hmac<Sha512>>($($argument),*),
        }
    };
}

impl ScramHash {
    /// `Hi` (PBKDF2): derives the salted password. Its cost is linear in the iterations, at least 0.2 µs for each.
    fn salted_password(self, password: &[u8], salt: &[u8], iterations: u32) -> SecretBytes {
        for_hash!(self, salted(password, salt, iterations))
    }

    pub(crate) fn hmac(self, key: &[u8], message: &[u8]) -> SecretBytes {
        for_hash!(self, hmac_of(key, message))
    }

    /// True if `code` is the HMAC of `message`. The comparison takes constant time.
    pub(crate) fn verify(self, key: &[u8], message: &[u8], code: &[u8]) -> bool {
        for_hash!(self, verified(key, message, code))
    }

    fn digest(self, bytes: &[u8]) -> SecretBytes {
        SecretBytes::new(match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        })
    }
}

fn keyed<M: KeyInit>(key: &[u8]) -> M {
    <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn hmac_of<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> SecretBytes {
    let mac = keyed::<M>(key).chain_update(message);
    SecretBytes::new(mac.finalize().into_bytes().to_vec())
}

fn verified<M: Mac + KeyInit>(key: &[u8], message: &[u8], code: &[u8]) -> bool {
    let mac = keyed::<M>(key).chain_update(message);
    mac.verify_slice(code).is_ok()
}

/// PBKDF2 with one block. The HMAC key is prepared once: an iteration costs two compressions of the hash function.
fn salted<M: Mac + KeyInit + Clone>(password: &[u8], salt: &[u8], iterations: u32) -> SecretBytes {
    let keyed = keyed::<M>(password);
    let first = keyed
        .clone()
        .chain_update(salt)
        .chain_update(1_u32.to_be_bytes());
    let mut block = first.finalize().into_bytes();
    let mut sum = block.to_vec();
    for _ in 1..iterations {
        block = keyed.clone().chain_update(&block).finalize().into_bytes();
        for (sum, byte) in sum.iter_mut().zip(&block) {
            *sum ^= byte;
        }
    }
    wipe(&mut block);
    SecretBytes::new(sum)
}

/// The keys derived from a password, a salt and a number of iterations. After that the password is not needed.
#[derive(Debug)]
pub(crate) struct ScramKeys {
    client: SecretBytes,
    stored: SecretBytes,
    server: SecretBytes,
}

impl ScramKeys {
    pub(crate) fn derive(hash: ScramHash, password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let salted = hash.salted_password(password, salt, iterations);
        let client = hash.hmac(salted.expose(), b"Client Key");
        Self {
            stored: hash.digest(client.expose()),
            client,
            server: hash.hmac(salted.expose(), b"Server Key"),
        }
    }

    /// The `ClientProof` for an `AuthMessage`.
    pub(crate) fn proof(&self, hash: ScramHash, auth_message: &[u8]) -> Vec<u8> {
        let signature = hash.hmac(self.stored.expose(), auth_message);
        let bytes = self.client.expose().iter().zip(signature.expose());
        bytes.map(|(key, signature)| key ^ signature).collect()
    }

    /// True if `signature` is the `ServerSignature` of an `AuthMessage`.
    pub(crate) fn is_of_server(
        &self,
        hash: ScramHash,
        auth_message: &[u8],
        signature: &[u8],
    ) -> bool {
        hash.verify(self.server.expose(), auth_message, signature)
    }
}

/// Verification by a broker, which stores these keys of a user instead of the password.
#[cfg(feature = "testing")]
impl ScramKeys {
    /// Verifies a client's proof; returns the server signature if it is valid.
    pub(crate) fn check(
        &self,
        hash: ScramHash,
        auth_message: &[u8],
        proof: &[u8],
    ) -> Option<Vec<u8>> {
        let signature = hash.hmac(self.stored.expose(), auth_message);
        let key: Vec<u8> = proof
            .iter()
            .zip(signature.expose())
            .map(|(a, b)| a ^ b)
            .collect();
        let is_right = proof.len() == signature.expose().len()
            && hash.digest(&key).expose() == self.stored.expose();
        is_right.then(|| {
            hash.hmac(self.server.expose(), auth_message)
                .expose()
                .to_vec()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        let digit = |half: u8| char::from_digit(half.into(), 16).unwrap();
        bytes
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
            .collect()
    }

    /// RFC 7914, section 11, has test vectors for PBKDF2 with SHA-256.
    #[test]
    fn the_pbkdf2_test_vectors_match() {
        let salted = ScramHash::Sha256.salted_password(b"passwd", b"salt", 1);
        assert_eq!(
            hex(salted.expose()),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
        );
        let salted = ScramHash::Sha256.salted_password(b"Password", b"NaCl", 80_000);
        assert_eq!(
            hex(salted.expose()),
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
        );
    }

    #[test]
    fn a_truncated_hmac_is_rejected() {
        let code = ScramHash::Sha512.hmac(b"key", b"message");
        assert!(ScramHash::Sha512.verify(b"key", b"message", code.expose()));
        assert!(!ScramHash::Sha512.verify(b"key", b"message", &code.expose()[..63]));
        assert!(!ScramHash::Sha512.verify(b"key", b"message", b""));
        assert!(!ScramHash::Sha256.verify(b"key", b"message", code.expose()));
    }
}
