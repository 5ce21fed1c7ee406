//! Versions, headers, frames: properties of every message, whatever its content.

use bytes::Bytes;

use super::generate::{full_request, full_response, read_response};
use crate::error::ErrorCode;
use crate::protocol::*;

fn produce(acks: i16, body: &Bytes) -> ProduceRequest {
    let records = |head| {
        Some(MemoryRecords {
            head,
            body: body.clone(),
        })
    };
    ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: 1000,
        topics: vec![TopicProduceData {
            name: "t".into(),
            partitions: vec![
                PartitionProduceData {
                    index: 0,
                    records: records([1; 61].into()),
                },
                PartitionProduceData {
                    index: 1,
                    records: records(BatchHead::EMPTY),
                },
            ],
        }],
    }
}

#[test]
fn a_frame_shares_the_bytes_of_its_batches() {
    let body = Bytes::from(vec![42; 1000]);
    let frame = Request::Produce(produce(1, &body))
        .encode(8, 1, Some("client"))
        .unwrap();
    let shared = frame
        .chunks()
        .iter()
        .filter(|chunk| chunk.as_ptr() == body.as_ptr());
    assert_eq!(shared.count(), 2);
    // The chunks: request header and first batch's header; its body; index and length of the second batch; its body.
    assert_eq!(frame.chunks().len(), 4);
}

#[test]
fn a_broker_reads_batches_without_copying_them() {
    let body = Bytes::from(vec![42; 1000]);
    let payload = Request::Produce(produce(1, &body))
        .encode(9, 1, None)
        .unwrap()
        .to_payload();
    let (_, Request::Produce(read)) = Request::decode(&payload).unwrap() else {
        panic!("it was a Produce request");
    };
    let records = read.topics[0].partitions[1].records.as_ref().unwrap();
    assert_eq!(records.body, body);
    let frame = payload.as_ptr_range();
    assert!(frame.contains(&records.body.as_ptr()));
}

#[test]
fn only_produce_without_acks_has_no_response() {
    let body = Bytes::new();
    assert!(!Request::Produce(produce(0, &body)).expects_response());
    assert!(Request::Produce(produce(1, &body)).expects_response());
    assert!(Request::Produce(produce(-1, &body)).expects_response());
    for api in ApiKey::ALL {
        assert!(full_request(api, 0).expects_response(), "{api}");
    }
}

#[test]
fn a_payload_becomes_a_frame_with_its_length_before_it() {
    let frame = Frame::from_payload(Bytes::from_static(b"abc")).unwrap();
    assert_eq!(frame.chunks().concat(), [0, 0, 0, 3, b'a', b'b', b'c']);
    assert_eq!(frame.to_payload(), "abc");
    let empty = Frame::from_payload(Bytes::new()).unwrap();
    assert_eq!(empty.chunks().concat(), [0; 4]);
}

/// Java: RequestHeaderTest#testRequestHeaderV1
#[test]
fn a_header_before_a_classic_request_has_no_tagged_fields() {
    let frame = Request::Produce(ProduceRequest {
        topics: vec![],
        ..produce(1, &Bytes::new())
    })
    .encode(0, 0x0102_0304, Some("me"))
    .unwrap();
    let payload = frame.to_payload();
    assert_eq!(payload[..12], [0, 0, 0, 0, 1, 2, 3, 4, 0, 2, b'm', b'e']);
    assert_eq!(payload[12..], [0, 1, 0, 0, 3, 0xe8, 0, 0, 0, 0]);
}

/// Before version 3 there is no transactional id, and instead of a batch there is a message set, which has no header.
#[test]
fn produce_requests_before_version_3_have_the_known_bytes() {
    let partition = PartitionProduceData {
        index: 7,
        records: Some(MemoryRecords::headless(Bytes::from_static(b"a set"))),
    };
    let request = ProduceRequest {
        topics: vec![TopicProduceData {
            name: "t".into(),
            partitions: vec![partition],
        }],
        ..produce(-1, &Bytes::new())
    };
    for version in [0, 1, 2] {
        let frame = Request::Produce(request.clone()).encode(version, 1, None);
        let payload = frame.unwrap().to_payload();
        let header = [0, 0, 0, version as u8, 0, 0, 0, 1, 0xff, 0xff];
        let body = b"\xff\xff\0\0\x03\xe8\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x07\0\0\0\x05a set";
        assert_eq!(payload, [&header[..], &body[..]].concat());
        let (_, read) = Request::decode(&payload).unwrap();
        assert_eq!(read, Request::Produce(request.clone()));
    }
}

/// Java: ProduceResponseTest#produceResponseV5Test, ProduceResponse.json
#[test]
fn produce_responses_before_version_3_have_the_known_bytes() {
    let topic = b"\0\0\0\x05\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x07\0\0\0\0\0\0\0\0\0\x2a";
    let time = 1_000_i64.to_be_bytes();
    let throttle = [0, 0, 0, 9];
    let versions = [
        (topic.to_vec(), -1, 0),
        ([&topic[..], &throttle].concat(), -1, 9),
        ([&topic[..], &time, &throttle].concat(), 1_000, 9),
    ];
    for (version, (bytes, log_append_time_ms, throttle_time_ms)) in (0..).zip(versions) {
        let expected = Response::Produce(ProduceResponse {
            topics: vec![TopicProduceResponse {
                name: "t".into(),
                partitions: vec![PartitionProduceResponse {
                    index: 7,
                    error: ErrorCode::NoError,
                    base_offset: 42,
                    log_append_time_ms,
                    log_start_offset: -1,
                    record_errors: vec![],
                    error_message: None,
                }],
            }],
            throttle_time_ms,
        });
        let bytes = Bytes::from(bytes);
        let (id, read) = read_response(ApiKey::Produce, version, &bytes).unwrap();
        assert_eq!((id, &read), (5, &expected));
        assert_eq!(expected.encode(version, 5).to_payload(), bytes);
    }
}

/// Java: RequestHeaderTest#testRequestHeaderV2
#[test]
fn a_header_before_a_flexible_request_keeps_the_client_id_in_classic_form() {
    let frame = Request::ApiVersions(ApiVersionsRequest {
        client_software_name: "n".into(),
        client_software_version: "1".into(),
    })
    .encode(3, 10, Some(""))
    .unwrap();
    assert_eq!(
        frame.to_payload()[..],
        [0, 18, 0, 3, 0, 0, 0, 10, 0, 0, 0, 2, b'n', 2, b'1', 0]
    );
}

#[test]
fn a_client_id_may_be_null() {
    for version in [8, 9] {
        let payload = full_request(ApiKey::Produce, version)
            .encode(version, 1, None)
            .unwrap();
        assert_eq!(
            Request::decode(&payload.to_payload()).unwrap().0.client_id,
            None
        );
    }
}

/// Java: `ApiKeysTest#testResponseThrottleTime`
#[test]
fn each_api_has_the_code_versions_and_headers_of_kafka() {
    // number, newest version, first flexible, client throttles from
    let expected: [(i16, i16, Option<i16>, Option<i16>); 11] = [
        (0, 9, Some(9), Some(6)),
        (3, 11, Some(9), Some(6)),
        (10, 4, Some(3), Some(2)),
        (17, 1, None, None),
        (18, 3, Some(3), Some(2)),
        (22, 4, Some(2), Some(1)),
        (24, 3, Some(3), Some(1)),
        (25, 3, Some(3), Some(1)),
        (26, 3, Some(3), Some(1)),
        (28, 3, Some(3), Some(1)),
        (36, 2, Some(2), None),
    ];
    for (api, (code, newest, first_flexible, throttles_from)) in
        ApiKey::ALL.into_iter().zip(expected)
    {
        assert_eq!(api.code(), code, "{api}");
        assert_eq!(ApiKey::from_code(code), Some(api));
        assert_eq!(api.versions(), 0..=newest, "{api}");
        assert_eq!(api.max_version(), newest, "{api}");
        assert_eq!(api.first_flexible(), first_flexible, "{api}");
        assert_eq!(api.throttles_client_from(), throttles_from, "{api}");
        for version in api.versions() {
            let flexible = first_flexible.is_some_and(|first| version >= first);
            assert_eq!(
                api.request_header_version(version),
                if flexible { 2 } else { 1 }
            );
            let response = i16::from(flexible && api != ApiKey::ApiVersions);
            assert_eq!(
                api.response_header_version(version),
                response,
                "{api} {version}"
            );
            let throttles = throttles_from.is_some_and(|first| version >= first);
            assert_eq!(api.throttles_client(version), throttles, "{api} {version}");
        }
    }
    assert_eq!(ApiKey::from_code(1), None);
}

/// Java: NodeApiVersionsTest#testLatestUsableVersion, testLatestUsableVersionOutOfRangeLow,
/// testLatestUsableVersionOutOfRangeHigh, testLatestUsableVersionOutOfRange
#[test]
fn the_newest_version_that_both_sides_support_is_chosen() {
    assert_eq!(ApiKey::Produce.latest_usable(0, 20), Some(9));
    assert_eq!(ApiKey::Produce.latest_usable(3, 7), Some(7));
    assert_eq!(ApiKey::Produce.latest_usable(2, 2), Some(2));
    assert_eq!(ApiKey::Produce.latest_usable(0, 1), Some(1));
    assert_eq!(ApiKey::Produce.latest_usable(10, 12), None);
    assert_eq!(ApiKey::Metadata.latest_usable(0, 0), None);
    assert_eq!(ApiKey::Metadata.latest_usable(0, 1), Some(1));
}

#[test]
fn a_field_that_the_version_lacks_is_refused() {
    let with_id = ProduceRequest {
        transactional_id: Some("transfer".into()),
        ..produce(1, &Bytes::new())
    };
    let refused = Request::Produce(with_id.clone()).encode(2, 1, None);
    let expected = EncodeError::UnsupportedField {
        what: "transactional.id",
        version: 2,
    };
    assert_eq!(refused.unwrap_err(), expected);
    assert!(Request::Produce(with_id).encode(3, 1, None).is_ok());

    for (producer_id, producer_epoch) in [(5, -1), (-1, 5)] {
        let init = Request::InitProducerId(InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            producer_id,
            producer_epoch,
        });
        assert!(matches!(
            init.encode(2, 1, None),
            Err(EncodeError::UnsupportedField { version: 2, .. })
        ));
        assert!(init.encode(3, 1, None).is_ok());
    }
}

/// Java: MetadataRequestTest#testMetadataRequestVersion, testEmptyMeansAllTopicsV0,
/// testEmptyMeansEmptyForVersionsAboveV0
#[test]
fn an_empty_list_of_topics_means_all_topics_in_version_0_only() {
    let metadata = |topics, allow_auto_topic_creation| {
        Request::Metadata(MetadataRequest {
            topics,
            allow_auto_topic_creation,
        })
    };
    let all = metadata(None, true);
    let payload = all.encode(0, 1, None).unwrap().to_payload();
    assert_eq!(payload[10..], [0, 0, 0, 0]);
    assert_eq!(Request::decode(&payload).unwrap().1, all);
    let none = metadata(Some(vec![]), true);
    assert!(none.encode(0, 1, None).is_err());
    for version in 1..=11 {
        for request in [&all, &none] {
            let payload = request.encode(version, 1, None).unwrap().to_payload();
            assert_eq!(&Request::decode(&payload).unwrap().1, request, "{version}");
        }
    }
    let do_not_create = metadata(Some(vec!["t".into()]), false);
    assert!(do_not_create.encode(3, 1, None).is_err());
    assert!(do_not_create.encode(4, 1, None).is_ok());
}

#[test]
fn an_unknown_version_is_neither_encoded_nor_decoded() {
    for api in ApiKey::ALL {
        for version in [-1, api.max_version() + 1, i16::MAX] {
            let error = full_request(api, api.max_version())
                .encode(version, 1, None)
                .unwrap_err();
            assert_eq!(
                error,
                EncodeError::UnknownVersion {
                    what: api.name(),
                    version
                }
            );

            let frame = full_request(api, api.max_version()).encode(api.max_version(), 1, None);
            let mut payload = frame.unwrap().to_payload().to_vec();
            payload[2..4].copy_from_slice(&version.to_be_bytes());
            // A flexible header is read even if the version is unknown.
            let error = Request::decode(&payload.into()).unwrap_err();
            if version > 0 {
                assert_eq!(error.kind, DecodeErrorKind::UnknownVersion(version));
            }

            let payload = full_response(api).encode(0, 1).to_payload();
            let error = read_response(api, version, &payload);
            assert!(error.is_err(), "{api} {version}");
        }
    }
}

/// Java: RequestContextTest#testSerdeUnsupportedApiVersionRequest
#[test]
fn the_header_of_a_request_in_an_unknown_version_can_be_decoded() {
    let frame = Request::ApiVersions(ApiVersionsRequest::ours())
        .encode(3, 77, Some("me"))
        .unwrap();
    let mut payload = frame.to_payload().to_vec();
    payload[3] = 4;
    let payload = Bytes::from(payload);
    let mut reader = Reader::new(&payload);
    let header = RequestHeader::decode(&mut reader).unwrap();
    assert_eq!(
        (
            header.api_key,
            header.api_version,
            header.correlation_id,
            header.client_id.as_deref()
        ),
        (ApiKey::ApiVersions, 4, 77, Some("me"))
    );
    let body = Request::decode_body(header.api_key, header.api_version, &mut reader);
    assert_eq!(body.unwrap_err().kind, DecodeErrorKind::UnknownVersion(4));
}

/// Java: RequestResponseTest#testApiVersionResponseParsingFallback,
/// testApiVersionResponseWithUnsupportedError
#[test]
fn an_api_versions_response_in_version_0_is_decoded_whatever_version_was_requested() {
    let ranges = [
        vec![],
        vec![ApiVersionRange {
            api_key: 18,
            min: 0,
            max: 2,
        }],
        (0..50)
            .map(|api_key| ApiVersionRange {
                api_key,
                min: 0,
                max: api_key,
            })
            .collect(),
    ];
    for api_keys in ranges {
        let error = ErrorCode::UnsupportedVersion;
        let response = Response::ApiVersions(ApiVersionsResponse {
            error,
            api_keys,
            throttle_time_ms: 0,
        });
        let payload = response.encode(0, 5).to_payload();
        for version in 0..=3 {
            let read = read_response(ApiKey::ApiVersions, version, &payload);
            assert_eq!(read.unwrap(), (5, response.clone()), "{version}");
        }
    }
}

/// KIP-511. The first payload is the response of librdkafka's mock broker to version 3. It encodes a count of one range
/// as the byte 1, although a compact array has the byte 2. So the range would be decoded as a throttle time of
/// 1,179,648 ms.
#[test]
fn no_throttle_time_is_read_from_an_unsupported_version_response() {
    let mock = [
        &[0, 0, 0, 5][..],
        &[0, 35],
        &[1],
        &[0, 18, 0, 0, 0, 2],
        &[0, 0, 0, 0],
    ]
    .concat();
    // The second payload has bytes after a body of version 0, where versions 1 and 2 have the throttle time.
    let longer = [
        &[0, 0, 0, 5][..],
        &[0, 35],
        &[0, 0, 0, 1],
        &[0, 18, 0, 0, 0, 2],
        &[0, 18, 0, 0],
    ]
    .concat();
    for (payload, listed) in [(mock, 0), (longer, 1)] {
        for version in 1..=3 {
            let payload = Bytes::from(payload.clone());
            let (_, read) = read_response(ApiKey::ApiVersions, version, &payload).unwrap();
            let Response::ApiVersions(read) = read else {
                panic!("{read:?}");
            };
            assert_eq!(read.error, ErrorCode::UnsupportedVersion, "{version}");
            assert_eq!(read.api_keys.len(), listed, "{version}");
            assert_eq!(read.throttle_time_ms, 0, "{version}");
        }
    }
}

#[test]
fn bytes_after_a_response_are_ignored() {
    for api in ApiKey::ALL {
        for version in api.versions() {
            let exact = full_response(api).encode(version, 1).to_payload();
            let longer = Bytes::from([&exact[..], b"more"].concat());
            assert_eq!(
                read_response(api, version, &longer).unwrap(),
                read_response(api, version, &exact).unwrap()
            );
        }
    }
}

#[test]
fn the_throttle_time_is_found_in_each_response() {
    for api in ApiKey::ALL {
        let mut response = full_response(api);
        let has_one = !matches!(api, ApiKey::SaslHandshake | ApiKey::SaslAuthenticate);
        let expected = |millis| if has_one { millis } else { 0 };
        assert_eq!(response.throttle_time_ms(), expected(250), "{api}");
        response.set_throttle_time_ms(9);
        assert_eq!(response.throttle_time_ms(), expected(9), "{api}");
        // Only responses with a throttle time can throttle the client.
        assert!(has_one || api.throttles_client_from().is_none(), "{api}");
    }
}

/// Requests and responses are moved by value, for every batch: rare kinds must not make them larger.
#[test]
fn rare_requests_and_responses_are_not_larger_in_memory_than_frequent_ones() {
    assert_eq!(size_of::<Request>(), size_of::<ProduceRequest>());
    assert_eq!(size_of::<Response>(), size_of::<MetadataResponse>());
}

#[test]
fn authentication_bytes_are_not_printed() {
    let api = ApiKey::SaslAuthenticate;
    let shown = format!("{:?}", full_request(api, 2));
    assert!(shown.contains("AuthBytes(12 bytes)"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
    let shown = format!("{:?}", full_response(api));
    assert!(shown.contains("AuthBytes(11 bytes)"), "{shown}");
    assert!(!shown.contains("signature"), "{shown}");
}

#[test]
fn our_client_software_name_is_one_that_brokers_accept() {
    let ours = ApiVersionsRequest::ours();
    for text in [&ours.client_software_name, &ours.client_software_version] {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        assert!(text.chars().all(inner), "{text}");
        assert!(
            text.starts_with(|c: char| c.is_ascii_alphanumeric()),
            "{text}"
        );
        assert!(
            text.ends_with(|c: char| c.is_ascii_alphanumeric()),
            "{text}"
        );
    }
}

#[test]
fn a_topic_name_too_long_for_the_protocol_is_refused_in_classic_and_flexible_form() {
    for version in [8, 9] {
        let request = |len: usize| {
            Request::Metadata(MetadataRequest {
                topics: Some(vec!["x".repeat(len).into()]),
                allow_auto_topic_creation: true,
            })
        };
        let refused = request(32_768).encode(version, 1, None);
        assert_eq!(
            refused.unwrap_err(),
            EncodeError::TooLong {
                what: "the topic's name"
            }
        );
        let longest = request(32_767);
        let payload = longest.encode(version, 1, None).unwrap().to_payload();
        assert_eq!(Request::decode(&payload).unwrap().1, longest);
    }
}
