//! `ApiVersions`: what this broker speaks.

use std::ops::RangeInclusive;

use super::SimCluster;
use crate::error::ErrorCode;
use crate::protocol::{ApiKey, ApiVersionRange, ApiVersionsRequest, ApiVersionsResponse, Response};
use crate::types::NodeId;

/// The requests this broker answers, and in which versions.
const SPOKEN: [(ApiKey, RangeInclusive<i16>); 4] = [
    (ApiKey::Produce, 3..=9),
    (ApiKey::Metadata, 0..=11),
    (ApiKey::ApiVersions, 0..=3),
    (ApiKey::InitProducerId, 0..=4),
];

/// Requests that are told of and not answered, as far as Kafka 3.0 tells of them: by them clients judge
/// what else a broker can. librdkafka writes message format 2 only where Fetch has version 4.
const TOLD: [(i16, RangeInclusive<i16>); 1] = [(FETCH, 0..=12)];
/// The number of Fetch, which no producer sends.
const FETCH: i16 = 1;

/// The first version in which clients say who they are.
const FIRST_VERSION_WITH_NAME: i16 = 3;

/// The versions of a request that this broker answers, if any.
pub(super) fn spoken(api: ApiKey) -> Option<RangeInclusive<i16>> {
    let found = SPOKEN.iter().find(|(spoken, _)| *spoken == api);
    found.map(|(_, versions)| versions.clone())
}

impl SimCluster {
    /// # Kafka
    /// `KafkaApis#handleApiVersionsRequest`.
    pub(super) fn api_versions(
        &mut self,
        node: NodeId,
        request: &ApiVersionsRequest,
        version: i16,
    ) -> Response {
        let names = [
            &request.client_software_name,
            &request.client_software_version,
        ];
        if version >= FIRST_VERSION_WITH_NAME && !names.into_iter().all(|name| is_valid_name(name))
        {
            return refused(ErrorCode::InvalidRequest);
        }
        let left = SPOKEN.iter().filter_map(|(api, all)| {
            let left = self.script.versions(node, *api, all, None)?;
            Some((api.code(), left))
        });
        let mut told: Vec<_> = left.chain(TOLD).collect();
        told.sort_by_key(|(api, _)| *api);
        response(ErrorCode::NoError, told)
    }
}

/// The answer of a broker that tells nothing.
pub(super) fn refused(code: ErrorCode) -> Response {
    response(code, [])
}

/// The answer to a version that is not known: always in version 0, naming the versions of this one
/// request (KIP-511).
pub(super) fn unsupported(known: RangeInclusive<i16>) -> Response {
    response(
        ErrorCode::UnsupportedVersion,
        [(ApiKey::ApiVersions.code(), known)],
    )
}

fn response(
    error: ErrorCode,
    spoken: impl IntoIterator<Item = (i16, RangeInclusive<i16>)>,
) -> Response {
    let range = |(api_key, versions): (i16, RangeInclusive<i16>)| ApiVersionRange {
        api_key,
        min: *versions.start(),
        max: *versions.end(),
    };
    Response::ApiVersions(ApiVersionsResponse {
        error,
        api_keys: spoken.into_iter().map(range).collect(),
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
