//! ApiVersions: which versions of which requests a broker speaks. The first request of a connection.

use std::sync::Arc;

use super::{RequestBody, ResponseBody};
use crate::error::ErrorCode;
use crate::protocol::api::ApiKey;
use crate::protocol::wire::{DecodeError, Reader, Writer};

/// Asks a broker for its versions, and tells it who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiVersionsRequest {
    /// Letters, digits, `-` and `.` only, a letter or digit first and last: others are refused.
    pub(crate) client_software_name: Arc<str>,
    /// Likewise.
    pub(crate) client_software_version: Arc<str>,
}

impl ApiVersionsRequest {
    /// The request as this library makes it.
    pub(crate) fn ours() -> Self {
        Self {
            client_software_name: "kafka-producer-rust".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

impl RequestBody for ApiVersionsRequest {
    fn size_hint(&self) -> usize {
        self.client_software_name.len() + self.client_software_version.len() + 8
    }

    fn encode(&self, w: &mut Writer, version: i16) {
        if version >= 3 {
            w.put_str(&self.client_software_name, "the client's name");
            w.put_str(&self.client_software_version, "the client's version");
        }
        w.put_no_tags();
    }

    #[cfg(any(test, feature = "testing"))]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let mut text = |what| {
            if version >= 3 {
                r.string(what)
            } else {
                Ok("".into())
            }
        };
        let client_software_name = text("the client's name")?;
        let client_software_version = text("the client's version")?;
        r.skip_tags()?;
        Ok(Self {
            client_software_name,
            client_software_version,
        })
    }
}

/// The versions a broker speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiVersionsResponse {
    /// `UnsupportedVersion`: ask again, in a version that `api_keys` has for `ApiVersions`, or in 0.
    pub(crate) error: ErrorCode,
    pub(crate) api_keys: Vec<ApiVersionRange>,
    pub(crate) throttle_time_ms: i32,
}

/// The versions of one request that a broker speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ApiVersionRange {
    /// A number that need not be an [`ApiKey`] of ours.
    pub(crate) api_key: i16,
    pub(crate) min: i16,
    pub(crate) max: i16,
}

impl ResponseBody for ApiVersionsResponse {
    #[cfg(any(test, feature = "testing"))]
    fn encode(&self, w: &mut Writer, version: i16) {
        w.put_i16(self.error.code());
        w.put_array(&self.api_keys, "the API keys", |w, range| {
            w.put_i16(range.api_key);
            w.put_i16(range.min);
            w.put_i16(range.max);
            w.put_no_tags();
        });
        if version >= 1 {
            w.put_i32(self.throttle_time_ms);
        }
        w.put_no_tags();
    }

    /// Reads the answer to a request of this version; or, if it is not that, one of version 0.
    ///
    /// A broker that does not know the version answers in version 0 and says so by the error (KIP-511). What
    /// comes after the ranges is then no throttle time, and ranges that cannot be read are as good as none:
    /// the next request is of version 0 in any case. (librdkafka's mock broker writes such ranges.)
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let mut oldest = r.clone();
        if oldest.clone().error_code("the error")? == ErrorCode::UnsupportedVersion {
            r.set_flexible(ApiKey::ApiVersions.is_flexible(0));
            return Ok(Self::decode_exactly(r, 0).unwrap_or_else(|_| Self {
                error: ErrorCode::UnsupportedVersion,
                api_keys: Vec::new(),
                throttle_time_ms: 0,
            }));
        }
        Self::decode_exactly(r, version).or_else(|error| {
            oldest.set_flexible(ApiKey::ApiVersions.is_flexible(0));
            // The answer was most likely meant to be in the version asked for: that error says more.
            let response = Self::decode_exactly(&mut oldest, 0).map_err(|_| error)?;
            *r = oldest;
            Ok(response)
        })
    }
}

impl ApiVersionsResponse {
    fn decode_exactly(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let error = r.error_code("the error")?;
        let api_keys = r.array("the API keys", 6, |r| {
            let api_key = r.i16("an API key")?;
            let min = r.i16("an API's oldest version")?;
            let max = r.i16("an API's newest version")?;
            r.skip_tags()?;
            Ok(ApiVersionRange { api_key, min, max })
        })?;
        let throttle_time_ms = if version >= 1 {
            r.i32("the throttle time")?
        } else {
            0
        };
        // The features of the cluster come as tagged fields; a producer has no use for them.
        r.skip_tags()?;
        Ok(Self {
            error,
            api_keys,
            throttle_time_ms,
        })
    }
}
