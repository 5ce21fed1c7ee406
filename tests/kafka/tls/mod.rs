//! TLS with real brokers: what is acknowledged arrives with every version of it, and each failure names its cause
//! at once.

#[path = "../../../src/security/tls/tests/certificates.rs"]
mod certificates;
mod failures;
mod records;

use kafka_producer::ProducerConfigBuilder;

use self::certificates::{Authority, Identity};
use crate::harness::{Cluster, ClusterOptions, Result};
use crate::producer;
use crate::runner::{TestResult, tests};

tests![
    records_and_failures_of_kafka_3_0_0,
    records_and_failures_of_kafka_4_4_0,
];

fn records_and_failures_of_kafka_3_0_0() -> TestResult {
    records_and_failures("3.0.0")
}

fn records_and_failures_of_kafka_4_4_0() -> TestResult {
    records_and_failures("4.4.0")
}

/// One broker has them all: starting one takes longer than what is done with it.
fn records_and_failures(version: &str) -> TestResult {
    let rig = Rig::start(version)?;
    records::arrive(&rig)?;
    failures::name_their_cause(&rig)
}

/// A broker with a listener for each case, and whom it trusts.
struct Rig {
    cluster: Cluster,
    authority: Authority,
}

/// Listeners beside `PLAINTEXT`, and what each does differently.
const LISTENERS: [(&str, &[(&str, &str)]); 6] = [
    ("TLS12", &[("ssl.enabled.protocols", "TLSv1.2")]),
    ("TLS13", &[("ssl.enabled.protocols", "TLSv1.3")]),
    (
        "MTLS12",
        &[
            ("ssl.enabled.protocols", "TLSv1.2"),
            ("ssl.client.auth", "required"),
        ],
    ),
    (
        "MTLS13",
        &[
            ("ssl.enabled.protocols", "TLSv1.3"),
            ("ssl.client.auth", "required"),
        ],
    ),
    // These have other certificates.
    ("EXPIRED", &[]),
    ("ELSEWHERE", &[]),
];

impl Rig {
    fn start(version: &str) -> Result<Self> {
        let authority = Authority::new(0);
        let identity = authority.issue(&["127.0.0.1", "localhost"]);
        let map: Vec<String> = LISTENERS
            .iter()
            .map(|(name, _)| format!("{name}:SSL"))
            .collect();
        let map = format!("CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,{}", map.join(","));
        let mut options = ClusterOptions::default()
            .version(version)
            .config("listener.security.protocol.map", &map)
            .config("inter.broker.listener.name", "PLAINTEXT");
        for (name, configs) in LISTENERS {
            options = options.listener(name);
            let prefix = format!("listener.name.{}.", name.to_lowercase());
            let own = match name {
                "EXPIRED" => Some(authority.issue_for(&["127.0.0.1"], (2020, 2021))),
                "ELSEWHERE" => Some(authority.issue(&["elsewhere.test"])),
                _ => None,
            };
            options = with_stores(
                options,
                &prefix,
                own.as_ref().unwrap_or(&identity),
                &authority,
            );
            for (key, value) in configs {
                options = options.config(&format!("{prefix}{key}"), value);
            }
        }
        Ok(Self {
            cluster: Cluster::start(options)?,
            authority,
        })
    }

    /// The address of a listener.
    fn servers(&self, listener: &str) -> String {
        let servers = self.cluster.bootstrap_servers_of(listener);
        servers.expect("the listener was asked for")
    }

    /// What a client needs that trusts the brokers' authority.
    fn config(&self, listener: &str) -> ProducerConfigBuilder {
        trusting(&self.servers(listener), &self.authority)
    }
}

fn with_stores(
    options: ClusterOptions,
    prefix: &str,
    identity: &Identity,
    trusted: &Authority,
) -> ClusterOptions {
    options
        .config(&format!("{prefix}ssl.keystore.type"), "PEM")
        .config(
            &format!("{prefix}ssl.keystore.certificate.chain"),
            &identity.chain,
        )
        .config(&format!("{prefix}ssl.keystore.key"), identity.key)
        .config(&format!("{prefix}ssl.truststore.type"), "PEM")
        .config(
            &format!("{prefix}ssl.truststore.certificates"),
            &trusted.pem(),
        )
}

/// A client's configuration that trusts an authority.
fn trusting(servers: &str, authority: &Authority) -> ProducerConfigBuilder {
    producer::config(servers)
        .set("security.protocol", "SSL")
        .set("ssl.truststore.type", "PEM")
        .set("ssl.truststore.certificates", authority.pem())
}

/// The same for a client that has a certificate.
fn with_certificate(config: ProducerConfigBuilder, identity: &Identity) -> ProducerConfigBuilder {
    config
        .set("ssl.keystore.type", "PEM")
        .set("ssl.keystore.key", identity.key)
        .set("ssl.keystore.certificate.chain", identity.chain.clone())
}
