//! Malformed messages: lengths that do not fit, invalid text, missing and unknown fields.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_producer::ProduceErrorKind;
use kafka_protocol::messages::{
    ApiVersionsResponse, InitProducerIdResponse, MetadataResponse, ProduceResponse,
};

use crate::case::{Case, patient};
use crate::exchange::{Api, Exchange, Tampering};

/// The count or length 2^31 - 1 in compact encoding: a varint of the value plus one.
const HUGE: [u8; 5] = [0x80, 0x80, 0x80, 0x80, 0x08];

/// For the latest versions: the bytes before an array, and the error if the array is longer than the frame.
const ARRAYS: [(Api, &[u8], &str); 3] = [
    (Api::ApiVersions, &[0, 0], "the API keys is longer"),
    (Api::Metadata, &[0; 4], "the brokers is longer"),
    (Api::Produce, &[], "the topics is longer"),
];

fn check_malformed(
    api: Api,
    script: impl Fn(&Exchange) -> Tampering + Send + Sync + 'static,
    words: &str,
) {
    let case = if api == Api::Produce {
        Case::warmed()
    } else {
        Case::new()
    };
    case.proxy.tamper_with(api, script);
    let parts = [words, "the broker sent an invalid response to"];
    if api == Api::Produce {
        case.undelivered(&parts);
    } else {
        case.failed(&ProduceErrorKind::MetadataTimeout, &parts);
    }
    case.finish();
}

#[test]
fn an_array_of_two_thousand_million_elements_takes_no_memory_and_the_error_names_it() {
    for (api, before, words) in ARRAYS {
        let body = [before, &HUGE, &[0; 2000]].concat();
        check_malformed(api, move |exchange| exchange.with_body(&body), words);
    }
}

#[test]
fn the_error_names_a_string_that_is_longer_than_its_frame() {
    // An empty list of brokers, then the cluster id.
    let metadata = [&[0, 0, 0, 0, 1][..], &[0xff, 0x7f], b"cluster"].concat();
    check_malformed(
        Api::Metadata,
        move |exchange| exchange.with_body(&metadata),
        "the cluster's id is longer than the message",
    );
    // One topic, with its name.
    let produce = [&[2][..], &[0xff, 0x7f], b"t"].concat();
    check_malformed(
        Api::Produce,
        move |exchange| exchange.with_body(&produce),
        "a topic's name is longer than the message",
    );
}

/// Replaces a text in the broker's response by invalid UTF-8.
fn not_utf8(exchange: &Exchange, text: &[u8]) -> Tampering {
    exchange.changed(|bytes| {
        let at = bytes.windows(text.len()).position(|part| part == text);
        bytes[at.unwrap() + text.len() - 1] = 0xff;
    })
}

#[test]
fn text_that_is_not_utf_8_is_named() {
    check_malformed(
        Api::Metadata,
        |exchange| not_utf8(exchange, b"127.0.0.1"),
        "a broker's host is not UTF-8",
    );
    check_malformed(
        Api::Produce,
        |exchange| not_utf8(exchange, b"\x02t"),
        "a topic's name is not UTF-8",
    );
}

#[test]
fn a_null_in_a_required_field_is_named() {
    check_malformed(
        Api::Metadata,
        |exchange| exchange.with_body(&[0, 0, 0, 0, 0]),
        "the brokers is null",
    );
    check_malformed(
        Api::Produce,
        |exchange| exchange.with_body(&[0]),
        "the topics is null",
    );
}

#[test]
fn a_truncated_response_is_retried_wherever_it_is_cut() {
    for api in Api::ALL {
        // Each response is truncated by one more byte; the header stays.
        let case = Case::meeting(|proxy| {
            proxy.tamper_with(api, |exchange| match exchange.nth {
                nth @ 0..8 => exchange.changed(|bytes| {
                    let len = bytes.len();
                    bytes.truncate(len.saturating_sub(1 + nth).max(5));
                }),
                _ => Tampering::Nothing,
            });
        });
        case.written();
        assert!(case.proxy.exchanges_of(api) > 8, "{api:?}");
        case.finish();
    }
}

/// Unknown tagged fields with large tags, one of them with a long value.
fn later() -> BTreeMap<i32, Bytes> {
    [
        (9_000, Bytes::from_static(b"of a later time")),
        (100_000, Bytes::from(vec![7; 10_000])),
    ]
    .into()
}

fn with_unknown_tags(exchange: &Exchange) -> Tampering {
    match exchange.api {
        Api::ApiVersions => exchange.edited(|m: &mut ApiVersionsResponse| {
            m.unknown_tagged_fields = later();
            for api in &mut m.api_keys {
                api.unknown_tagged_fields = later();
            }
        }),
        Api::Metadata => exchange.edited(|m: &mut MetadataResponse| {
            m.unknown_tagged_fields = later();
            for broker in &mut m.brokers {
                broker.unknown_tagged_fields = later();
            }
            for topic in &mut m.topics {
                topic.unknown_tagged_fields = later();
                for partition in &mut topic.partitions {
                    partition.unknown_tagged_fields = later();
                }
            }
        }),
        Api::Produce => exchange.edited(|m: &mut ProduceResponse| {
            m.unknown_tagged_fields = later();
            for topic in &mut m.responses {
                topic.unknown_tagged_fields = later();
                for partition in &mut topic.partition_responses {
                    partition.unknown_tagged_fields = later();
                }
            }
        }),
        Api::InitProducerId => exchange.edited(|m: &mut InitProducerIdResponse| {
            m.unknown_tagged_fields = later();
        }),
        Api::SaslHandshake | Api::SaslAuthenticate => Tampering::Nothing,
    }
}

#[test]
fn unknown_tagged_fields_of_responses_are_skipped() {
    let case = Case::configured(|proxy| proxy.tamper(with_unknown_tags), patient);
    assert_eq!(case.written().offset(), 0);
    assert_eq!(case.written().offset(), 1);
    assert_eq!(case.proxy.exchanges_of(Api::Produce), 2);
    assert_eq!(case.proxy.exchanges_of(Api::Metadata), 1);
    // One connection for metadata, and one to the leader.
    assert_eq!(case.proxy.connections(), 2);
    case.finish();
}

/// Announces the oldest versions that this library supports, which use the non-flexible encoding.
fn old(exchange: &Exchange) -> Tampering {
    exchange.edited(|m: &mut ApiVersionsResponse| {
        for api in &mut m.api_keys {
            match api.api_key {
                0 => api.max_version = 3,
                3 => api.max_version = 4,
                _ => api.max_version = 0,
            }
        }
    })
}

#[test]
fn invalid_lengths_in_non_flexible_versions_are_rejected() {
    // The API, the bytes before an invalid length, and that length of two or four bytes.
    let lengths: [(Api, &[u8], &[u8]); 6] = [
        (Api::Metadata, &[0; 4], &[0x7f, 0xff, 0xff, 0xff]),
        (Api::Metadata, &[0; 4], &[0xff, 0xff, 0xff, 0xfe]),
        (Api::Metadata, &[0; 8], &[0x7f, 0xff]),
        (Api::Produce, &[], &[0x7f, 0xff, 0xff, 0xff]),
        (Api::Produce, &[], &[0xff, 0xff, 0xff, 0xff]),
        (Api::Produce, &[0, 0, 0, 1], &[0x7f, 0xff]),
    ];
    let case = Case::meeting(|proxy| {
        proxy.tamper(move |exchange| {
            if exchange.api == Api::ApiVersions {
                return old(exchange);
            }
            let of_this_kind = lengths.iter().filter(|(api, ..)| *api == exchange.api);
            match of_this_kind.clone().nth(exchange.nth) {
                Some((_, before, length)) => {
                    exchange.with_body(&[*before, *length, b"text"].concat())
                }
                None => Tampering::Nothing,
            }
        });
    });
    assert_eq!(case.written().offset(), 0);
    assert!(case.proxy.exchanges_of(Api::Produce) >= 4);
    assert!(case.proxy.exchanges_of(Api::Metadata) >= 4);
    case.finish();
}
