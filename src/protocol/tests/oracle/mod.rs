//! Comparison with another implementation of the protocol (the oracle), which is generated from Kafka's message
//! descriptions. It supports Produce from version 3 on.

mod requests;
mod responses;

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use proptest::prelude::*;

use super::generate::{
    as_read, as_seen_in, full_request, full_response, read_response, request, response,
};
use crate::protocol::*;
use requests::their_request;
use responses::{their_api_versions, their_response};

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn optional(maybe: Option<&str>) -> Option<StrBytes> {
    maybe.map(text)
}

fn topic_name(name: &str) -> theirs::TopicName {
    text(name).into()
}

/// An unknown tagged field, as a later version of Kafka may send it; none if `tagged` is false.
fn unknown(tagged: bool) -> BTreeMap<i32, Bytes> {
    let field = (9_000, Bytes::from_static(b"of a later time"));
    tagged.then_some(field).into_iter().collect()
}

fn request_bytes<M: Encodable + HeaderVersion>(message: &M, api: ApiKey, version: i16) -> Bytes {
    let mut out = Vec::new();
    theirs::RequestHeader::default()
        .with_request_api_key(api.code())
        .with_request_api_version(version)
        .with_correlation_id(77)
        .with_client_id(Some(text("client")))
        .encode(&mut out, M::header_version(version))
        .unwrap();
    message.encode(&mut out, version).unwrap();
    out.into()
}

fn response_bytes<M: Encodable + HeaderVersion>(message: &M, version: i16) -> Bytes {
    let mut out = Vec::new();
    theirs::ResponseHeader::default()
        .with_correlation_id(77)
        .encode(&mut out, M::header_version(version))
        .unwrap();
    message.encode(&mut out, version).unwrap();
    out.into()
}

fn oracle_has(api: ApiKey, version: i16) -> bool {
    api != ApiKey::Produce || version >= 3
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn requests_have_the_bytes_that_another_implementation_writes((request, version) in request()) {
        prop_assume!(oracle_has(request.api_key(), version));
        let ours = request.encode(version, 77, Some("client")).unwrap().to_payload();
        let request = as_read(request);
        let theirs = their_request(&request, version, false);
        prop_assert_eq!(&ours, &theirs);
        prop_assert_eq!(Request::decode(&theirs).unwrap().1, request);
    }

    #[test]
    fn responses_have_the_bytes_that_another_implementation_writes(
        (response, version) in response(),
    ) {
        prop_assume!(oracle_has(response.api_key(), version));
        let ours = response.encode(version, 77).to_payload();
        let response = as_seen_in(response, version);
        let theirs = their_response(&response, version, false);
        prop_assert_eq!(&ours, &theirs);
        let read = read_response(response.api_key(), version, &theirs).unwrap();
        prop_assert_eq!(read, (77, response));
    }
}

/// Covers every version, whereas the property tests draw versions at random.
#[test]
fn every_version_of_every_message_has_the_same_bytes_as_the_other_implementation() {
    for api in ApiKey::ALL {
        for version in api.versions().filter(|&version| oracle_has(api, version)) {
            let request = full_request(api, version);
            let ours = request
                .encode(version, 77, Some("client"))
                .unwrap()
                .to_payload();
            assert_eq!(
                ours,
                their_request(&as_read(request), version, false),
                "{api} {version}"
            );

            let response = full_response(api);
            let ours = response.encode(version, 77).to_payload();
            let response = as_seen_in(response, version);
            assert_eq!(
                ours,
                their_response(&response, version, false),
                "{api} {version}"
            );
        }
    }
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    for api in ApiKey::ALL {
        for version in api.versions().filter(|&version| api.is_flexible(version)) {
            let request = as_read(full_request(api, version));
            let tagged = their_request(&request, version, true);
            assert_ne!(tagged, their_request(&request, version, false));
            assert_eq!(
                Request::decode(&tagged).unwrap().1,
                request,
                "{api} {version}"
            );

            let response = as_seen_in(full_response(api), version);
            let tagged = their_response(&response, version, true);
            assert_ne!(tagged, their_response(&response, version, false));
            let read = read_response(api, version, &tagged).unwrap();
            assert_eq!(read, (77, response), "{api} {version}");
        }
    }
}

#[test]
fn the_features_of_a_cluster_are_skipped() {
    use kafka_protocol::messages::api_versions_response as api_versions;

    let Response::ApiVersions(ours) = full_response(ApiKey::ApiVersions) else {
        panic!("it is asked for by name");
    };
    let supported = api_versions::SupportedFeatureKey::default()
        .with_name(text("metadata.version"))
        .with_min_version(1)
        .with_max_version(20);
    let finalized = api_versions::FinalizedFeatureKey::default()
        .with_name(text("metadata.version"))
        .with_min_version_level(1)
        .with_max_version_level(20);
    let message = their_api_versions(&ours, false)
        .with_supported_features(vec![supported])
        .with_finalized_features_epoch(12)
        .with_finalized_features(vec![finalized]);
    let payload = response_bytes(&message, 3);
    let (_, read) = read_response(ApiKey::ApiVersions, 3, &payload).unwrap();
    assert_eq!(read, Response::ApiVersions(ours));
}
