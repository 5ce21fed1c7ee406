//! A cluster that lists more brokers than the tool checks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use bytes::BytesMut;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{ApiVersionsResponse, BrokerId, MetadataResponse};
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::document;

const PRODUCE: i16 = 0;
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;

/// The highest number of brokers that the tool checks.
const LIMIT: usize = 1_000;

/// A broker whose cluster lists `count` brokers. Their ports are invalid, so the tool connects to none of them.
fn broker_in_cluster_of(count: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || while respond(&mut stream, count).is_some() {});
        }
    });
    address
}

/// Responds to the next request of a connection; `None` if the client has closed it.
fn respond(stream: &mut TcpStream, count: usize) -> Option<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut request = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut request).ok()?;
    let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
    let (api, version) = (number(0), number(2));
    // These versions have no header but the correlation id.
    let mut response = BytesMut::from(&request[4..8]);
    match api {
        API_VERSIONS => versions().encode(&mut response, version).unwrap(),
        METADATA => metadata(count).encode(&mut response, version).unwrap(),
        other => panic!("the tool makes no request {other}"),
    }
    let length = u32::try_from(response.len()).unwrap().to_be_bytes();
    stream.write_all(&length).ok()?;
    stream.write_all(&response).ok()
}

fn versions() -> ApiVersionsResponse {
    let apis = [(PRODUCE, 7), (METADATA, 5), (API_VERSIONS, 2)];
    let apis = apis.map(|(key, max)| {
        ApiVersion::default()
            .with_api_key(key)
            .with_max_version(max)
    });
    ApiVersionsResponse::default().with_api_keys(apis.into())
}

fn metadata(count: usize) -> MetadataResponse {
    let ids = 0..i32::try_from(count).unwrap();
    let brokers = ids.map(|id| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(id))
            .with_host(StrBytes::from_static_str("host"))
    });
    MetadataResponse::default()
        .with_cluster_id(Some(StrBytes::from_static_str("large")))
        .with_brokers(brokers.collect())
}

#[test]
fn a_thousand_brokers_are_checked_however_many_are_listed() {
    for listed in [LIMIT, LIMIT + 1, 100_000] {
        let address = broker_in_cluster_of(listed).to_string();
        let (code, facts) = document(&["--bootstrap-server", &address]);
        assert_eq!(code, Some(1), "no port is valid");
        assert_eq!(facts["cluster_id"], "large");
        let brokers = facts["brokers"].as_array().unwrap();
        let ids = brokers.iter().map(|broker| broker["id"].as_u64());
        assert!(ids.eq((0..LIMIT as u64).map(Some)), "{listed}");
        let is_warned = facts["warning_steps"] == 1;
        assert_eq!(is_warned, listed > LIMIT, "{listed}");
        let warning = "only the first 1000 brokers are checked";
        assert_eq!(facts.to_string().contains(warning), is_warned, "{listed}");
        assert_eq!(facts["failed_steps"], LIMIT);
    }
}
