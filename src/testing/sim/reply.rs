//! What a broker's end of a connection answers to bytes by itself, before any request is seen.

use bytes::Bytes;

use super::journal::TlsHandshake;

/// What is to be done about bytes that came.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// To be sent.
    pub(super) says: Bytes,
    pub(super) then: Then,
    /// The handshake was finished by them.
    pub(super) handshake: Option<TlsHandshake>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Then {
    #[default]
    GoesOn,
    #[cfg_attr(
        not(feature = "tls-no-provider"),
        expect(dead_code, reason = "TLS does")
    )]
    Closes,
    #[cfg_attr(
        not(feature = "tls-no-provider"),
        expect(dead_code, reason = "TLS does")
    )]
    Resets,
}
