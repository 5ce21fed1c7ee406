//! Tests of the world as producers see it: bytes over its pollers.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use bytes::Bytes;

use super::*;
use crate::network::poller::{Poller, Stream};
use crate::protocol::{
    ApiKey, BatchHead, MemoryRecords, MetadataRequest, MetadataResponse, PartitionProduceData,
    ProduceRequest, Reader, Request, Response, TopicProduceData, decode_response_correlation,
};
use crate::record::batch::fixture::{BatchSpec, Plain};
use crate::testing::sim::journal::BrokerEvent;
use crate::testing::sim::network::{SimPoller, SimStream};
use crate::testing::{Api, Rule};

const QUIET: NetworkOptions = NetworkOptions {
    connect_us: 0,
    latency_us: 1000,
    capacity: 64 * 1024,
    splits: false,
    short_read_drains: true,
    spurious_percent: 0,
    at_once_percent: 0,
};

const THREE_NODES: BrokersOptions = BrokersOptions {
    nodes: 3,
    release: KafkaRelease::V3_0,
    replication: 2,
    auto_create_topics: false,
    by_name: true,
    first_epoch: 0,
    verify_transactions: false,
    sasl: None,
    #[cfg(feature = "tls-no-provider")]
    tls: None,
};

const METADATA_VERSION: i16 = 9;
const PRODUCE_VERSION: i16 = 8;

/// A client of all nodes that waits for each response.
struct Client {
    world: World,
    poller: SimPoller,
    correlation_id: i32,
}

/// How a request was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    Unreachable,
    NoConnection,
    Ended,
    NoAnswer,
}

impl Client {
    fn new(world: &World) -> Self {
        Self {
            world: world.clone(),
            poller: world.network().stepped_poller(),
            correlation_id: 0,
        }
    }

    /// Advances time step by step, with all events.
    fn pass(&mut self, ms: u64) {
        pass(&self.world, ms);
        self.poller.wait(Duration::ZERO, |_, _| {}).unwrap();
    }

    fn connect(&mut self, to: SocketAddr) -> Result<SimStream, Lost> {
        let opened = self.poller.open(0, to);
        let (mut stream, _) = opened.map_err(|_| Lost::Unreachable)?;
        self.pass(10);
        match stream.finish_connect() {
            Ok(true) => Ok(stream),
            Ok(false) => Err(Lost::NoConnection),
            Err(_) => Err(Lost::Unreachable),
        }
    }

    fn write(&mut self, stream: &mut SimStream, request: &Request, version: i16) {
        self.correlation_id += 1;
        let frame = request.encode(version, self.correlation_id, Some("test"));
        let frame = frame.unwrap().chunks().concat();
        let written = stream.write_vectored(&[IoSlice::new(&frame)]).unwrap();
        assert_eq!(written, frame.len());
    }

    fn read(&self, stream: &mut SimStream, api: ApiKey, version: i16) -> Result<Response, Lost> {
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        match stream.read(&mut buffer) {
            Ok(received) if received.len == 0 => return Err(Lost::Ended),
            Ok(received) => bytes.extend_from_slice(&buffer[..received.len]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(Lost::NoAnswer),
            Err(_) => return Err(Lost::Ended),
        }
        let payload = Bytes::from(bytes).slice(4..);
        let mut reader = Reader::new(&payload);
        let id = decode_response_correlation(api, version, &mut reader).unwrap();
        assert_eq!(id, self.correlation_id);
        Ok(Response::decode(api, version, &mut reader).unwrap())
    }

    fn ask_on(
        &mut self,
        stream: &mut SimStream,
        request: &Request,
        version: i16,
    ) -> Result<Response, Lost> {
        self.write(stream, request, version);
        self.pass(10);
        self.read(stream, request.api_key(), version)
    }

    fn ask(&mut self, to: SocketAddr, request: &Request, version: i16) -> Result<Response, Lost> {
        let mut stream = self.connect(to)?;
        self.ask_on(&mut stream, request, version)
    }

    fn metadata(&mut self, to: SocketAddr) -> Result<MetadataResponse, Lost> {
        match self.ask(to, &metadata(), METADATA_VERSION)? {
            Response::Metadata(response) => Ok(response),
            other => panic!("{other:?}"),
        }
    }

    fn produce(&mut self, to: SocketAddr, topic: &str, number: u64) -> Result<&'static str, Lost> {
        match self.ask(to, &produce(topic, number), PRODUCE_VERSION)? {
            Response::Produce(response) => Ok(response.topics[0].partitions[0].error.name()),
            other => panic!("{other:?}"),
        }
    }
}

fn metadata() -> Request {
    Request::Metadata(MetadataRequest {
        topics: None,
        allow_auto_topic_creation: false,
    })
}

fn produce(topic: &str, number: u64) -> Request {
    let body = BatchSpec::of(vec![Plain::value(number.to_be_bytes())]).encode();
    Request::Produce(ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 1000,
        topics: vec![TopicProduceData {
            name: topic.into(),
            partitions: vec![PartitionProduceData {
                index: 0,
                records: Some(MemoryRecords {
                    head: BatchHead::EMPTY,
                    body,
                }),
            }],
        }],
    })
}

fn pass(world: &World, ms: u64) {
    let end = world.elapsed() + Duration::from_millis(ms);
    world.do_what_is_due();
    while let Some(next) = world.next_event().filter(|next| *next <= end) {
        world.advance_to(next);
        world.do_what_is_due();
    }
    world.advance_to(end);
}

fn at(node: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, node + 1], PORT))
}

/// A topic with one partition, led by node 0 and replicated to node 1.
fn world() -> (World, Client) {
    let world = World::new(&QUIET, &THREE_NODES, 1);
    assert!(world.create_topic("t", 1, false, None));
    let client = Client::new(&world);
    (world, client)
}

fn appended(world: &World) -> Vec<u64> {
    let news = world.take_news().into_iter();
    let records = news.filter_map(|news| match news.what {
        BrokerEvent::Appended { records, .. } => Some(records),
        _ => None,
    });
    records.flatten().collect()
}

#[test]
fn broker_events_have_time_and_node() {
    let (world, mut client) = world();
    assert_eq!(client.produce(at(0), "t", 5), Ok("NONE"));
    assert_eq!(client.produce(at(1), "t", 6), Ok("NOT_LEADER_OR_FOLLOWER"));
    let news = world.take_news();
    assert_eq!(news.len(), 3, "{news:?}");
    assert!(news.iter().all(|news| news.at > Duration::ZERO));
    let BrokerEvent::Appended {
        topic,
        incarnation: 1,
        partition: 0,
        base_offset: 0,
        records,
        producer: None,
        ..
    } = &news[0].what
    else {
        panic!("{news:?}")
    };
    assert_eq!((&**topic, &records[..]), ("t", &[5][..]));
    let fate = |news: &BrokerNews| match &news.what {
        BrokerEvent::Request { api, fate, .. } => (*api, fate.to_string()),
        other => panic!("{other:?}"),
    };
    assert_eq!(fate(&news[1]), ("Produce", "NONE".to_owned()));
    let refused = "NOT_LEADER_OR_FOLLOWER".to_owned();
    assert_eq!(fate(&news[2]), ("Produce", refused));
    assert_eq!((news[1].node, news[2].node), (Some(0), Some(1)));
    assert!(world.take_news().is_empty());
    let topics = world.topics();
    assert_eq!(topics[0].partitions[0].next_offset, 1);
    assert_eq!(topics[0].partitions[0].leader, Some(0));
}

#[test]
fn the_same_seed_causes_the_same_broker_events() {
    let run = |seed: u64| {
        let network = NetworkOptions {
            splits: true,
            spurious_percent: 10,
            at_once_percent: 30,
            capacity: 200,
            connect_us: 5000,
            ..QUIET
        };
        let world = World::new(&network, &THREE_NODES, seed);
        world.create_topic("t", 1, false, None);
        world.create_topic("u", 5, true, Some(5000));
        let mut pollers = [0, 1].map(|_| world.network().stepped_poller());
        let mut streams = Vec::new();
        for poller in &mut pollers {
            streams.push(poller.open(0, at(0)).unwrap().0);
        }
        for round in 0..300 {
            pass(&world, 3);
            for (poller, stream) in pollers.iter_mut().zip(&mut streams) {
                poller.wait(Duration::ZERO, |_, _| {}).unwrap();
                let frame = produce("t", round).encode(PRODUCE_VERSION, 1, None);
                // A request that is cut off ends the connection, which is an event as well.
                let frame = frame.unwrap().chunks().concat();
                let _ = stream.write_vectored(&[IoSlice::new(&frame)]);
                let _ = stream.read(&mut [0; 1000]);
            }
        }
        world.truncate("t", 0, 1);
        world.rebuild();
        world.heal();
        (world.take_news(), world.topics(), world.elapsed())
    };
    assert!(run(1).0.len() > 5);
    for seed in 1..20 {
        assert_eq!(run(seed), run(seed), "{seed}");
    }
    assert!((2..20).any(|seed| run(seed) != run(1)));
}

#[test]
fn a_node_is_reachable_after_refusing_and_after_a_black_hole() {
    let (world, mut client) = world();
    world.refuse(0);
    assert!(client.metadata(at(0)).is_err());
    assert!(
        client.metadata(at(1)).is_ok(),
        "the others are not concerned"
    );
    world.accept(0);
    assert!(client.metadata(at(0)).is_ok());
    world.black_hole(0);
    assert_eq!(client.metadata(at(0)), Err(Lost::NoConnection));
    world.end_black_hole(0);
    assert!(client.metadata(at(0)).is_ok());
}

#[test]
fn a_request_held_back_by_silence_is_applied_even_if_its_client_is_gone() {
    for (up, down, before) in [
        (true, false, vec![]),
        (false, true, vec![5]),
        (true, true, vec![]),
    ] {
        let (world, mut client) = world();
        let mut stream = client.connect(at(0)).unwrap();
        world.silence(0, up, down);
        client.write(&mut stream, &produce("t", 5), PRODUCE_VERSION);
        client.pass(100_000);
        let answer = client.read(&mut stream, ApiKey::Produce, PRODUCE_VERSION);
        assert_eq!(answer.err(), Some(Lost::NoAnswer));
        assert_eq!(appended(&world), before);
        drop(stream);
        client.pass(1000);
        assert!(
            client.metadata(at(0)).is_ok(),
            "new connections are not silent"
        );
        assert_eq!(appended(&world), [0_u64; 0]);
        world.speak(0);
        client.pass(1000);
        let after = if before.is_empty() { vec![5] } else { vec![] };
        assert_eq!(appended(&world), after);
    }
}

#[test]
fn added_latency_delays_requests_until_it_is_removed() {
    let (world, mut client) = world();
    let mut stream = client.connect(at(0)).unwrap();
    world.slow_down(0, 500);
    let slow = client.ask_on(&mut stream, &metadata(), METADATA_VERSION);
    assert_eq!(slow, Err(Lost::NoAnswer));
    client.pass(989);
    let answer = client.read(&mut stream, ApiKey::Metadata, METADATA_VERSION);
    assert!(answer.is_err(), "there and back");
    client.pass(10);
    assert!(
        client
            .read(&mut stream, ApiKey::Metadata, METADATA_VERSION)
            .is_ok()
    );
    world.slow_down(0, 0);
    assert!(
        client
            .ask_on(&mut stream, &metadata(), METADATA_VERSION)
            .is_ok()
    );
}

#[test]
fn connections_end_when_they_are_cut_and_when_their_node_goes_down() {
    let (world, mut client) = world();
    let mut stream = client.connect(at(0)).unwrap();
    world.cut(0);
    client.pass(10);
    assert!(
        client
            .read(&mut stream, ApiKey::Metadata, METADATA_VERSION)
            .is_err()
    );
    let mut stream = client.connect(at(0)).unwrap();
    world.take_down(0);
    client.pass(10);
    let end = client.read(&mut stream, ApiKey::Metadata, METADATA_VERSION);
    assert_eq!(end, Err(Lost::Ended));
    assert!(client.metadata(at(0)).is_err());
    assert_eq!(world.topics()[0].partitions[0].leader, Some(1));
    assert_eq!(client.produce(at(1), "t", 1), Ok("NONE"));
    world.bring_up(0);
    assert!(client.metadata(at(0)).is_ok());
}

#[test]
fn a_node_that_goes_down_loses_its_unprocessed_requests() {
    let (world, mut client) = world();
    world.hang(0);
    let mut stream = client.connect(at(0)).unwrap();
    client.write(&mut stream, &produce("t", 5), PRODUCE_VERSION);
    client.pass(10);
    world.take_down(0);
    world.bring_up(0);
    world.resume(0);
    world.move_leader("t", 0, 0);
    client.pass(1000);
    assert_eq!(appended(&world), [0_u64; 0]);
}

#[test]
fn a_hung_node_answers_when_it_is_resumed() {
    let (world, mut client) = world();
    let mut stream = client.connect(at(0)).unwrap();
    world.hang(0);
    let hung = client.ask_on(&mut stream, &produce("t", 5), PRODUCE_VERSION);
    assert_eq!(hung, Err(Lost::NoAnswer));
    assert_eq!(appended(&world), [0_u64; 0]);
    world.resume(0);
    client.pass(10);
    assert!(
        client
            .read(&mut stream, ApiKey::Produce, PRODUCE_VERSION)
            .is_ok()
    );
    assert_eq!(appended(&world), [5]);
}

#[test]
fn stale_metadata_describes_the_former_cluster() {
    let (world, mut client) = world();
    let stale = world.tell_stale_metadata(1).unwrap();
    world.move_leader("t", 0, 2);
    let leader = |told: MetadataResponse| told.topics[0].partitions[0].leader_id;
    assert_eq!(client.metadata(at(1)).map(leader), Ok(0));
    assert_eq!(client.metadata(at(2)).map(leader), Ok(2));
    world.unscript(stale);
    assert_eq!(client.metadata(at(1)).map(leader), Ok(2));
}

#[test]
fn moved_brokers_are_reachable_by_the_bootstrap_name_and_after_coming_back_at_old_addresses() {
    for by_name in [false, true] {
        let brokers = BrokersOptions {
            by_name,
            ..THREE_NODES
        };
        let world = World::new(&QUIET, &brokers, 1);
        let mut client = Client::new(&world);
        let names = world.names().names;
        let before = client.metadata(at(0)).unwrap();
        world.move_brokers();
        for node in 0..3 {
            assert!(client.metadata(at(node)).is_err(), "{node} is not there");
        }
        let found = names.addresses(BOOTSTRAP_NAME, PORT).unwrap();
        assert_eq!(found.len(), 3);
        let after = client.metadata(found[0]).unwrap();
        for (old, new) in before.brokers.iter().zip(&after.brokers) {
            assert_ne!(old.host, new.host);
            let port = new.port as u16;
            let there = names.addresses(&new.host, port).unwrap()[0];
            assert!(client.metadata(there).is_ok());
        }
        world.heal();
        for host in [&before.brokers[2].host, &after.brokers[2].host] {
            let there = names.addresses(host, PORT).unwrap()[0];
            assert_eq!(client.metadata(there).unwrap().brokers, after.brokers);
        }
        let bootstrap = world.bootstrap_servers();
        let expected = if by_name {
            "kafka.sim:9092"
        } else {
            "10.0.0.1:9092,10.0.0.2:9092,10.0.0.3:9092"
        };
        assert_eq!(bootstrap, expected);
    }
}

#[test]
fn look_ups_fail_or_return_wrong_addresses_until_the_fault_ends() {
    let (world, mut client) = world();
    let names = world.names().names;
    let mut reached = || {
        let found = names.addresses("broker-1.sim", PORT).unwrap_or_default();
        let found = found.into_iter();
        found
            .map(|there| client.metadata(there).is_ok())
            .collect::<Vec<_>>()
    };
    assert_eq!(reached(), [true]);
    world.names_fail(true);
    assert_eq!(reached(), [false; 0]);
    world.names_fail(false);
    world.resolve_names_wrongly(true);
    assert_eq!(reached(), [false, false]);
    world.resolve_names_wrongly(false);
    assert_eq!(reached(), [false, false, true]);
    world.resolve_names_correctly();
    assert_eq!(reached(), [true]);
}

#[test]
fn topics_are_deleted_recreated_and_grown() {
    let (world, _) = world();
    let picture = |world: &World| {
        let topics = world.topics().into_iter();
        topics
            .map(|topic| (topic.incarnation, topic.partitions.len()))
            .collect::<Vec<_>>()
    };
    world.grow_topic("t", 4);
    world.grow_topic("t", 2);
    assert_eq!(picture(&world), [(1, 4)]);
    world.recreate_topic("t", 2);
    assert_eq!(picture(&world), [(2, 2)]);
    world.recreate_topic("t", 3);
    assert_eq!(picture(&world), [(3, 3)]);
    world.delete_topic("t");
    assert_eq!(picture(&world), []);
    world.restore_topic("t");
    assert_eq!(picture(&world), [(4, 3)]);
    world.restore_topic("t");
    world.recreate_topic("none", 3);
    world.delete_topic("none");
    assert_eq!(picture(&world), [(4, 3)]);
    let gone = world
        .take_news()
        .into_iter()
        .filter_map(|news| match news.what {
            BrokerEvent::TopicGone { incarnation, .. } => Some((news.node, incarnation)),
            _ => None,
        });
    assert_eq!(gone.collect::<Vec<_>>(), [(None, 1), (None, 2), (None, 3)]);
}

#[test]
fn faults_of_missing_things_do_nothing() {
    let (world, mut client) = world();
    for node in [-1, 3, 300] {
        world.slow_down(node, 10);
        world.cut(node);
        world.silence(node, true, true);
        world.speak(node);
        world.refuse(node);
        world.black_hole(node);
        world.take_down(node);
        world.bring_up(node);
        world.hang(node);
        world.resume(node);
        world.move_leader("t", 0, node);
        assert_eq!(world.tell_stale_metadata(node), None);
    }
    for (topic, partition) in [("none", 0), ("t", 7), ("t", -1)] {
        world.truncate(topic, partition, 1);
        world.forget_producers(topic, partition);
        world.lose_leader(topic, partition);
        world.elect_leader(topic, partition);
        world.move_leader(topic, partition, 1);
    }
    world.lower_limit("none", 1);
    world.grow_topic("none", 1);
    assert!(!world.create_topic("t", 1, false, None));
    assert!(!world.create_topic("not/legal", 1, false, None));
    assert!(!world.create_topic("none", 0, false, None));
    assert_eq!(client.produce(at(0), "t", 5), Ok("NONE"));
}

#[test]
fn the_lowest_limit_in_force_applies_even_after_the_topic_is_recreated() {
    let (world, _) = world();
    let limit = || {
        let topic = world
            .carrier
            .with(|cluster| cluster.topic("t").map(|it| it.settings));
        topic.unwrap().max_message_bytes
    };
    let own = limit();
    for (lowered, expected) in [(300, 300), (200, 200), (400, 200)] {
        world.lower_limit("t", lowered);
        assert_eq!(limit(), expected);
    }
    world.lift_limit("t", 200);
    assert_eq!(limit(), 300);
    world.lift_limit("t", 300);
    assert_eq!(limit(), 400);
    world.delete_topic("t");
    world.lower_limit("t", 350);
    world.restore_topic("t");
    assert_eq!(limit(), 350);
    world.delete_topic("t");
    world.lift_limit("t", 350);
    world.lift_limit("t", 400);
    world.restore_topic("t");
    assert_eq!(limit(), own);
}

#[test]
fn after_healing_every_topic_accepts_records_at_its_leader() {
    let (world, mut client) = world();
    world.lower_limit("t", 1);
    world.lower_limit("t", 2);
    world.lose_leader("t", 0);
    world.epochs_go_back(true);
    world.names_fail(true);
    world.resolve_names_wrongly(true);
    world.rebuild();
    world.move_brokers();
    world.move_brokers();
    assert!(world.create_topic("u", 1, false, None));
    world.delete_topic("u");
    world.script(Rule::on_any().close()).unwrap();
    for node in 0..3 {
        world.hang(node);
        world.refuse(node);
        world.black_hole(node);
        world.slow_down(node, 5000);
        world.take_down(node);
    }
    client.pass(1000);
    world.heal();
    let names = world.names().names;
    assert_eq!(world.topics().len(), 2);
    for topic in ["t", "u"] {
        let told = client.metadata(at(2)).unwrap();
        let about = told.topics.iter().find(|it| &*it.name == topic).unwrap();
        let leader = about.partitions[0].leader_id;
        let broker = told.brokers.iter().find(|it| it.node_id == leader).unwrap();
        let there = names.addresses(&broker.host, PORT).unwrap();
        assert_eq!(client.produce(there[0], topic, 5), Ok("NONE"));
    }
}

#[test]
fn healing_raises_epochs_where_topics_have_no_ids() {
    for (release, raised) in [(KafkaRelease::V2_4, true), (KafkaRelease::V3_0, false)] {
        let brokers = BrokersOptions {
            release,
            ..THREE_NODES
        };
        let world = World::new(&QUIET, &brokers, 1);
        world.create_topic("t", 1, false, None);
        let mut client = Client::new(&world);
        let mut epoch = || {
            let told = client.metadata(at(0)).unwrap();
            told.topics[0].partitions[0].leader_epoch
        };
        let before = epoch();
        world.rebuild();
        assert!(epoch() < before);
        world.heal();
        assert_eq!(epoch() > before, raised);
    }
}

#[test]
fn rules_without_possible_effect_are_refused() {
    let (world, mut client) = world();
    assert_eq!(world.script(Rule::on(Api::Produce).node(9).close()), None);
    let rule = Rule::on(Api::InitProducerId).topic("t").close();
    assert_eq!(world.script(rule), None);
    let rule = world.script(Rule::on(Api::Metadata).node(0).close());
    assert_eq!(client.metadata(at(0)), Err(Lost::Ended));
    world.unscript(rule.unwrap());
    assert!(client.metadata(at(0)).is_ok());
}

#[test]
fn shifting_the_wall_clock_does_not_advance_time() {
    let (world, _) = world();
    let (now, wall) = (world.elapsed(), world.clock().timestamp());
    world.jump_wall_clock(-5000);
    let jumped = world.clock().timestamp().as_millis() - wall.as_millis();
    assert_eq!((world.elapsed(), jumped), (now, -5000));
}
