//! Reply to bytes that a broker's end of a connection handles below the requests, such as a TLS handshake.

use bytes::Bytes;

use super::journal::TlsHandshake;

/// Reaction to received bytes.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// Bytes to send.
    pub(super) bytes: Bytes,
    pub(super) then: Then,
    /// The TLS handshake that these bytes have completed.
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
