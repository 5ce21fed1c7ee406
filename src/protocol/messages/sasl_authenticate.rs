//! SaslAuthenticate: what the mechanism agreed on makes client and broker say to each other.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::{RequestBody, ResponseBody};
use crate::error::ErrorCode;
use crate::protocol::wire::{DecodeError, Reader, Writer};

/// What one side says. It may be a password, so only its length is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AuthBytes(pub(crate) Bytes);

impl fmt::Debug for AuthBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthBytes({} bytes)", self.0.len())
    }
}

/// Says something to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SaslAuthenticateRequest {
    pub(crate) auth_bytes: AuthBytes,
}

impl RequestBody for SaslAuthenticateRequest {
    fn size_hint(&self) -> usize {
        self.auth_bytes.0.len() + 6
    }

    fn encode(&self, w: &mut Writer, _version: i16) {
        w.put_bytes(&self.auth_bytes.0, "the authentication bytes");
        w.put_no_tags();
    }

    #[cfg(any(test, feature = "testing"))]
    fn decode(r: &mut Reader<'_>, _version: i16) -> Result<Self, DecodeError> {
        let auth_bytes = AuthBytes(r.bytes("the authentication bytes")?);
        r.skip_tags()?;
        Ok(Self { auth_bytes })
    }
}

/// Says something to the client, or that it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SaslAuthenticateResponse {
    pub(crate) error: ErrorCode,
    /// The broker's own words about the error.
    pub(crate) error_message: Option<Arc<str>>,
    pub(crate) auth_bytes: AuthBytes,
    /// After this time the client has to authenticate again (KIP-368); never, if it is 0.
    pub(crate) session_lifetime_ms: i64,
}

impl ResponseBody for SaslAuthenticateResponse {
    #[cfg(any(test, feature = "testing"))]
    fn encode(&self, w: &mut Writer, version: i16) {
        w.put_i16(self.error.code());
        w.put_nullable_str(self.error_message.as_deref(), "the error message");
        w.put_bytes(&self.auth_bytes.0, "the authentication bytes");
        if version >= 1 {
            w.put_i64(self.session_lifetime_ms);
        }
        w.put_no_tags();
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let error = r.error_code("the error")?;
        let error_message = r.error_text("the error message")?;
        let auth_bytes = AuthBytes(r.bytes("the authentication bytes")?);
        let session_lifetime_ms = if version >= 1 {
            r.i64("the session's lifetime")?
        } else {
            0
        };
        r.skip_tags()?;
        Ok(Self {
            error,
            error_message,
            auth_bytes,
            session_lifetime_ms,
        })
    }
}
