//! SaslHandshake: chooses the SASL mechanism.

use std::sync::Arc;

use super::{RequestBody, ResponseBody};
use crate::error::ErrorCode;
use crate::protocol::wire::{DecodeError, Reader, Writer};

/// Request: a mechanism. After version 0 its tokens are sent as bare frames, after version 1 in `SaslAuthenticate`
/// requests (KIP-152).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SaslHandshakeRequest {
    /// Registered name of the mechanism, such as `SCRAM-SHA-512`.
    pub(crate) mechanism: Arc<str>,
}

impl RequestBody for SaslHandshakeRequest {
    fn size_hint(&self) -> usize {
        self.mechanism.len() + 2
    }

    fn encode(&self, w: &mut Writer, _version: i16) {
        w.put_str(&self.mechanism, "the mechanism");
        w.put_no_tags();
    }

    #[cfg(any(test, feature = "testing"))]
    fn decode(r: &mut Reader<'_>, _version: i16) -> Result<Self, DecodeError> {
        let mechanism = r.string("the mechanism")?;
        r.skip_tags()?;
        Ok(Self { mechanism })
    }
}

/// Response: whether the broker has the mechanism enabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SaslHandshakeResponse {
    pub(crate) error: ErrorCode,
    /// The mechanisms that the broker has enabled.
    pub(crate) mechanisms: Vec<Arc<str>>,
}

impl ResponseBody for SaslHandshakeResponse {
    #[cfg(any(test, feature = "testing"))]
    fn encode(&self, w: &mut Writer, _version: i16) {
        w.put_i16(self.error.code());
        w.put_array(&self.mechanisms, "the mechanisms", |w, mechanism| {
            w.put_str(mechanism, "the mechanism");
        });
        w.put_no_tags();
    }

    fn decode(r: &mut Reader<'_>, _version: i16) -> Result<Self, DecodeError> {
        let error = r.error_code("the error")?;
        let mechanisms = r.array("the mechanisms", 2, |r| r.string("a mechanism"))?;
        r.skip_tags()?;
        Ok(Self { error, mechanisms })
    }
}
