//! Every mechanism in plain text and inside each version of TLS: acknowledged records are in the log, once and in
//! order; the broker's log has the negotiated parameters, and Kafka's own client confirms which clients the listener
//! accepts.

use std::error::Error;
use std::time::Instant;

use super::negotiated::Negotiated;
use super::rig::{Mechanism, Properties, Rig, Wire, rig, with_mechanism, with_unsecured_token};
use super::table::{self, Cell};
use crate::harness::Failure;
use crate::ledger::{Ledger, Reading};
use crate::matrix::NEWEST;
use crate::producer::build;
use crate::runner::{TestResult, tests};
use crate::workload::{THREADS, send};

/// The versions of the matrix.
pub(super) const VERSIONS: [&str; 2] = ["3.0.0", NEWEST];

pub(super) const COUNT: usize = 100_000;

/// A test for each mechanism with each version, so that the tests can be distributed over the parts of `parts.rs`.
macro_rules! cells {
    ($($(#[$attribute:meta])* $name:ident = $version:expr, $mechanism:ident;)+) => {
        tests![$($(#[$attribute])* $name),+];
        $($(#[$attribute])* fn $name() -> TestResult {
            every_wire($version, Mechanism::$mechanism)
        })+
    };
}

cells! {
    kafka_3_0_0_ssl = "3.0.0", Ssl;
    kafka_3_0_0_mtls = "3.0.0", Mtls;
    kafka_3_0_0_plain = "3.0.0", Plain;
    kafka_3_0_0_scram_sha_256 = "3.0.0", Scram256;
    kafka_3_0_0_scram_sha_512 = "3.0.0", Scram512;
    kafka_3_0_0_oauthbearer = "3.0.0", OAuthBearer;
    newest_kafka_ssl = NEWEST, Ssl;
    newest_kafka_mtls = NEWEST, Mtls;
    newest_kafka_plain = NEWEST, Plain;
    newest_kafka_scram_sha_256 = NEWEST, Scram256;
    newest_kafka_scram_sha_512 = NEWEST, Scram512;
    newest_kafka_oauthbearer = NEWEST, OAuthBearer;
    #[cfg(feature = "oidc")]
    newest_kafka_oidc = NEWEST, Oidc;
}

/// Runs a mechanism with each transport. Continues after a cell that failed, so that the table is complete.
fn every_wire(version: &'static str, mechanism: Mechanism) -> TestResult {
    let rig = rig(version)?;
    let mut failures = Vec::new();
    for wire in Wire::ALL {
        if !mechanism.runs_on(wire) {
            continue;
        }
        let outcome = cell(&rig, mechanism, wire);
        let noted = match &outcome {
            Ok(negotiated) => Cell::Arrived(negotiated.to_string()),
            Err(_) => Cell::Failed,
        };
        table::note(version, mechanism, wire, noted);
        if let Err(why) = outcome {
            failures.push(format!(
                "Kafka {version}, {}, {wire:?}: {why}",
                mechanism.name()
            ));
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n").into())
    }
}

pub(super) fn cell(
    rig: &Rig,
    mechanism: Mechanism,
    wire: Wire,
) -> Result<Negotiated, Box<dyn Error>> {
    let properties = rig.properties(mechanism, wire);
    let confirmed = check_listener(rig, mechanism, wire, &properties)?;
    let topic = format!("security-{}", mechanism.listener(wire).to_lowercase());
    rig.cluster.create_topic(&topic, 3, &[])?;
    // Skip the log of earlier connections.
    let length_before = rig.cluster.broker(0).log()?.len();
    let began = Instant::now();
    let config = properties.into_iter().fold(
        kafka_producer::ProducerConfig::builder(),
        |config, (key, value)| config.set(key, value),
    );
    let producer = build(config.set("linger.ms", "5"))?;
    let ledger = Ledger::new(&topic, THREADS, COUNT / THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (producer, ledger) = (&producer, &ledger);
            scope.spawn(move || {
                for number in 0..COUNT / THREADS {
                    // The callback stores the result in the ledger.
                    drop(send(producer, ledger, thread, number, None));
                }
            });
        }
    });
    producer.flush()?;
    let took = began.elapsed();
    let tally = ledger.tally();
    if tally.acknowledged != COUNT {
        return Err(format!("not all were acknowledged: {tally:?}").into());
    }
    producer.close()?;
    let log = rig.cluster.broker(0).log()?;
    let log = log.get(length_before..).unwrap_or_default();
    let negotiated = Negotiated::of(log, &mechanism.listener(wire));
    let expected = Negotiated::expected(mechanism, wire);
    if negotiated != expected {
        let why = format!("the broker logged {negotiated:?}, not {expected:?}");
        return Err(why.into());
    }
    let mut reading = Reading::new(&ledger);
    rig.cluster.read_back(&topic, |record| {
        reading.see(&record);
    })?;
    reading.finish().assert_once_and_in_order();
    rig.cluster.delete_topic(&topic)?;
    println!(
        "    Kafka {}, {}: {COUNT} records in {took:.2?}; the broker logged: {negotiated}; {confirmed}",
        rig.cluster.version(),
        mechanism.listener(wire),
    );
    Ok(negotiated)
}

/// Confirms with Kafka's own client that the listener accepts this combination, but not the other version of TLS and
/// not another mechanism; with mTLS, it accepts no client without a certificate. The Java client here cannot request
/// tokens of an identity provider: with its unsecured token it has to be refused, but not before it is authenticated.
fn check_listener(
    rig: &Rig,
    mechanism: Mechanism,
    wire: Wire,
    properties: &Properties,
) -> Result<String, Failure> {
    let ask = |properties: &Properties| {
        let pairs: Vec<(&str, &str)> = properties
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        rig.cluster.check_connection(&pairs)
    };
    let (properties, verdict, words) = if mechanism.is_oidc() {
        let unsecured = with_unsecured_token(properties);
        let verdict = "accepted, but no unsecured token";
        (unsecured, verdict, "SaslAuthenticationException")
    } else {
        (properties.clone(), "accepted", "accepted")
    };
    let properties = &properties;
    let mut seen = Vec::new();
    let mut expect = |what: String, answer: String, words: &str| {
        if answer.contains(words) {
            seen.push(what);
            Ok(())
        } else {
            Err(Failure::new(format!(
                "Kafka's own client, {what}: {words:?} is missing in {answer:?}"
            )))
        }
    };
    if let (Some(this), Some(other)) = (
        wire.protocol(),
        Wire::ALL
            .into_iter()
            .filter(|other| *other != wire)
            .find_map(Wire::protocol),
    ) {
        let with = |version: &str| {
            let mut properties = properties.clone();
            properties.push(("ssl.enabled.protocols", version.to_owned()));
            ask(&properties)
        };
        expect(format!("{this} is {verdict}"), with(this)?, words)?;
        expect(
            format!("{other} is refused"),
            with(other)?,
            "SslAuthenticationException",
        )?;
    } else {
        expect(format!("it is {verdict}"), ask(properties)?, words)?;
    }
    if let Some(name) = mechanism.sasl() {
        let other = match mechanism {
            Mechanism::Plain => Mechanism::Scram256,
            _ => Mechanism::Plain,
        };
        let answer = ask(&with_mechanism(properties.clone(), other))?;
        let words = format!("enabled mechanisms are [{name}]");
        expect(format!("the broker responds {words:?}"), answer, &words)?;
    }
    if mechanism == Mechanism::Mtls {
        let mut without = properties.clone();
        without.retain(|(key, _)| !key.starts_with("ssl.keystore"));
        let answer = ask(&without)?;
        expect(
            "a client without a certificate is refused".to_owned(),
            answer,
            "SslAuthenticationException",
        )?;
    }
    Ok(seen.join(", "))
}
