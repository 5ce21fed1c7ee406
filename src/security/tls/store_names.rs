//! What the readers of key stores share: a configuration key, and the first bytes of a format.

/// The password of the private key, if it has one of its own.
pub(super) const PRIVATE_PASSWORD: &str = "ssl.key.password";

/// Magic number of JKS.
pub(super) const JKS_MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
