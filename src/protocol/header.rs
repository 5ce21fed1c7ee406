//! Headers of requests and responses.

use std::sync::Arc;

use super::api::ApiKey;
#[cfg(any(test, feature = "testing"))]
use super::wire::DecodeErrorKind;
use super::wire::{DecodeError, Reader, Writer};

/// Request header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestHeader {
    pub(crate) api_key: ApiKey,
    pub(crate) api_version: i16,
    /// The response carries the same id.
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<Arc<str>>,
}

impl RequestHeader {
    /// Encodes a header, and sets the writer to the encoding (classic or flexible) of the request's version.
    pub(crate) fn encode(
        writer: &mut Writer,
        api_key: ApiKey,
        api_version: i16,
        correlation_id: i32,
        client_id: Option<&str>,
    ) {
        writer.put_i16(api_key.code());
        writer.put_i16(api_version);
        writer.put_i32(correlation_id);
        // The client id is a classic string even in header version 2, which has tagged fields: a broker reads it before
        // it checks whether it supports the version.
        writer.set_flexible(false);
        writer.put_nullable_str(client_id, "client.id");
        writer.set_flexible(api_key.request_header_version(api_version) >= 2);
        writer.put_no_tags();
        writer.set_flexible(api_key.is_flexible(api_version));
    }

    /// Decodes a header, and sets the reader to the encoding of the request's version, which may be an unknown one.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let unknown = reader.error(DecodeErrorKind::Truncated, "the API key");
        let code = reader.i16("the API key")?;
        let api_key = ApiKey::from_code(code).ok_or(DecodeError {
            kind: DecodeErrorKind::UnknownApi(code),
            ..unknown
        })?;
        let api_version = reader.i16("the API version")?;
        let correlation_id = reader.i32("the correlation id")?;
        reader.set_flexible(false);
        let client_id = reader.nullable_string("the client id")?;
        reader.set_flexible(api_key.request_header_version(api_version) >= 2);
        reader.skip_tags()?;
        reader.set_flexible(api_key.is_flexible(api_version));
        Ok(Self {
            api_key,
            api_version,
            correlation_id,
            client_id,
        })
    }
}

/// Encodes a response header, and sets the writer to the encoding of the response's version.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn encode_response_correlation(
    writer: &mut Writer,
    api: ApiKey,
    version: i16,
    correlation_id: i32,
) {
    writer.put_i32(correlation_id);
    writer.set_flexible(api.response_header_version(version) > 0);
    writer.put_no_tags();
    writer.set_flexible(api.is_flexible(version));
}

/// Decodes a response header, and sets the reader to the encoding of the version. Returns the correlation id.
pub(crate) fn decode_response_correlation(
    api: ApiKey,
    version: i16,
    reader: &mut Reader<'_>,
) -> Result<i32, DecodeError> {
    let correlation_id = reader.i32("the correlation id")?;
    reader.set_flexible(api.response_header_version(version) > 0);
    reader.skip_tags()?;
    reader.set_flexible(api.is_flexible(version));
    Ok(correlation_id)
}
