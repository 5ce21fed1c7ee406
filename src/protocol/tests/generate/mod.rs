//! Generated messages of every shape, and the expected result of a round trip in each version.

mod full;
mod requests;
mod responses;

use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::error::ErrorCode;
use crate::protocol::*;

pub(crate) use full::{full_request, full_response};
pub(crate) use requests::{as_read, request};
pub(crate) use responses::{as_seen_in, response};

fn text() -> impl Strategy<Value = Arc<str>> {
    // From 127 bytes on, the length takes a second byte in compact form.
    prop_oneof!["[a-z0-9._-]{1,12}", "\\PC{0,6}", "[a-z]{120,135}"].prop_map(Arc::from)
}

fn error() -> impl Strategy<Value = ErrorCode> {
    (-1i16..=105).prop_map(ErrorCode::from_code)
}

fn auth_bytes() -> impl Strategy<Value = AuthBytes> {
    vec(any::<u8>(), 0..200).prop_map(|bytes| AuthBytes(bytes.into()))
}

/// Reads a whole response frame.
pub(super) fn read_response(
    api: ApiKey,
    version: i16,
    payload: &Bytes,
) -> Result<(i32, Response), DecodeError> {
    let mut reader = Reader::new(payload);
    let correlation_id = decode_response_correlation(api, version, &mut reader)?;
    Ok((correlation_id, Response::decode(api, version, &mut reader)?))
}
