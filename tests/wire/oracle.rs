//! Reads and writes the vectors with a second implementation of the protocol, generated from Kafka's descriptions. This
//! shows that the vectors do not depend on details of one version of Java's client.

use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, RequestHeader, RequestKind, ResponseHeader, ResponseKind};
use kafka_protocol::protocol::{Decodable, Encodable};

use crate::input::{hex, unhex};
use crate::vectors::{self, number, text};

crate::tests![
    another_implementation_reads_and_writes_the_same_requests,
    another_implementation_reads_and_writes_the_same_responses,
];

fn api_of(name: &str) -> ApiKey {
    let mut all = (0..i16::from(u8::MAX)).filter_map(|code| ApiKey::try_from(code).ok());
    all.find(|api| format!("{api:?}") == name)
        .unwrap_or_else(|| panic!("kafka-protocol has no {name}"))
}

/// Whether the second implementation has this version: it lacks Produce before version 3.
fn has(name: &str, version: i16) -> bool {
    name != "Produce" || version >= 3
}

fn check(file: &str, again: impl Fn(ApiKey, i16, &mut Bytes) -> Vec<u8>) {
    let (mut count, mut left_out) = (0, 0);
    for vector in vectors::read(file) {
        let (name, version) = (text(&vector, "api"), number(&vector, "version"));
        if !has(name, version) {
            left_out += 1;
            continue;
        }
        let digits = text(&vector, "hex");
        let mut bytes = Bytes::from(unhex(digits));
        let written = again(api_of(name), version, &mut bytes);
        assert!(
            bytes.is_empty(),
            "{} bytes are left of {vector}",
            bytes.len()
        );
        assert_eq!(hex(&written), digits, "{vector}");
        count += 1;
    }
    println!("{file}: {count} compared, {left_out} skipped (version unknown to kafka-protocol)");
}

fn another_implementation_reads_and_writes_the_same_requests() {
    check("requests.jsonl", |api, version, bytes| {
        let header_version = api.request_header_version(version);
        let header = RequestHeader::decode(bytes, header_version).unwrap();
        assert_eq!(
            (header.request_api_key, header.request_api_version),
            (api as i16, version)
        );
        let request = RequestKind::decode(api, bytes, version).unwrap();
        let mut out = Vec::new();
        header.encode(&mut out, header_version).unwrap();
        let mut body = bytes::BytesMut::new();
        request.encode(&mut body, version).unwrap();
        out.extend_from_slice(&body);
        out
    });
}

fn another_implementation_reads_and_writes_the_same_responses() {
    check("responses.jsonl", |api, version, bytes| {
        let header_version = api.response_header_version(version);
        let header = ResponseHeader::decode(bytes, header_version).unwrap();
        let response = ResponseKind::decode(api, bytes, version).unwrap();
        let mut out = Vec::new();
        header.encode(&mut out, header_version).unwrap();
        let mut body = bytes::BytesMut::new();
        response.encode(&mut body, version).unwrap();
        out.extend_from_slice(&body);
        out
    });
}
