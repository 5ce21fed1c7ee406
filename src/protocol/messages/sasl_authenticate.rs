//! SaslAuthenticate: carries the tokens of the SASL mechanism.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::{RequestBody, ResponseBody};
use crate::error::ErrorCode;
use crate::protocol::wire::{DecodeError, Reader, Writer};

/// A token of the mechanism. It may contain a password, so `Debug` shows only its length.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AuthBytes(pub(crate) Bytes);

impl fmt::Debug for AuthBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthBytes({} bytes)", self.0.len())
    }
}

/// Request: a token of the client.
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

/// Response: a token of the broker, or its error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SaslAuthenticateResponse {
    pub(crate) error: ErrorCode,
    /// The broker's error message.
    pub(crate) error_message: Option<Arc<str>>,
    pub(crate) auth_bytes: AuthBytes,
    /// Session lifetime, after which the client has to re-authenticate (KIP-368); 0 for no limit.
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
