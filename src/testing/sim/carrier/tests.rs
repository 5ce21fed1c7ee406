use std::io::{self, IoSlice};
use std::net::SocketAddr;

use super::*;
use crate::clock::Timestamp;
use crate::network::poller::{Poller, Stream};
use crate::protocol::{
    ApiVersionsRequest, BatchHead, MemoryRecords, PartitionProduceData, ProduceRequest, Request,
    TopicProduceData,
};
use crate::record::batch::fixture::{BatchSpec, Plain};
use crate::testing::KafkaRelease;
use crate::testing::script::{Api, Rule};
use crate::testing::sim::log::{Depth, TopicSettings};
use crate::testing::sim::network::{NetworkProfile, SimNetwork, SimPoller, SimStream};
use crate::testing::sim::{SimNode, SimOptions};

const NODE: NodeId = 0;

fn address() -> SocketAddr {
    "10.0.0.1:9092".parse().unwrap()
}

/// One broker with a topic, and a client.
struct Rig {
    carrier: Carrier,
    network: SimNetwork,
    clock: Arc<MockClock>,
    poller: SimPoller,
    /// Bytes of incomplete responses.
    received: Vec<u8>,
}

/// A network without latency.
fn at_once() -> NetworkProfile {
    NetworkProfile {
        connect_us: 0..=0,
        latency_us: 0..=0,
        capacity: 64 * 1024,
        splits: false,
        short_read_drains: true,
        spurious_percent: 0,
        at_once_percent: 100,
    }
}

impl Rig {
    fn new(profile: NetworkProfile) -> Self {
        let options = SimOptions {
            cluster_id: "c".into(),
            release: KafkaRelease::default(),
            auto_create_topics: false,
            default_partitions: 1,
            replication_factor: 1,
            settings: TopicSettings::DEFAULT,
            depth: Depth {
                retain: true,
                validate_records: true,
            },
        };
        let mut cluster = SimCluster::new(options, [(NODE, SimNode::new("h", 9092))].into());
        cluster
            .create_topic("t", 1, TopicSettings::DEFAULT)
            .unwrap();
        let clock = Arc::new(MockClock::new());
        let network = SimNetwork::new(Arc::clone(&clock), profile, 1);
        let carrier = Carrier::new(cluster, Arc::clone(&clock));
        network.listen(address(), carrier.accept(NODE));
        let poller = network.poller();
        Self {
            carrier,
            network,
            clock,
            poller,
            received: Vec::new(),
        }
    }

    fn connect(&mut self) -> SimStream {
        self.poller.open(0, address()).unwrap().0
    }

    fn script(&self, rule: Rule) {
        self.carrier.with(|cluster| cluster.script().add(rule));
    }

    fn written(&self) -> u64 {
        self.carrier
            .with(|cluster| cluster.partition("t", 0).unwrap().log.size().records)
    }

    /// Advances time step by step, with all events.
    fn pass(&mut self, ms: u64) {
        let end = self.clock.now() + Duration::from_millis(ms);
        while self.clock.now() < end {
            let left = end - self.clock.now();
            self.poller.wait(left, |_, _| {}).unwrap();
        }
        self.network.do_what_is_due();
    }

    /// Writes all bytes, as buffer space becomes free.
    fn write(&mut self, stream: &mut SimStream, bytes: &[u8]) {
        let mut rest = bytes;
        for _ in 0..10_000 {
            if rest.is_empty() {
                return;
            }
            match stream.write_vectored(&[IoSlice::new(rest)]) {
                Ok(count) => rest = &rest[count..],
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    self.pass(1);
                }
            }
        }
        panic!("there is no room");
    }

    /// Received responses by correlation id, and whether the connection has ended.
    fn answers(&mut self, stream: &mut SimStream) -> (Vec<i32>, bool) {
        self.network.do_what_is_due();
        let mut buffer = [0; 4096];
        let ended = loop {
            match stream.read(&mut buffer) {
                Ok(received) if received.len == 0 => break true,
                Ok(received) => self.received.extend_from_slice(&buffer[..received.len]),
                Err(error) => break error.kind() != io::ErrorKind::WouldBlock,
            }
        };
        let (mut ids, mut rest) = (Vec::new(), &self.received[..]);
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let Some(frame) = behind.get(..length) else {
                break;
            };
            ids.push(i32::from_be_bytes(frame[..4].try_into().unwrap()));
            rest = &behind[length..];
        }
        self.received = rest.to_vec();
        (ids, ended)
    }
}

fn frame(request: &Request, version: i16, id: i32) -> Vec<u8> {
    let frame = request.encode(version, id, Some("test")).unwrap();
    frame.chunks().concat()
}

fn produce(acks: i16, id: i32) -> Vec<u8> {
    let body = BatchSpec::of(vec![Plain::value("a"), Plain::value("b")]).encode();
    let request = Request::Produce(ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: 1000,
        topics: vec![TopicProduceData {
            name: "t".into(),
            partitions: vec![PartitionProduceData {
                index: 0,
                records: Some(MemoryRecords {
                    head: BatchHead::EMPTY,
                    body,
                }),
            }],
        }],
    });
    frame(&request, 8, id)
}

fn versions(id: i32) -> Vec<u8> {
    let request = ApiVersionsRequest {
        client_software_name: "test".into(),
        client_software_version: "1".into(),
    };
    frame(&Request::ApiVersions(request), 0, id)
}

#[test]
fn requests_are_answered_in_order_however_they_are_split() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut rig = Rig::new(NetworkProfile::of_seed(&mut random));
        let mut stream = rig.connect();
        rig.pass(1000);
        let all = [produce(-1, 1), versions(2), produce(0, 3), produce(1, 4)].concat();
        rig.write(&mut stream, &all);
        let mut ids = Vec::new();
        for _ in 0..1000 {
            rig.pass(300);
            ids.extend(rig.answers(&mut stream).0);
        }
        assert_eq!((rig.written(), ids), (6, vec![1, 2, 4]), "{seed}");
    }
}

#[test]
fn a_request_after_a_delayed_response_is_processed_after_it() {
    let mut rig = Rig::new(at_once());
    let mut stream = rig.connect();
    rig.script(Rule::on_any().times(2).delay(Duration::from_millis(50)));
    let all = [produce(-1, 1), produce(0, 2), produce(-1, 3)].concat();
    rig.write(&mut stream, &all);
    assert_eq!(rig.answers(&mut stream), (vec![], false));
    assert_eq!(rig.written(), 2);
    rig.pass(49);
    assert_eq!(rig.answers(&mut stream), (vec![], false));
    assert_eq!(rig.written(), 2);
    rig.pass(1);
    assert_eq!(rig.answers(&mut stream), (vec![1], false));
    assert_eq!(
        rig.written(),
        4,
        "the second waits for nothing but its turn"
    );
    rig.pass(50);
    assert_eq!(rig.answers(&mut stream), (vec![3], false));
    assert_eq!(rig.written(), 6);
}

#[test]
fn a_request_after_a_throttled_one_waits_for_the_throttle_time() {
    let mut rig = Rig::new(at_once());
    let mut stream = rig.connect();
    rig.script(Rule::on_any().times(1).throttle(Duration::from_millis(50)));
    rig.write(&mut stream, &[produce(-1, 1), produce(-1, 2)].concat());
    assert_eq!(rig.answers(&mut stream), (vec![1], false));
    rig.pass(49);
    assert_eq!(rig.written(), 2);
    assert_eq!(rig.answers(&mut stream), (vec![], false));
    rig.pass(1);
    assert_eq!(rig.answers(&mut stream), (vec![2], false));
    assert_eq!(rig.written(), 4);
}

#[test]
fn each_answer_of_the_model_has_its_effect_on_the_connection() {
    let rule = || Rule::on(Api::Produce).times(1);
    for (rule, records, ended, more) in [
        (rule().close(), 0, true, vec![]),
        (rule().close().after_applying(), 2, true, vec![]),
        (rule().cut_answer(6, AndThen::Close), 2, true, vec![]),
        (rule().never_answer(), 0, false, vec![]),
        (rule().cut_answer(6, AndThen::Silence), 2, false, vec![]),
        (rule(), 2, false, vec![1, 2]),
    ] {
        let mut rig = Rig::new(at_once());
        let mut stream = rig.connect();
        rig.script(rule);
        rig.write(&mut stream, &[produce(-1, 1), versions(2)].concat());
        assert_eq!(rig.answers(&mut stream), (more, ended));
        assert_eq!(rig.written(), records);
        rig.pass(10_000);
        assert_eq!(rig.answers(&mut stream), (vec![], ended));
    }
}

#[test]
fn a_resumed_node_processes_the_requests_received_meanwhile() {
    let mut rig = Rig::new(at_once());
    let mut stream = rig.connect();
    rig.carrier.with(|cluster| cluster.hang(NODE));
    rig.write(&mut stream, &[produce(-1, 1), produce(-1, 2)].concat());
    rig.pass(1000);
    rig.network.call_peers(address());
    assert_eq!(
        rig.answers(&mut stream),
        (vec![], false),
        "the broker must still hang"
    );
    assert_eq!(rig.written(), 0);
    rig.carrier.with(|cluster| cluster.resume(NODE));
    rig.network.call_peers(address());
    assert_eq!(rig.answers(&mut stream), (vec![1, 2], false));
    assert_eq!(rig.written(), 4);
}

#[test]
fn a_resumed_node_applies_the_requests_of_a_client_that_is_gone() {
    // A reset loses the received requests except the first one, which the node has already begun to handle.
    for (is_cut, records) in [(false, 4), (true, 2)] {
        let mut rig = Rig::new(at_once());
        let mut stream = rig.connect();
        rig.carrier.with(|cluster| cluster.hang(NODE));
        rig.write(&mut stream, &[produce(-1, 1), produce(-1, 2)].concat());
        rig.pass(1);
        if is_cut {
            rig.network.cut(address());
            rig.pass(1);
        }
        drop(stream);
        rig.pass(1000);
        assert_eq!(rig.written(), 0);
        rig.carrier.with(|cluster| cluster.resume(NODE));
        rig.network.call_peers(address());
        rig.pass(1);
        assert_eq!(rig.written(), records, "{is_cut}");
        rig.network.call_peers(address());
        rig.pass(1);
        assert_eq!(rig.written(), records, "once");
    }
}

#[test]
fn clients_of_a_hung_node_can_only_fill_the_connection_buffer() {
    let mut rig = Rig::new(NetworkProfile {
        capacity: 1000,
        ..at_once()
    });
    let mut stream = rig.connect();
    rig.carrier.with(|cluster| cluster.hang(NODE));
    rig.write(&mut stream, &produce(-1, 1));
    rig.pass(1);
    let mut taken = 0;
    loop {
        let request = produce(-1, 2);
        match stream.write_vectored(&[IoSlice::new(&request)]) {
            Ok(count) => taken += count,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                break;
            }
        }
        rig.pass(1);
    }
    assert_eq!(taken, 1000);
    rig.carrier.with(|cluster| cluster.resume(NODE));
    rig.network.call_peers(address());
    rig.pass(1);
    let event = rig.answers(&mut stream);
    assert!(event.0.len() > 2, "{event:?}");
    assert!(stream.write_vectored(&[IoSlice::new(b"x")]).is_ok());
}

#[test]
fn invalid_bytes_end_the_connection() {
    for bytes in [&[0xff; 4][..], &[0x7f, 0, 0, 0], &[0, 0, 0, 2, 1, 1]] {
        let mut rig = Rig::new(at_once());
        let mut stream = rig.connect();
        rig.write(&mut stream, bytes);
        assert_eq!(rig.answers(&mut stream), (vec![], true));
    }
}

#[test]
fn records_get_the_time_of_the_simulated_clock() {
    let mut rig = Rig::new(at_once());
    let settings = TopicSettings {
        log_append_time: true,
        ..TopicSettings::DEFAULT
    };
    rig.carrier.with(|cluster| {
        cluster.delete_topic("t").unwrap();
        cluster.create_topic("t", 1, settings).unwrap();
    });
    let mut stream = rig.connect();
    rig.pass(7000);
    rig.clock.jump_wall(-2000);
    let now: Timestamp = rig.clock.timestamp();
    rig.write(&mut stream, &produce(-1, 1));
    assert_eq!(rig.answers(&mut stream), (vec![1], false));
    let batches = rig.carrier.with(|cluster| {
        let log = &cluster.partition("t", 0).unwrap().log;
        log.batches().to_vec()
    });
    let time = batches[0].records().next().unwrap().timestamp();
    assert_eq!(time, now.as_millis());
}

/// Measures the time of a request: `cargo test --release --lib a_request_takes -- --nocapture`.
#[test]
#[allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it measures"
)]
fn a_request_takes_few_events() {
    const REQUESTS: u32 = 10_000;
    for splits in [false, true] {
        let mut rig = Rig::new(NetworkProfile {
            latency_us: 100..=400,
            splits,
            ..at_once()
        });
        let mut stream = rig.connect();
        let request = produce(-1, 1);
        let (start, events) = (std::time::Instant::now(), rig.network.events_decided());
        for _ in 0..REQUESTS {
            rig.write(&mut stream, &request);
            while rig.answers(&mut stream).0.is_empty() {
                rig.poller.wait(Duration::from_secs(1), |_, _| {}).unwrap();
            }
        }
        let with_network = start.elapsed() / REQUESTS;
        let events = (rig.network.events_decided() - events) / u64::from(REQUESTS);
        assert_eq!(rig.written(), 2 * u64::from(REQUESTS));
        assert!(events <= if splits { 7 } else { 2 }, "{events}");
        let frame = Bytes::from(request).slice(LENGTH_BYTES..);
        let start = std::time::Instant::now();
        for _ in 0..REQUESTS {
            let plan = rig.carrier.handle(&mut SaslSession::new(), NODE, &frame);
            assert!(matches!(plan.answer, Answer::Reply(_)));
        }
        let broker = start.elapsed() / REQUESTS;
        println!(
            "splits {splits}: {with_network:?} a request, the broker's part {broker:?}; {events} events"
        );
    }
}
