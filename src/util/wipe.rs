//! Secrets do not stay in memory that is given back.

use std::fmt;
use std::hint::black_box;

/// Overwrites bytes that are of no more use, so that they are not found in memory that others get next.
///
/// What the compiler has copied elsewhere stays, as does what was moved: an honest effort and no promise.
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    // Without a reader the writes would be left out.
    black_box(bytes);
}

/// Bytes that are wiped when they are dropped, and never printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct SecretBytes(Vec<u8>);

impl SecretBytes {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes. Do not log them.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[hidden, {} bytes]", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wiped_is_gone_and_what_is_secret_is_not_printed() {
        let mut bytes = *b"hunter2";
        wipe(&mut bytes);
        assert_eq!(bytes, [0; 7]);
        let secret = SecretBytes::new(b"hunter2".to_vec());
        assert_eq!(format!("{secret:?}"), "[hidden, 7 bytes]");
        assert_eq!(secret.expose(), b"hunter2");
    }
}
