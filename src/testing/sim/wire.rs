//! Transport of a connection on the broker's side: plaintext or TLS.
#![cfg_attr(
    not(feature = "tls-no-provider"),
    allow(
        clippy::needless_pass_by_ref_mut,
        clippy::unused_self,
        reason = "with TLS it is read and changed"
    )
)]

use bytes::{Bytes, BytesMut};

use super::reply::Reply;
#[cfg(feature = "tls-no-provider")]
use super::reply::Then;
#[cfg(feature = "tls-no-provider")]
use super::tls::TlsWire;

/// The broker's end of a connection.
pub(super) enum Wire {
    Plain,
    #[cfg(feature = "tls-no-provider")]
    Tls(Box<TlsWire>),
    /// Closes the connection on any input.
    #[cfg(feature = "tls-no-provider")]
    Broken,
}

impl Wire {
    /// Whether the TLS handshake is in progress.
    pub(super) fn is_handshaking(&self) -> bool {
        match self {
            Self::Plain => false,
            #[cfg(feature = "tls-no-provider")]
            Self::Tls(tls) => tls.is_handshaking(),
            #[cfg(feature = "tls-no-provider")]
            Self::Broken => true,
        }
    }

    /// Receives bytes, and decrypts them into `plain`.
    pub(super) fn receive(&mut self, bytes: &[u8], plain: &mut BytesMut) -> Reply {
        match self {
            Self::Plain => {
                plain.extend_from_slice(bytes);
                Reply::default()
            }
            #[cfg(feature = "tls-no-provider")]
            Self::Tls(tls) => tls.receive(bytes, plain),
            #[cfg(feature = "tls-no-provider")]
            Self::Broken => Reply {
                then: Then::Closes,
                ..Reply::default()
            },
        }
    }

    /// Encrypts bytes to send.
    pub(super) fn seal(&mut self, plain: Bytes) -> Bytes {
        match self {
            Self::Plain => plain,
            #[cfg(feature = "tls-no-provider")]
            Self::Tls(tls) => tls.seal(&plain),
            #[cfg(feature = "tls-no-provider")]
            Self::Broken => Bytes::new(),
        }
    }

    /// Encrypts a response, and returns the first part of the result. Its share of the result is that of `bytes` in the
    /// plain response, so that the cut can be at any encrypted byte.
    pub(super) fn seal_part(&mut self, plain: Bytes, bytes: usize) -> Bytes {
        let all = plain.len();
        let mut sealed = self.seal(plain);
        if bytes < all {
            sealed.truncate(sealed.len() * bytes / all);
        }
        sealed
    }

    /// The bytes to send before closing.
    pub(super) fn close_notify(&mut self) -> Bytes {
        match self {
            #[cfg(feature = "tls-no-provider")]
            Self::Tls(tls) => tls.close_notify(),
            _ => Bytes::new(),
        }
    }
}
