//! What the bytes of a connection go through on a broker's side: nothing, or TLS.
#![cfg_attr(
    not(feature = "tls-no-provider"),
    allow(
        clippy::needless_pass_by_ref_mut,
        clippy::unused_self,
        reason = "with TLS it is looked at, and changes"
    )
)]

use bytes::{Bytes, BytesMut};

use super::reply::Reply;
#[cfg(feature = "tls-no-provider")]
use super::reply::Then;
#[cfg(feature = "tls-no-provider")]
use super::tls::TlsWire;

/// A broker's end of a connection.
pub(super) enum Wire {
    Plain,
    #[cfg(feature = "tls-no-provider")]
    Tls(Box<TlsWire>),
    /// It hangs up, whatever comes.
    #[cfg(feature = "tls-no-provider")]
    Broken,
}

impl Wire {
    /// Whether the connection is not ready for requests.
    pub(super) fn is_handshaking(&self) -> bool {
        match self {
            Self::Plain => false,
            #[cfg(feature = "tls-no-provider")]
            Self::Tls(tls) => tls.is_handshaking(),
            #[cfg(feature = "tls-no-provider")]
            Self::Broken => true,
        }
    }

    /// Takes what came, and opens what it can into `plain`.
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

    /// What is to be sent for this.
    pub(super) fn seal(&mut self, plain: Bytes) -> Bytes {
        match self {
            Self::Plain => plain,
            #[cfg(feature = "tls-no-provider")]
            Self::Tls(tls) => tls.seal(&plain),
            #[cfg(feature = "tls-no-provider")]
            Self::Broken => Bytes::new(),
        }
    }

    /// A beginning of what is to be sent for this: as much of it as `bytes` are of the plain ones, so that sealed ones are
    /// cut anywhere.
    pub(super) fn seal_part(&mut self, plain: Bytes, bytes: usize) -> Bytes {
        let all = plain.len();
        let mut sealed = self.seal(plain);
        if bytes < all {
            sealed.truncate(sealed.len() * bytes / all);
        }
        sealed
    }

    /// What is said before the connection is closed.
    pub(super) fn farewell(&mut self) -> Bytes {
        match self {
            #[cfg(feature = "tls-no-provider")]
            Self::Tls(tls) => tls.farewell(),
            _ => Bytes::new(),
        }
    }
}
