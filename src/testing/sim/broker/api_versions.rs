//! `ApiVersions`: what this broker speaks.

use std::ops::RangeInclusive;

use crate::error::ErrorCode;
use crate::protocol::{ApiKey, ApiVersionRange, ApiVersionsRequest, ApiVersionsResponse, Response};

/// The requests this broker answers, and in which versions.
const SPOKEN: [(ApiKey, RangeInclusive<i16>); 4] = [
    (ApiKey::Produce, 3..=9),
    (ApiKey::Metadata, 0..=11),
    (ApiKey::ApiVersions, 0..=3),
    (ApiKey::InitProducerId, 0..=4),
];

/// The first version in which clients say who they are.
const FIRST_VERSION_WITH_NAME: i16 = 3;

pub(super) fn speaks(api: ApiKey, version: i16) -> bool {
    SPOKEN
        .iter()
        .any(|(spoken, versions)| *spoken == api && versions.contains(&version))
}

/// # Kafka
/// `KafkaApis#handleApiVersionsRequest`.
pub(super) fn answer(request: &ApiVersionsRequest, version: i16) -> Response {
    let names = [
        &request.client_software_name,
        &request.client_software_version,
    ];
    if version >= FIRST_VERSION_WITH_NAME && !names.into_iter().all(|name| is_valid_name(name)) {
        return response(ErrorCode::InvalidRequest, &[]);
    }
    response(ErrorCode::NoError, &SPOKEN)
}

/// The answer to a version that is not known: always in version 0, naming the versions of this one
/// request (KIP-511).
pub(super) fn unsupported() -> Response {
    let own: Vec<_> = SPOKEN
        .iter()
        .filter(|(api, _)| *api == ApiKey::ApiVersions)
        .cloned()
        .collect();
    response(ErrorCode::UnsupportedVersion, &own)
}

fn response(error: ErrorCode, spoken: &[(ApiKey, RangeInclusive<i16>)]) -> Response {
    let range = |(api, versions): &(ApiKey, RangeInclusive<i16>)| ApiVersionRange {
        api_key: api.code(),
        min: *versions.start(),
        max: *versions.end(),
    };
    let api_keys = spoken.iter().map(range).collect();
    Response::ApiVersions(ApiVersionsResponse {
        error,
        api_keys,
        throttle_time_ms: 0,
    })
}

/// Letters and digits, between them also dashes and dots.
///
/// # Kafka
/// `ApiVersionsRequest#isValid`.
fn is_valid_name(name: &str) -> bool {
    let name = name.as_bytes();
    let ends = [name.first(), name.last()];
    ends.into_iter()
        .all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && name
            .iter()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.'))
}
