//! Zeroing secrets before their memory is freed.

use std::fmt;
use std::hint::black_box;

/// Zeroes a secret that is no longer needed, so that it does not stay in freed memory.
///
/// Best effort: copies that the compiler made, or that were left behind by a move, are not zeroed.
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    // Without a use of the bytes the compiler would optimize the writes away.
    black_box(bytes);
}

/// Secret bytes, zeroed when dropped, and never shown by `Debug`.
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
    fn wiped_bytes_are_zero_and_debug_hides_secret_bytes() {
        let mut bytes = *b"hunter2";
        wipe(&mut bytes);
        assert_eq!(bytes, [0; 7]);
        let secret = SecretBytes::new(b"hunter2".to_vec());
        assert_eq!(format!("{secret:?}"), "[hidden, 7 bytes]");
        assert_eq!(secret.expose(), b"hunter2");
    }
}
