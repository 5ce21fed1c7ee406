//! ApiVersions: the API versions that a broker supports. The first request on a connection.

use std::sync::Arc;

use super::{RequestBody, ResponseBody};
use crate::error::ErrorCode;
use crate::protocol::api::ApiKey;
use crate::protocol::wire::{DecodeError, Reader, Writer};

/// Request, with the client's software name and version (KIP-511).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiVersionsRequest {
    /// Letters, digits, `-` and `.` only, and a letter or digit first and last; brokers reject other names.
    pub(crate) client_software_name: Arc<str>,
    /// Restricted to the same characters as the name.
    pub(crate) client_software_version: Arc<str>,
}

impl ApiVersionsRequest {
    /// The request with this library's name and version.
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

/// Response: the API versions of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiVersionsResponse {
    /// `UnsupportedVersion`: retry in a version that `api_keys` lists for `ApiVersions`, else in version 0.
    pub(crate) error: ErrorCode,
    pub(crate) api_keys: Vec<ApiVersionRange>,
    pub(crate) throttle_time_ms: i32,
}

/// The supported versions of one API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ApiVersionRange {
    /// Code of the API key; there may be no [`ApiKey`] with this code.
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

    /// Decodes a response in the request's version; if that fails, in version 0.
    ///
    /// A broker that does not support the request's version answers in version 0 with `UNSUPPORTED_VERSION` (KIP-511).
    /// The bytes after the ranges are then not a throttle time. Ranges that cannot be decoded count as none
    /// (librdkafka's mock broker writes such ranges): the next request is of version 0 then.
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
            // The response was most likely meant to be in the request's version, so the error of that version is
            // reported.
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
        // Tagged fields hold the cluster's features, which a producer does not need.
        r.skip_tags()?;
        Ok(Self {
            error,
            api_keys,
            throttle_time_ms,
        })
    }
}
