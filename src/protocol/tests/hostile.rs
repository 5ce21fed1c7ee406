//! Malformed messages: decoding each of them returns an error.

use bytes::Bytes;
use proptest::prelude::*;

use super::generate::{full_request, full_response, read_response};
use crate::protocol::*;

/// Every request and response with every field set, in every version, as bytes.
fn all_messages() -> impl Iterator<Item = (ApiKey, i16, Bytes, Bytes)> {
    ApiKey::ALL
        .into_iter()
        .flat_map(|api| api.versions().map(move |version| (api, version)))
        .map(|(api, version)| {
            let request = full_request(api, version).encode(version, 7, Some("client"));
            let response = full_response(api).encode(version, 7);
            (
                api,
                version,
                request.unwrap().to_payload(),
                response.to_payload(),
            )
        })
}

#[test]
fn a_truncated_message_is_refused_at_every_length() {
    for (api, version, request, response) in all_messages() {
        for len in 0..request.len() {
            let error = Request::decode(&request.slice(..len)).unwrap_err();
            assert!(error.at <= len, "{api} {version} {len}: {error}");
        }
        // An ApiVersions response that is truncated after its ranges is a valid response of version 0.
        let ranges_end = full_response(api).encode(0, 7).to_payload().len();
        let has_older_answer = api == ApiKey::ApiVersions && (1..=2).contains(&version);
        let end = if has_older_answer {
            ranges_end
        } else {
            response.len()
        };
        assert!(end <= response.len());
        for len in 0..end {
            let read = read_response(api, version, &response.slice(..len));
            assert!(read.is_err(), "{api} {version} {len}: {read:?}");
        }
    }
}

#[test]
fn no_mutated_byte_makes_the_reader_panic() {
    for (api, version, request, response) in all_messages() {
        for (message, is_request) in [(request, true), (response, false)] {
            for at in 0..message.len() {
                for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                    let mut changed = message.to_vec();
                    changed[at] = value;
                    let changed = Bytes::from(changed);
                    // Changes of numbers and names yield another valid message.
                    let error = if is_request {
                        Request::decode(&changed).err()
                    } else {
                        read_response(api, version, &changed).err()
                    };
                    if let Some(error) = error {
                        assert!(error.at <= changed.len());
                        assert!(!error.to_string().is_empty());
                    }
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        api in proptest::sample::select(&ApiKey::ALL[..]),
        version in 0i16..12,
    ) {
        let payload = Bytes::from(bytes);
        let _ = Request::decode(&payload);
        let mut body = Reader::new(&payload);
        let _ = Request::decode_body(api, version, &mut body);
        let _ = read_response(api, version, &payload);
    }
}

/// Decodes a request that consists of a header and `body`.
fn request(api: ApiKey, version: i16, body: &[u8]) -> Result<Request, DecodeError> {
    let mut builder = FrameBuilder::with_capacity(64, 0);
    RequestHeader::encode(builder.writer(), api, version, 7, None);
    builder.writer().put_raw(body);
    let payload = builder.finish().unwrap().to_payload();
    Request::decode(&payload).map(|(_, request)| request)
}

fn response(api: ApiKey, version: i16, body: &[u8]) -> Result<Response, DecodeError> {
    let flexible_header = api.response_header_version(version) == 1;
    let header: &[u8] = if flexible_header {
        &[0, 0, 0, 7, 0]
    } else {
        &[0, 0, 0, 7]
    };
    let payload = Bytes::from([header, body].concat());
    read_response(api, version, &payload).map(|(_, response)| response)
}

/// A reader that reserved memory for these counts would run out of memory.
#[test]
fn an_array_of_two_billion_elements_is_refused_before_memory_is_allocated() {
    let classic = i32::MAX.to_be_bytes();
    let compact = [0xff, 0xff, 0xff, 0xff, 0x07];
    let kind = DecodeErrorKind::PastEnd;

    for (version, count) in [(8, &classic[..]), (9, &compact[..])] {
        let error = response(ApiKey::Produce, version, count).unwrap_err();
        assert_eq!((error.kind, error.what), (kind, "the topics"));
        let topic: &[u8] = if version == 8 {
            &[0, 0, 0, 1, 0, 1, b't']
        } else {
            &[2, 2, b't']
        };
        let body = [topic, count].concat();
        let error = response(ApiKey::Produce, version, &body).unwrap_err();
        assert_eq!((error.kind, error.what), (kind, "a topic's partitions"));
        let no_throttle = [0; 4];
        let body = [&no_throttle[..], count].concat();
        let error = response(ApiKey::Metadata, version, &body).unwrap_err();
        assert_eq!((error.kind, error.what), (kind, "the brokers"));
        let error = request(ApiKey::Metadata, version, count).unwrap_err();
        assert_eq!((error.kind, error.what), (kind, "the topics"));
    }
    let body = [&[0, 0], &classic[..]].concat();
    let error = response(ApiKey::ApiVersions, 0, &body).unwrap_err();
    assert_eq!((error.kind, error.what), (kind, "the API keys"));
    for version in [0, 1] {
        let error = response(ApiKey::SaslHandshake, version, &body).unwrap_err();
        assert_eq!((error.kind, error.what), (kind, "the mechanisms"));
    }

    let no_type = [0];
    let body = [&no_type[..], &compact].concat();
    let error = request(ApiKey::FindCoordinator, 4, &body).unwrap_err();
    assert_eq!((error.kind, error.what), (kind, "the keys"));
    let no_throttle = [0; 4];
    let body = [&no_throttle[..], &compact].concat();
    let error = response(ApiKey::FindCoordinator, 4, &body).unwrap_err();
    assert_eq!((error.kind, error.what), (kind, "the coordinators"));
}

#[test]
fn a_transaction_of_two_billion_partitions_is_refused_before_memory_is_allocated() {
    let classic = i32::MAX.to_be_bytes();
    let compact = [0xff, 0xff, 0xff, 0xff, 0x07];
    let kind = DecodeErrorKind::PastEnd;
    let no_producer = [0; 10];
    for (version, empty, count, topic) in [
        (2, &[0, 0][..], &classic[..], &[0, 0, 0, 1, 0, 1, b't'][..]),
        (3, &[1][..], &compact[..], &[2, 2, b't'][..]),
    ] {
        let api = ApiKey::AddPartitionsToTxn;
        let body = [empty, &no_producer, count].concat();
        let error = request(api, version, &body).unwrap_err();
        assert_eq!((error.kind, error.what), (kind, "the topics"));
        let body = [empty, &no_producer, topic, count].concat();
        let error = request(api, version, &body).unwrap_err();
        assert_eq!((error.kind, error.what), (kind, "a topic's partitions"));

        let no_throttle = [0; 4];
        for api in [ApiKey::AddPartitionsToTxn, ApiKey::TxnOffsetCommit] {
            let body = [&no_throttle[..], count].concat();
            let error = response(api, version, &body).unwrap_err();
            assert_eq!((error.kind, error.what), (kind, "the topics"));
            let body = [&no_throttle[..], topic, count].concat();
            let error = response(api, version, &body).unwrap_err();
            assert_eq!((error.kind, error.what), (kind, "a topic's partitions"));
        }
    }
}

/// With such lengths an unauthenticated client could exhaust a broker's memory (CVE-2022-34917).
#[test]
fn authentication_bytes_longer_than_the_message_or_null_are_refused() {
    let what = "the authentication bytes";
    let longest = i32::MAX.to_be_bytes();
    let lengths = [
        (1, &longest[..], DecodeErrorKind::PastEnd),
        (
            2,
            &[0xff, 0xff, 0xff, 0xff, 0x07][..],
            DecodeErrorKind::PastEnd,
        ),
        (1, &[0xff; 4][..], DecodeErrorKind::Null),
        (2, &[0][..], DecodeErrorKind::Null),
    ];
    for (version, length, kind) in lengths {
        let error = request(ApiKey::SaslAuthenticate, version, length).unwrap_err();
        assert_eq!((error.kind, error.what), (kind, what));
        let no_error = [0, 0];
        let no_message: &[u8] = if version == 2 { &[0] } else { &[0xff, 0xff] };
        let body = [&no_error[..], no_message, length].concat();
        let error = response(ApiKey::SaslAuthenticate, version, &body).unwrap_err();
        assert_eq!((error.kind, error.what), (kind, what));
    }
}

#[test]
fn a_count_that_the_rest_of_the_message_cannot_hold_is_refused() {
    // Three ranges of six bytes do not fit into seventeen bytes.
    let mut body = vec![0, 0, 0, 0, 0, 3];
    body.extend([0; 17]);
    let error = response(ApiKey::ApiVersions, 0, &body).unwrap_err();
    assert_eq!(
        (error.kind, error.what, error.at),
        (DecodeErrorKind::PastEnd, "the API keys", 6)
    );
    body.push(0);
    assert!(response(ApiKey::ApiVersions, 0, &body).is_ok());
}

#[test]
fn a_negative_length_other_than_null_is_refused() {
    for length in [-2i32, i32::MIN] {
        let error = response(ApiKey::Produce, 8, &length.to_be_bytes()).unwrap_err();
        assert_eq!(
            (error.kind, error.what),
            (DecodeErrorKind::BadLength, "the topics")
        );
    }
    for length in [-2i16, i16::MIN] {
        let error = request(ApiKey::InitProducerId, 0, &length.to_be_bytes()).unwrap_err();
        assert_eq!(
            (error.kind, error.what),
            (DecodeErrorKind::BadLength, "the transactional id")
        );
    }
}

#[test]
fn a_length_that_is_not_a_varint_is_refused() {
    let error = response(ApiKey::Produce, 9, &[0xff; 8]).unwrap_err();
    assert_eq!(
        (error.kind, error.what),
        (DecodeErrorKind::BadLength, "the topics")
    );
    // A valid varint, but above the maximum length.
    let error = response(ApiKey::Produce, 9, &[0xff, 0xff, 0xff, 0xff, 0x0f]).unwrap_err();
    assert_eq!(
        (error.kind, error.what),
        (DecodeErrorKind::BadLength, "the topics")
    );
}

#[test]
fn null_is_refused_in_a_field_that_is_not_nullable() {
    for (version, null) in [(8, &[0xff; 4][..]), (9, &[0][..])] {
        let error = response(ApiKey::Produce, version, null).unwrap_err();
        assert_eq!(
            (error.kind, error.what),
            (DecodeErrorKind::Null, "the topics")
        );
    }
    for (version, body) in [(8, &[0, 0, 0, 1, 0xff, 0xff][..]), (9, &[2, 0, 1][..])] {
        let error = response(ApiKey::Produce, version, body).unwrap_err();
        assert_eq!(
            (error.kind, error.what),
            (DecodeErrorKind::Null, "a topic's name")
        );
    }
}

#[test]
fn a_string_that_is_longer_than_the_message_is_refused() {
    let error = request(ApiKey::InitProducerId, 1, &[0, 5, b'a', b'b']).unwrap_err();
    assert_eq!(
        (error.kind, error.what),
        (DecodeErrorKind::PastEnd, "the transactional id")
    );
    let error = request(ApiKey::InitProducerId, 2, &[6, b'a', b'b']).unwrap_err();
    assert_eq!(
        (error.kind, error.what),
        (DecodeErrorKind::PastEnd, "the transactional id")
    );
}

#[test]
fn a_compact_string_longer_than_a_classic_one_can_be_is_refused() {
    let mut body = vec![0x81, 0x80, 0x02];
    body.resize(body.len() + 32_768, b'a');
    body.extend([0; 32]);
    let error = request(ApiKey::InitProducerId, 2, &body).unwrap_err();
    assert_eq!(
        (error.kind, error.what),
        (DecodeErrorKind::BadLength, "the transactional id")
    );
}

#[test]
fn a_string_that_is_not_utf_8_is_refused() {
    let error = request(ApiKey::InitProducerId, 1, &[0, 2, 0xc3, 0x28, 0, 0, 0, 0]).unwrap_err();
    assert_eq!(
        (error.kind, error.what),
        (DecodeErrorKind::NotUtf8, "the transactional id")
    );
    assert_eq!(
        error.to_string(),
        "the transactional id is not UTF-8 (at byte 10)"
    );
}

#[test]
fn records_that_are_longer_than_the_message_are_refused() {
    let before = [
        0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 0,
    ];
    let body = [&before[..], &1000i32.to_be_bytes(), b"short"].concat();
    let error = request(ApiKey::Produce, 0, &body).unwrap_err();
    assert_eq!(
        (error.kind, error.what),
        (DecodeErrorKind::PastEnd, "a partition's records")
    );
}

#[test]
fn tagged_fields_longer_than_the_message_are_refused() {
    let fixed = [0; 16];
    // Two billion fields; a field longer than the message.
    for tags in [
        &[0xff, 0xff, 0xff, 0xff, 0x07][..],
        &[1, 5, 0xff, 0xff, 0x03, 1, 2][..],
    ] {
        let body = [&fixed[..], tags].concat();
        assert!(response(ApiKey::InitProducerId, 4, &body).is_err());
    }
}

#[test]
fn a_request_with_an_unknown_api_key_is_refused() {
    let payload = Bytes::from_static(&[0, 99, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);
    let error = Request::decode(&payload).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::UnknownApi(99));
    assert_eq!(error.to_string(), "the API key 99 is not known (at byte 0)");
}

#[test]
fn an_error_names_the_field_and_its_offset() {
    let error = response(ApiKey::InitProducerId, 0, &[0, 0, 0, 0, 0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the message ends inside the error (at byte 8)"
    );
}

#[test]
fn an_error_message_is_decoded_in_printable_form_and_an_empty_one_as_none() {
    let decoded = |words: &str| {
        let Response::FindCoordinator(mut sent) = full_response(ApiKey::FindCoordinator) else {
            unreachable!("that is what was asked for")
        };
        sent.coordinators[0].error_message = Some(words.into());
        let payload = Response::FindCoordinator(sent).encode(4, 7).to_payload();
        let (_, read) = read_response(ApiKey::FindCoordinator, 4, &payload).unwrap();
        let Response::FindCoordinator(mut read) = read else {
            unreachable!("what was sent is read")
        };
        read.coordinators.swap_remove(0).error_message
    };
    let escaped = decoded("no\n\u{1b}[31m\0");
    assert_eq!(escaped.as_deref(), Some("no\\n\\u{1b}[31m\\u{0}"));
    assert_eq!(decoded(""), None);
}

#[test]
fn a_long_error_message_is_truncated() {
    let words = |len: usize| -> std::sync::Arc<str> { "\u{e4}".repeat(len / 2).into() };
    let kept = |len| -> Vec<usize> {
        let Response::Produce(mut sent) = full_response(ApiKey::Produce) else {
            unreachable!("that is what was asked for")
        };
        let partition = &mut sent.topics[0].partitions[0];
        partition.error_message = Some(words(len));
        partition.record_errors[0].message = Some(words(len));
        let payload = Response::Produce(sent).encode(9, 7).to_payload();
        let (_, read) = read_response(ApiKey::Produce, 9, &payload).unwrap();
        let Response::Produce(mut read) = read else {
            unreachable!("what was sent is read")
        };
        let partition = read.topics.swap_remove(0).partitions.swap_remove(0);
        let record = partition.record_errors[0].message.clone();
        [partition.error_message, record]
            .into_iter()
            .flatten()
            .inspect(|text| assert!(text.starts_with('\u{e4}')))
            .map(|text| text.len())
            .collect()
    };
    assert_eq!(kept(1024), [1024, 1024]);
    assert_eq!(kept(1026), [1027, 1027], "with three dots");
    assert_eq!(kept(32_000), [1027, 1027]);
}
