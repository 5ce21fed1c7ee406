use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::Bytes;

use super::*;
use crate::protocol::{
    ApiKey, ApiVersionsRequest, BatchHead, MemoryRecords, MetadataRequest, PartitionProduceData,
    ProduceRequest, Reader, Request, Response, TopicProduceData, decode_response_correlation,
};
use crate::record::batch::fixture::{BatchSpec, Plain};
use crate::record::{Header, Headers};

fn connect(cluster: &TestCluster, node: NodeId) -> TcpStream {
    TcpStream::connect((HOST, cluster.port(node).unwrap())).unwrap()
}

fn send(stream: &mut TcpStream, request: &Request, version: i16, correlation: i32) {
    let frame = request.encode(version, correlation, Some("test")).unwrap();
    stream.write_all(&frame.chunks().concat()).unwrap();
}

fn receive(stream: &mut TcpStream, api: ApiKey, version: i16, correlation: i32) -> Response {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut payload = vec![0; i32::from_be_bytes(length) as usize];
    stream.read_exact(&mut payload).unwrap();
    let payload = Bytes::from(payload);
    let mut reader = Reader::new(&payload);
    assert_eq!(
        decode_response_correlation(api, version, &mut reader).unwrap(),
        correlation
    );
    Response::decode(api, version, &mut reader).unwrap()
}

fn produce(topic: &str, partition: i32, acks: i16, batch: &BatchSpec) -> Request {
    let records = MemoryRecords {
        head: BatchHead::EMPTY,
        body: batch.encode(),
    };
    let partition = PartitionProduceData {
        index: partition,
        records: Some(records),
    };
    let topics = vec![TopicProduceData {
        name: topic.into(),
        partitions: vec![partition],
    }];
    Request::Produce(ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: 1000,
        topics,
    })
}

/// Whether the peer has closed.
fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_))
}

#[test]
fn a_record_produced_over_a_socket_is_read_back_whole() {
    let cluster = TestCluster::builder()
        .nodes(2)
        .topic("t", 2)
        .start()
        .unwrap();
    let mut stream = connect(&cluster, 1);
    let record = Plain {
        timestamp_delta: 5,
        key: Some(b"key".to_vec()),
        value: None,
        headers: vec![("h".into(), Some(b"1".to_vec())), ("h".into(), None)],
    };
    let batch = BatchSpec {
        records: vec![record],
        ..BatchSpec::sequenced(4, 1, 0, 0)
    };
    send(&mut stream, &produce("t", 1, -1, &batch), 9, 3);
    let Response::Produce(answer) = receive(&mut stream, ApiKey::Produce, 9, 3) else {
        panic!()
    };
    assert_eq!(answer.topics[0].partitions[0].base_offset, 0);
    let headers = Headers::from(vec![Header::new("h", "1"), Header::null("h")]);
    let expected = StoredRecord {
        offset: 0,
        timestamp: 1005,
        key: Some(b"key".to_vec()),
        value: None,
        headers,
        producer: Some(crate::testing::ProducerStamp {
            id: 4,
            epoch: 1,
            sequence: 0,
        }),
    };
    assert_eq!(cluster.records("t", 1), [expected]);
    assert!(cluster.records("t", 0).is_empty());
    assert_eq!(cluster.summary("t", 1).unwrap().next_offset, 1);
    assert_eq!(
        (
            cluster.record_count("t"),
            cluster.request_count(Api::Produce)
        ),
        (1, 1)
    );
}

#[test]
fn pipelined_requests_get_responses_in_their_order() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let mut stream = connect(&cluster, 0);
    let batch = BatchSpec::of(vec![Plain::value("v")]);
    // The last request is acknowledged; when its response arrives, all earlier requests have been applied.
    for i in 0..101 {
        let acks = i16::from(i % 3 != 0);
        send(&mut stream, &produce("t", 0, acks, &batch), 7, i);
    }
    for i in (0..101).filter(|i| i % 3 != 0) {
        let Response::Produce(answer) = receive(&mut stream, ApiKey::Produce, 7, i) else {
            panic!()
        };
        assert_eq!(answer.topics[0].partitions[0].base_offset, i64::from(i));
    }
    assert_eq!(cluster.record_count("t"), 101);
}

#[test]
fn metadata_reports_the_listener_ports() {
    let cluster = TestCluster::builder().nodes(3).start().unwrap();
    cluster.create_topic("t", &TopicOptions::new(3)).unwrap();
    let mut stream = connect(&cluster, 2);
    let request = MetadataRequest {
        topics: Some(vec!["t".into()]),
        allow_auto_topic_creation: true,
    };
    send(&mut stream, &Request::Metadata(request), 11, 1);
    let Response::Metadata(answer) = receive(&mut stream, ApiKey::Metadata, 11, 1) else {
        panic!()
    };
    let addresses: Vec<_> = answer
        .brokers
        .iter()
        .map(|b| format!("{}:{}", b.host, b.port))
        .collect();
    assert_eq!(addresses.join(","), cluster.bootstrap_servers());
    assert_eq!(answer.topics[0].partitions[2].leader_id, 2);
    assert_eq!(cluster.leader("t", 2), Some(2));
}

#[test]
fn a_stopped_node_refuses_connections_until_it_is_started_on_the_same_port() {
    let cluster = TestCluster::builder()
        .nodes(2)
        .topic("t", 2)
        .start()
        .unwrap();
    let mut before = connect(&cluster, 1);
    let port = cluster.port(1).unwrap();
    assert!(cluster.stop_node(1));
    assert!(!cluster.stop_node(1));
    assert!(is_closed(&mut before));
    assert!(TcpStream::connect((HOST, port)).is_err());
    assert_eq!(cluster.leader("t", 1), None);
    cluster.start_node(1).unwrap();
    cluster.start_node(1).unwrap();
    let mut after = connect(&cluster, 1);
    send(
        &mut after,
        &produce("t", 1, 1, &BatchSpec::sequenced(1, 0, 0, 1)),
        9,
        1,
    );
    receive(&mut after, ApiKey::Produce, 9, 1);
    assert_eq!(cluster.records("t", 1).len(), 1);
    assert!(cluster.start_node(9).is_err());
}

#[test]
fn connections_are_counted_and_can_be_ended() {
    let cluster = TestCluster::builder().start().unwrap();
    let mut streams = [connect(&cluster, 0), connect(&cluster, 0)];
    for stream in &mut streams {
        send(
            stream,
            &Request::ApiVersions(ApiVersionsRequest::ours()),
            3,
            1,
        );
        receive(stream, ApiKey::ApiVersions, 3, 1);
    }
    assert_eq!(
        (cluster.connections_accepted(), cluster.open_connections(0)),
        (2, 2)
    );
    cluster.disconnect_clients(0);
    assert!(streams.iter_mut().all(is_closed));
    connect(&cluster, 0);
    assert_eq!(cluster.request_count(Api::ApiVersions), 2);
    assert_eq!(cluster.request_count(Api::Metadata), 0);
}

#[test]
fn dropping_the_cluster_closes_every_connection() {
    let cluster = TestCluster::builder().nodes(2).start().unwrap();
    let mut streams = [connect(&cluster, 0), connect(&cluster, 1)];
    let port = cluster.port(0).unwrap();
    drop(cluster);
    assert!(streams.iter_mut().all(is_closed));
    assert!(TcpStream::connect((HOST, port)).is_err());
}

#[test]
fn an_invalid_frame_ends_only_its_own_connection() {
    let cluster = TestCluster::builder().start().unwrap();
    let (mut bad, mut good) = (connect(&cluster, 0), connect(&cluster, 0));
    bad.write_all(&[0, 0, 0, 3, 9, 9, 9]).unwrap();
    assert!(is_closed(&mut bad));
    send(
        &mut good,
        &Request::ApiVersions(ApiVersionsRequest::ours()),
        0,
        1,
    );
    receive(&mut good, ApiKey::ApiVersions, 0, 1);
}

#[test]
fn a_cluster_that_cannot_be_built_is_an_error_with_the_reason() {
    let error = TestCluster::builder()
        .topic("not/legal", 1)
        .start()
        .unwrap_err();
    assert!(error.to_string().contains("not/legal"));
    let cluster = TestCluster::builder().topic("t", 2).start().unwrap();
    assert!(cluster.create_topic("t", &TopicOptions::new(1)).is_err());
    assert!(cluster.add_partitions("t", 1).is_err());
    assert!(cluster.delete_topic("none").is_err());
    assert!(cluster.move_leader("t", 0, 7).is_err());
    assert!(cluster.move_leader("t", 7, 0).is_err());
    cluster.add_partitions("t", 3).unwrap();
    assert_eq!(cluster.summary("t", 2), Some(LogSummary::default()));
    cluster.delete_topic("t").unwrap();
    assert_eq!(cluster.summary("t", 0), None);
    assert!(cluster.batches("t", 0).is_empty());
}

fn metadata_of(cluster: &TestCluster, topic: &str) -> (Option<String>, [u8; 16]) {
    let mut stream = connect(cluster, 0);
    let request = MetadataRequest {
        topics: Some(vec![topic.into()]),
        allow_auto_topic_creation: false,
    };
    send(&mut stream, &Request::Metadata(request), 11, 1);
    let Response::Metadata(answer) = receive(&mut stream, ApiKey::Metadata, 11, 1) else {
        panic!()
    };
    let cluster_id = answer.cluster_id.map(|id| id.to_string());
    (cluster_id, answer.topics[0].topic_id)
}

#[test]
fn clusters_have_unique_or_given_ids() {
    let builder = TestCluster::builder().topic("t", 1);
    let clusters = [
        builder.clone().start().unwrap(),
        builder.clone().start().unwrap(),
        builder.cluster_id("mine").start().unwrap(),
    ];
    let told = clusters.each_ref().map(|cluster| metadata_of(cluster, "t"));
    for (cluster, (id, _)) in clusters.iter().zip(&told) {
        assert_eq!(id.as_deref(), Some(cluster.cluster_id()));
    }
    let [(first, t), (second, t2), (third, t3)] = told;
    assert_ne!(first, second);
    assert!(first.unwrap().starts_with("test-cluster-"));
    assert_eq!(third.as_deref(), Some("mine"));
    assert!(t != t2 && t2 != t3 && t3 != t);
}

#[cfg(unix)]
mod descriptors;
mod faults;
mod transactions;
