//! The world of a scenario, before anything goes wrong.

use std::time::Duration;

use kafka_producer::internals::simulation::{BrokersOptions, NetworkOptions, SaslOptions, World};
use kafka_producer::testing::KafkaRelease;
use kafka_producer::{ProducerConfigBuilder, SecurityProtocol};

use crate::scenario::{Brokers, Network, Scenario};

/// With the topics that are there from the start.
///
/// # Panics
/// If the scenario names no release.
pub(crate) fn world_of(scenario: &Scenario) -> World {
    let (network, brokers) = (network(&scenario.network), brokers(&scenario.brokers));
    let world = World::new(&network, &brokers, scenario.seed);
    for topic in &scenario.topics {
        if topic.partitions > 0 {
            let (times, limit) = (topic.log_append_time, topic.max_message_bytes);
            world.create_topic(&topic.name, topic.partitions, times, limit);
        }
    }
    world
}

fn network(network: &Network) -> NetworkOptions {
    let Network {
        connect_us,
        latency_us,
        capacity,
        splits,
        short_read_drains,
        spurious_percent,
        at_once_percent,
    } = *network;
    NetworkOptions {
        connect_us,
        latency_us,
        capacity,
        splits,
        short_read_drains,
        spurious_percent,
        at_once_percent,
    }
}

/// Who all producers are, where brokers ask.
const USER: &str = "alice";
const PASSWORD: &str = "s3cret";

/// A configuration of a producer for these brokers.
pub(crate) fn login(config: ProducerConfigBuilder, brokers: &Brokers) -> ProducerConfigBuilder {
    let Some(sasl) = &brokers.sasl else {
        return config;
    };
    let config = config.security_protocol(SecurityProtocol::SaslPlaintext);
    match &*sasl.mechanism {
        "SCRAM-SHA-256" => config.sasl_scram_sha_256(USER, PASSWORD),
        "SCRAM-SHA-512" => config.sasl_scram_sha_512(USER, PASSWORD),
        _ => config.sasl_plain(USER, PASSWORD),
    }
}

fn brokers(brokers: &Brokers) -> BrokersOptions {
    let release = release(&brokers.release);
    BrokersOptions {
        nodes: i32::from(brokers.nodes),
        release: release.unwrap_or_else(|| panic!("{:?} is no release", brokers.release)),
        replication: usize::from(brokers.replication),
        auto_create_topics: brokers.auto_create_topics,
        by_name: brokers.by_name,
        first_epoch: brokers.first_epoch,
        sasl: brokers.sasl.as_ref().map(|sasl| SaslOptions {
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
            session: sasl.session_ms.map(Duration::from_millis),
        }),
    }
}

/// The releases that brokers can imitate, oldest first.
pub(crate) const RELEASES: [KafkaRelease; 8] = [
    KafkaRelease::V0_10_0,
    KafkaRelease::V0_10_2,
    KafkaRelease::V0_11,
    KafkaRelease::V1_1,
    KafkaRelease::V2_0,
    KafkaRelease::V2_1,
    KafkaRelease::V2_4,
    KafkaRelease::V3_0,
];

fn release(name: &str) -> Option<KafkaRelease> {
    let mut releases = RELEASES.into_iter();
    releases.find(|release| format!("{release:?}") == name)
}
