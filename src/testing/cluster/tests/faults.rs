//! Faults on real connections.

use std::io::ErrorKind;
use std::time::Duration;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::error::ErrorCode;
use crate::testing::{AndThen, Api, Rule};

/// Timeout of a wait for something that must happen.
const LONG: Duration = Duration::from_secs(20);
/// A delay longer than any test.
const FOREVER: Duration = Duration::from_secs(3600);

fn cluster(nodes: usize) -> TestCluster {
    TestCluster::builder()
        .nodes(nodes)
        .topic("t", 1)
        .start()
        .unwrap()
}

fn one_record() -> Request {
    produce("t", 0, -1, &BatchSpec::of(vec![Plain::value("v")]))
}

fn versions() -> Request {
    Request::ApiVersions(ApiVersionsRequest::ours())
}

fn ask_versions(stream: &mut TcpStream, correlation: i32) {
    send(stream, &versions(), 3, correlation);
    receive(stream, ApiKey::ApiVersions, 3, correlation);
}

/// True if no bytes arrive within 50 ms. A test cannot prove that no bytes arrive later.
fn is_silent(stream: &mut TcpStream) -> bool {
    stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let read = stream.read(&mut [0; 1]);
    stream.set_read_timeout(None).unwrap();
    read.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[test]
fn a_delayed_response_delays_its_own_connection_only_and_ends_with_its_node() {
    let cluster = cluster(1);
    let slow = cluster
        .script(Rule::on(Api::Produce).delay(FOREVER))
        .unwrap();
    let (mut delayed, mut other) = (connect(&cluster, 0), connect(&cluster, 0));
    send(&mut delayed, &one_record(), 9, 1);
    send(&mut delayed, &versions(), 3, 2);
    slow.wait_fired(1, LONG).unwrap();
    assert_eq!(cluster.record_count("t"), 1);
    ask_versions(&mut other, 1);
    assert!(is_silent(&mut delayed));
    cluster.stop_node(0);
    assert!(is_closed(&mut delayed));
}

#[test]
fn delayed_responses_keep_the_order_of_their_requests() {
    let cluster = cluster(1);
    let delay = Duration::from_millis(60);
    cluster
        .script(Rule::on(Api::Produce).times(1).delay(delay))
        .unwrap();
    let mut stream = connect(&cluster, 0);
    let clock = SystemClock::new();
    let began = clock.now();
    send(&mut stream, &one_record(), 9, 1);
    send(&mut stream, &versions(), 3, 2);
    receive(&mut stream, ApiKey::Produce, 9, 1);
    assert!(clock.now() - began >= delay);
    receive(&mut stream, ApiKey::ApiVersions, 3, 2);
}

#[test]
fn disconnect_clients_closes_a_connection_with_a_delayed_response() {
    let cluster = cluster(1);
    let slow = cluster.script(Rule::on_any().delay(FOREVER)).unwrap();
    let mut stream = connect(&cluster, 0);
    send(&mut stream, &versions(), 3, 1);
    slow.wait_fired(1, LONG).unwrap();
    cluster.disconnect_clients(0);
    assert!(is_closed(&mut stream));
    // The node keeps running.
    slow.remove();
    ask_versions(&mut connect(&cluster, 0), 1);
}

#[test]
fn a_cut_response_has_the_requested_number_of_bytes() {
    let cluster = cluster(1);
    let on = || Rule::on(Api::Produce).times(1);
    for rule in [
        on().cut_answer(11, AndThen::Close),
        on().cut_answer(11, AndThen::Silence),
    ] {
        cluster.script(rule).unwrap();
    }
    let mut closed = connect(&cluster, 0);
    send(&mut closed, &one_record(), 9, 1);
    let mut bytes = Vec::new();
    closed.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), 11);
    let length = i32::from_be_bytes(bytes[..4].try_into().unwrap());
    assert!(length > 7, "the frame begins with its length");
    assert_eq!(bytes[4..8], 1_i32.to_be_bytes());

    let mut silent = connect(&cluster, 0);
    send(&mut silent, &one_record(), 9, 1);
    silent.read_exact(&mut [0; 11]).unwrap();
    send(&mut silent, &versions(), 3, 2);
    assert!(is_silent(&mut silent));
    assert_eq!(cluster.record_count("t"), 2);
    assert_eq!(cluster.request_count(Api::ApiVersions), 0);
}

#[test]
fn a_stalled_connection_accepts_bytes_and_never_responds() {
    let cluster = cluster(1);
    let rule = Rule::on(Api::ApiVersions).times(1).never_answer();
    let ignored = cluster.script(rule).unwrap();
    let mut stream = connect(&cluster, 0);
    send(&mut stream, &versions(), 3, 1);
    ignored.wait_fired(1, LONG).unwrap();
    // More bytes than the socket buffers hold: the write returns only if the node reads.
    stream.write_all(&vec![0; 32 * 1024 * 1024]).unwrap();
    assert!(is_silent(&mut stream));
    ask_versions(&mut connect(&cluster, 0), 1);
}

#[test]
fn a_hung_node_accepts_connections_and_responds_when_it_is_resumed() {
    let cluster = cluster(2);
    let before = connect(&cluster, 0);
    assert!(cluster.hang_node(0) && !cluster.hang_node(0));
    let after = connect(&cluster, 0);
    let mut streams = [before, after];
    for stream in &mut streams {
        send(stream, &one_record(), 9, 1);
        send(stream, &versions(), 3, 2);
        assert!(is_silent(stream));
    }
    assert_eq!(cluster.record_count("t"), 0);
    ask_versions(&mut connect(&cluster, 1), 1);
    assert!(cluster.resume_node(0) && !cluster.resume_node(0));
    for stream in &mut streams {
        receive(stream, ApiKey::Produce, 9, 1);
        receive(stream, ApiKey::ApiVersions, 3, 2);
    }
    assert_eq!(cluster.record_count("t"), 2);
}

#[test]
fn a_hung_node_can_be_stopped_and_works_after_a_start() {
    let cluster = cluster(1);
    cluster.hang_node(0);
    let mut stream = connect(&cluster, 0);
    send(&mut stream, &versions(), 3, 1);
    assert!(cluster.stop_node(0));
    assert!(is_closed(&mut stream));
    assert!(!cluster.hang_node(0));
    cluster.start_node(0).unwrap();
    ask_versions(&mut connect(&cluster, 0), 1);
}

#[test]
fn a_wait_for_a_rule_ends_when_it_has_fired_times_out_or_is_removed() {
    let cluster = cluster(1);
    let seen = cluster.script(Rule::on(Api::ApiVersions).times(2)).unwrap();
    let mut stream = connect(&cluster, 0);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| seen.wait_fired(2, LONG));
        ask_versions(&mut stream, 1);
        ask_versions(&mut stream, 2);
        waiting.join().unwrap().unwrap();
    });
    ask_versions(&mut stream, 3);
    assert_eq!(seen.fired(), 2);
    let never = seen.wait_fired(3, LONG).unwrap_err();
    assert!(matches!(never, TestClusterError::WillNotFire(_)), "{never}");

    let other = cluster.script(Rule::on(Api::Produce)).unwrap();
    let late = other.wait_fired(1, Duration::from_millis(20)).unwrap_err();
    assert!(matches!(
        late,
        TestClusterError::NotFired {
            wanted: 1,
            fired: 0,
            ..
        }
    ));
    assert!(late.to_string().contains("Produce requests"), "{late}");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| other.wait_fired(1, FOREVER));
        assert!(other.remove() && !other.remove());
        let gone = waiting.join().unwrap().unwrap_err();
        assert!(matches!(gone, TestClusterError::WillNotFire(_)), "{gone}");
    });
    // The count stays valid after the removal.
    seen.remove();
    seen.wait_fired(2, LONG).unwrap();
}

#[test]
fn a_rule_that_can_never_match_is_refused_with_the_reason() {
    let cluster = cluster(1);
    let error = cluster.script(Rule::on_any().node(7).close()).unwrap_err();
    assert!(matches!(error, TestClusterError::NoSuchNode(7)), "{error}");
    assert!(error.to_string().contains('7'), "{error}");
    let error = cluster
        .script(Rule::on(Api::InitProducerId).topic("t").close())
        .unwrap_err();
    assert!(error.to_string().contains("InitProducerId"), "{error}");
}

#[test]
fn clearing_the_script_removes_all_faults() {
    let cluster = cluster(1);
    cluster
        .script(Rule::on(Api::Produce).fail(ErrorCode::RequestTimedOut))
        .unwrap();
    cluster.script(Rule::on_any().close()).unwrap();
    cluster.clear_script();
    let mut stream = connect(&cluster, 0);
    send(&mut stream, &one_record(), 9, 1);
    receive(&mut stream, ApiKey::Produce, 9, 1);
    assert_eq!(cluster.record_count("t"), 1);
}
