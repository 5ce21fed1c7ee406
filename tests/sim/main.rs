//! A whole producer in a simulated world.

#![allow(dead_code, reason = "what a run consists of is not run here yet")]
#![allow(
    clippy::doc_markdown,
    clippy::enum_variant_names,
    reason = "scenarios speak of brokers as their releases and requests are named"
)]
#![allow(clippy::print_stdout, reason = "it is its own runner")]

mod events;
mod faults;
mod scenario;
mod surroundings;

use std::time::Duration;

use kafka_producer::internals::simulation::World;
use scenario::{Api, Brokers, Fault, Moment, Network, Scenario, Topic};

fn main() {
    every_fault_begins_and_ends();
    println!("sim: every fault begins and ends: ok");
}

fn scenario() -> Scenario {
    let topic = |name: &str, partitions| Topic {
        name: name.to_owned(),
        partitions,
        log_append_time: false,
        max_message_bytes: None,
    };
    Scenario {
        seed: 1,
        network: Network {
            connect_us: 100,
            latency_us: 100,
            capacity: 1000,
            splits: true,
            short_read_drains: true,
            spurious_percent: 10,
            at_once_percent: 10,
        },
        brokers: Brokers {
            nodes: 3,
            release: "V3_0".to_owned(),
            replication: 2,
            auto_create_topics: false,
            by_name: true,
        },
        topics: vec![topic("a", 3), topic("b", 1), topic("none", 0)],
        producers: Vec::new(),
        logger: scenario::Behaviour::default(),
        faults: Vec::new(),
        heal_at_ms: 1000,
    }
}

fn all_faults() -> Vec<Fault> {
    let topic = || "a".to_owned();
    let error = |request, topic, partition| Fault::Error {
        request,
        topic,
        partition,
        code: 6,
        times: Some(2),
        after_applying: true,
    };
    let lose = |moment, closes| Fault::Lose {
        request: Api::Produce,
        moment,
        times: None,
        closes,
    };
    vec![
        Fault::Slow { node: 0, ms: 100 },
        Fault::Cut { node: 1 },
        Fault::Silence {
            node: 0,
            up: true,
            down: false,
        },
        Fault::Refuse { node: 2 },
        Fault::BlackHole { node: 1 },
        Fault::Down { node: 0 },
        Fault::Hang { node: 2 },
        Fault::MoveLeader {
            topic: topic(),
            partition: 1,
            to: 2,
        },
        Fault::StaleMetadata { node: 1 },
        Fault::EpochsGoBack,
        Fault::Rebuild,
        Fault::MoveBrokers,
        Fault::DeleteTopic {
            topic: "b".to_owned(),
        },
        Fault::RecreateTopic {
            topic: topic(),
            partitions: 2,
        },
        Fault::GrowTopic {
            topic: topic(),
            to: 5,
        },
        Fault::Truncate {
            topic: topic(),
            partition: 0,
            records: 5,
        },
        Fault::ForgetProducers {
            topic: topic(),
            partition: 0,
        },
        Fault::LowerLimit {
            topic: topic(),
            bytes: 100,
        },
        error(Api::Produce, Some(topic()), Some(0)),
        error(Api::Metadata, Some(topic()), None),
        error(Api::InitProducerId, Some(topic()), None),
        lose(Moment::BeforeRequest, true),
        lose(Moment::AfterApplied, false),
        lose(Moment::WithinAnswer { bytes: 3 }, true),
        Fault::Late {
            request: None,
            ms: 50,
        },
        Fault::Throttle {
            request: Some(Api::Produce),
            ms: 50,
        },
        Fault::Versions {
            node: 0,
            request: Api::Produce,
            up_to: Some(3),
        },
        Fault::Versions {
            node: 1,
            request: Api::InitProducerId,
            up_to: None,
        },
        Fault::NamesFail,
        Fault::WrongAddresses { instead: true },
        Fault::WallClock { by_ms: -5000 },
    ]
}

fn pass(world: &World, ms: u64) {
    let end = world.elapsed() + Duration::from_millis(ms);
    while let Some(next) = world.next_event().filter(|next| *next <= end) {
        world.advance_to(next);
        world.do_what_is_due();
    }
    world.advance_to(end);
}

fn every_fault_begins_and_ends() {
    let world = surroundings::world_of(&scenario());
    assert_eq!(world.topics().len(), 2);
    let ongoing: Vec<_> = all_faults()
        .iter()
        .map(|fault| faults::begin(fault, &world))
        .collect();
    pass(&world, 100);
    assert_eq!(world.topics().len(), 1);
    for fault in ongoing.iter().rev() {
        faults::end(fault, &world);
        pass(&world, 10);
    }
    let topics = world.topics();
    let sizes: Vec<_> = topics.iter().map(|it| it.partitions.len()).collect();
    assert_eq!(sizes, [5, 1]);
    let partitions = || world.topics().into_iter().flat_map(|it| it.partitions);
    assert!(partitions().all(|partition| partition.leader.is_some()));
    for fault in all_faults() {
        faults::begin(&fault, &world);
    }
    world.heal();
    assert!(partitions().all(|partition| partition.leader.is_some()));
    assert_eq!(world.topics().len(), 2);
}
