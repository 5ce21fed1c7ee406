//! `ApiVersions`: the versions that this broker supports.

use std::ops::RangeInclusive;

use super::SimCluster;
use crate::error::ErrorCode;
use crate::protocol::{ApiKey, ApiVersionRange, ApiVersionsRequest, ApiVersionsResponse, Response};
use crate::types::NodeId;

/// The first version in which clients send their name and version.
const FIRST_VERSION_WITH_NAME: i16 = 3;

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
        let release = self.options.release;
        let left = ApiKey::ALL.into_iter().filter_map(|api| {
            let all = release.spoken(api)?;
            let left = self.script.versions(node, api, &all, None)?;
            Some((api.code(), left))
        });
        let mut told: Vec<_> = left.chain([release.unsupported_request()]).collect();
        told.sort_by_key(|(api, _)| *api);
        response(ErrorCode::NoError, told)
    }
}

/// The response with an error and without versions.
pub(super) fn refused(code: ErrorCode) -> Response {
    response(code, [])
}

/// The response to an unknown version of `ApiVersions`: always in version 0, with the supported versions of
/// `ApiVersions` alone, or with none (KIP-511).
pub(super) fn unsupported(known: Option<RangeInclusive<i16>>) -> Response {
    response(
        ErrorCode::UnsupportedVersion,
        known.map(|known| (ApiKey::ApiVersions.code(), known)),
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

/// Letters and digits, with dashes and dots in between.
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
