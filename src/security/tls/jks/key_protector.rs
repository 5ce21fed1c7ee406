//! Sun's key protector: how JKS encrypts private keys.

use zeroize::Zeroizing;

use super::super::der::{OCTETS, SEQUENCE, expect};
use super::super::open_error::{OpenError, Opened};
use super::{DIGEST_BYTES, sha1};

const OID: u8 = 0x06;
/// 1.3.6.1.4.1.42.2.17.1.1
const KEY_PROTECTOR: &[u8] = &[0x2b, 6, 1, 4, 1, 0x2a, 2, 17, 1, 1];

/// Decrypts a private key (`EncryptedPrivateKeyInfo` in DER); `None` if the password is wrong.
///
/// The encryption is an exclusive or with a key stream, each of whose blocks is the digest of the password and the block
/// before; the first follows from a salt. A digest of password and key shows whether the password is right.
///
/// # Kafka
/// `sun.security.provider.KeyProtector`
pub(super) fn recovered(sealed: &[u8], password: &[u8]) -> Opened<Option<Zeroizing<Vec<u8>>>> {
    let Some((mut block, bytes, digest)) = protected(sealed) else {
        return Err(OpenError::Unreadable(
            "its private key is not encrypted as in JKS".to_owned(),
        ));
    };
    let mut plain = Zeroizing::new(bytes.to_vec());
    for chunk in plain.chunks_mut(DIGEST_BYTES) {
        block = sha1(&[password, &block]);
        for (byte, mask) in chunk.iter_mut().zip(block) {
            *byte ^= mask;
        }
    }
    let is_right = sha1(&[password, &plain]) == digest;
    Ok(is_right.then_some(plain))
}

/// The salt, the encrypted bytes and the digest of a private key; `None` if another algorithm encrypted it.
fn protected(mut sealed: &[u8]) -> Option<([u8; DIGEST_BYTES], &[u8], [u8; DIGEST_BYTES])> {
    let mut info = expect(&mut sealed, SEQUENCE)?;
    let mut algorithm = expect(&mut info, SEQUENCE)?;
    if expect(&mut algorithm, OID)? != KEY_PROTECTOR {
        return None;
    }
    let (salt, rest) = expect(&mut info, OCTETS)?.split_first_chunk()?;
    let (bytes, digest) = rest.split_last_chunk()?;
    Some((*salt, bytes, *digest))
}
