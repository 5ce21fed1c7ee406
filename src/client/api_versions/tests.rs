use super::*;
use crate::error::ErrorCode;
use crate::protocol::ApiVersionRange;

fn versions(ranges: &[(i16, i16, i16)]) -> NodeApiVersions {
    let ranges = ranges
        .iter()
        .map(|&(api_key, min, max)| ApiVersionRange { api_key, min, max });
    NodeApiVersions::new(&ApiVersionsResponse {
        error: ErrorCode::NoError,
        api_keys: ranges.collect(),
        throttle_time_ms: 0,
    })
}

const PRODUCE: i16 = 0;
const METADATA: i16 = 3;

/// Java: NodeApiVersionsTest#testLatestUsableVersion
#[test]
fn the_newest_version_that_both_sides_support_is_used() {
    let node = versions(&[(PRODUCE, 1, 3)]);
    for (allowed, usable) in [(0..=1, 1), (1..=1, 1), (2..=5, 3), (3..=3, 3), (0..=9, 3)] {
        assert_eq!(node.usable_version(ApiKey::Produce, &allowed), Ok(usable));
    }
}

/// Java: NodeApiVersionsTest#testLatestUsableVersionOutOfRangeLow,
/// #testLatestUsableVersionOutOfRangeHigh, #testLatestUsableVersionOutOfRange
#[test]
fn without_a_common_version_the_error_names_both_ranges() {
    let node = versions(&[(PRODUCE, 1, 2)]);
    for allowed in [3..=4, 0..=0] {
        let error = node.usable_version(ApiKey::Produce, &allowed).unwrap_err();
        assert!(error.contains("it supports 1 to 2"), "{error}");
    }
}

/// Java: NodeApiVersionsTest#testUsableVersionCalculationNoKnownVersions
#[test]
fn a_request_that_the_broker_does_not_support_is_an_error() {
    let error = versions(&[])
        .usable_version(ApiKey::EndTxn, &(0..=3))
        .unwrap_err();
    assert!(error.contains("EndTxn"), "{error}");
}

/// Java: NodeApiVersionsTest#testUnknownApiVersionsToString, NC-37
#[test]
fn unknown_apis_and_empty_ranges_are_left_out() {
    let node = versions(&[(337, 0, 1), (PRODUCE, 5, 4), (METADATA, 0, 5)]);
    assert_eq!(node.range(ApiKey::Produce), None);
    assert_eq!(node.range(ApiKey::Metadata), Some((0, 5)));
}

/// Java: NodeApiVersionsTest#testVersionsToString, #testUnsupportedVersionsToString
#[test]
fn versions_are_displayed_with_the_usable_ones() {
    let text = versions(&[(PRODUCE, 100, 101), (METADATA, 0, 0), (18, 0, 3)]).to_string();
    assert!(
        text.contains("Produce(0): 100 to 101 [unusable: node too new]"),
        "{text}"
    );
    assert!(
        text.contains("Metadata(3): 0 to 0 [unusable: node too old]"),
        "{text}"
    );
    assert!(
        text.contains("ApiVersions(18): 0 to 3 [usable: 3]"),
        "{text}"
    );
    assert!(text.contains("EndTxn(26): UNSUPPORTED"), "{text}");
}

/// Java: ApiVersionsTest#testMaxUsableProduceMagic, NC-36
#[test]
fn the_record_format_is_the_newest_that_all_connected_brokers_accept() {
    let magic = Arc::new(UsableMagic::new());
    let mut all = ApiVersions::new(Arc::clone(&magic));
    assert_eq!(magic.load(), Magic::V2);
    all.update(0, versions(&[(PRODUCE, 0, 9)]));
    assert_eq!(magic.load(), Magic::V2);
    all.update(1, versions(&[(PRODUCE, 0, 2)]));
    assert_eq!(magic.load(), Magic::V1);
    all.update(2, versions(&[(PRODUCE, 0, 1)]));
    assert_eq!(magic.load(), Magic::V0);
    all.remove(2);
    all.remove(1);
    assert_eq!(magic.load(), Magic::V2);
    assert!(all.usable_version(1, ApiKey::Produce, &(0..=9)).is_err());
}

/// Java: ApiVersionsTest#testMaxUsableProduceMagicWithRaftController
#[test]
fn nodes_without_produce_do_not_limit_the_record_format() {
    let magic = Arc::new(UsableMagic::new());
    let mut all = ApiVersions::new(Arc::clone(&magic));
    all.update(0, versions(&[(METADATA, 0, 5)]));
    assert_eq!(magic.load(), Magic::V2);
}
