//! The world of a scenario before the first fault.

use std::time::Duration;

#[cfg(feature = "tls")]
use crate::certificates;
#[cfg(feature = "tls")]
use crate::scenario::Fault;
use kafka_producer::internals::simulation::{BrokersOptions, NetworkOptions, SaslOptions, World};
use kafka_producer::testing::KafkaRelease;
use kafka_producer::{OAuthBearerToken, ProducerConfigBuilder, SecurityProtocol, TokenProvider};

use crate::scenario::{Brokers, Network, Scenario};

/// Builds the world with the topics that exist from the start.
///
/// # Panics
/// If the scenario's release is unknown.
pub(crate) fn world_of(scenario: &Scenario) -> World {
    let network = network(&scenario.network);
    #[allow(unused_mut, reason = "without TLS")]
    let mut brokers = brokers(&scenario.brokers);
    #[cfg(feature = "tls")]
    if let Some(tls) = &scenario.brokers.tls {
        let moves = scenario.faults.iter();
        let moves = moves.filter(|timed| matches!(timed.fault, Fault::MoveBrokers));
        let moves = u8::try_from(moves.count()).unwrap_or(u8::MAX);
        brokers.tls = Some(certificates::brokers(&scenario.brokers, tls, moves));
    }
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

/// The SASL user of all producers.
const USER: &str = "alice";
const PASSWORD: &str = "s3cret";
const TOKEN: &str = "t0ken";
/// Lifetime of an OAuth token, short enough that some are refreshed during a run.
const TOKEN_VALID_FOR: Duration = Duration::from_secs(4);

/// Adds the security settings of a producer for these brokers.
pub(crate) fn login(config: ProducerConfigBuilder, brokers: &Brokers) -> ProducerConfigBuilder {
    let protocol = match (&brokers.tls, &brokers.sasl) {
        (None, None) => return config,
        (None, Some(_)) => SecurityProtocol::SaslPlaintext,
        (Some(_), None) => SecurityProtocol::Ssl,
        (Some(_), Some(_)) => SecurityProtocol::SaslSsl,
    };
    let config = config.security_protocol(protocol);
    let config = trust(config, brokers);
    let Some(sasl) = &brokers.sasl else {
        return config;
    };
    match &*sasl.mechanism {
        "SCRAM-SHA-256" => config.sasl_scram_sha_256(USER, PASSWORD),
        "SCRAM-SHA-512" => config.sasl_scram_sha_512(USER, PASSWORD),
        OAUTHBEARER => config.set("sasl.mechanism", OAUTHBEARER),
        _ => config.sasl_plain(USER, PASSWORD),
    }
}

const OAUTHBEARER: &str = "OAUTHBEARER";

/// The token provider of the producers, if their mechanism needs one.
pub(crate) fn tokens(brokers: &Brokers) -> Option<impl TokenProvider + use<>> {
    let sasl = brokers.sasl.as_ref();
    let has_tokens = sasl.is_some_and(|sasl| sasl.mechanism == OAUTHBEARER);
    has_tokens.then_some(|| Ok(OAuthBearerToken::new(TOKEN, TOKEN_VALID_FOR)))
}

/// Adds the TLS versions, the trusted certificates and, if brokers require one, the client's certificate.
#[cfg(feature = "tls")]
fn trust(config: ProducerConfigBuilder, brokers: &Brokers) -> ProducerConfigBuilder {
    let Some(tls) = &brokers.tls else {
        return config;
    };
    let config = config
        .set("ssl.enabled.protocols", &tls.protocols)
        .set("ssl.truststore.type", "PEM")
        .set("ssl.truststore.certificates", certificates::trusted());
    if !tls.client_certificates {
        return config;
    }
    let (chain, key) = certificates::client();
    config
        .set("ssl.keystore.type", "PEM")
        .set("ssl.keystore.certificate.chain", chain)
        .set("ssl.keystore.key", key)
}

#[cfg(not(feature = "tls"))]
fn trust(config: ProducerConfigBuilder, _: &Brokers) -> ProducerConfigBuilder {
    config
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
        verify_transactions: brokers.verify_transactions,
        sasl: brokers.sasl.as_ref().map(|sasl| SaslOptions {
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
            token: TOKEN.to_owned(),
            session: sasl.session_ms.map(Duration::from_millis),
        }),
        // Set by `world_of`, which knows the whole scenario.
        #[cfg(feature = "tls-no-provider")]
        tls: None,
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
