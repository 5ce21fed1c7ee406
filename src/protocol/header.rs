//! What stands before the message in a frame.

use std::sync::Arc;

use super::api::ApiKey;
#[cfg(any(test, feature = "testing"))]
use super::wire::DecodeErrorKind;
use super::wire::{DecodeError, Reader, Writer};

/// What stands before a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestHeader {
    pub(crate) api_key: ApiKey,
    pub(crate) api_version: i16,
    /// The response will carry the same number.
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<Arc<str>>,
}

impl RequestHeader {
    /// Writes a header; what follows it is written in the forms of the request's version.
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
        // In classic form even where the header has tagged fields: a broker reads it before it knows
        // whether it speaks the version.
        writer.set_flexible(false);
        writer.put_nullable_str(client_id, "client.id");
        writer.set_flexible(api_key.request_header_version(api_version) >= 2);
        writer.put_no_tags();
        writer.set_flexible(api_key.is_flexible(api_version));
    }

    /// Reads a header; the version may be one that is not known here. What follows it is read in
    /// the forms of the request's version.
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

/// Writes what stands before a response; what follows is written in the forms of its version.
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

/// Reads what stands before the response to a request of this version: the request's number.
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
