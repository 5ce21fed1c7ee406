//! X.509 certificates for a scenario's brokers and clients, issued when they are needed.
//!
//! All keys are Ed25519: its signatures are deterministic and have a fixed length.

use std::sync::Arc;

use kafka_producer::internals::simulation::{TlsOptions, World};
use kafka_producer::testing::TestTls;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    PKCS_ED25519, PublicKeyData, SignatureAlgorithm, SigningKey, date_time_ymd,
};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::scenario::{Brokers, Tls};

/// Test keys without any secrecy.
const AUTHORITY: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIOWkbzJecQqcNylMIuohsYa71SsSeeSF4VoxWN0xFr5T
-----END PRIVATE KEY-----";
const STRANGER: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEICsn+y0Mf1V2xk11b8Iqs9JTJk+1kNKTbJ1pLFGT0vkv
-----END PRIVATE KEY-----";
const BROKER: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIBlY8cfMcNkY+bc3xoGiE18RAWJyDTJw9TiQBuVQl0lG
-----END PRIVATE KEY-----";
const CLIENT: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEICReXlWY0DPI5fEWJ6wnIG0MNeyCWDLXYqQKeXylmTmx
-----END PRIVATE KEY-----";

/// Validity of a certificate: from the beginning of the first year to the beginning of the second. The simulated clock
/// begins in 2021.
pub(crate) type Years = (i32, i32);

const VALID: Years = (1990, 2090);
const OVER: Years = (1990, 2010);

/// TLS options of a scenario's brokers. The right certificate is valid for all addresses that the brokers have in up to
/// `moves` address changes.
pub(crate) fn brokers(brokers: &Brokers, tls: &Tls, moves: u8) -> TlsOptions {
    let hosts = World::hosts(i32::from(brokers.nodes), brokers.by_name, moves);
    let (authority, stranger) = (authority(AUTHORITY), authority(STRANGER));
    let listener = |chain: String| {
        let listener = TestTls::new(chain, BROKER);
        if tls.client_certificates {
            listener.require_client_certificate(authority.pem())
        } else {
            listener
        }
    };
    let elsewhere = ["elsewhere.sim".to_owned()];
    TlsOptions {
        right: listener(issue(&authority, BROKER, &hosts, VALID)),
        expired: listener(issue(&authority, BROKER, &hosts, OVER)),
        other_name: listener(issue(&authority, BROKER, &elsewhere, VALID)),
        other_authority: listener(issue(&stranger, BROKER, &hosts, VALID)),
    }
}

/// The trusted authority, as PEM.
pub(crate) fn trusted() -> String {
    authority(AUTHORITY).pem()
}

/// The client's certificate and key, as PEM.
pub(crate) fn client() -> (String, &'static str) {
    let names = ["client.sim".to_owned()];
    let chain = issue(&authority(AUTHORITY), CLIENT, &names, VALID);
    (chain, CLIENT)
}

/// The subject of a certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Party {
    Broker,
    Client,
}

/// A certificate that the trusted authority issued, and the private key of the certificate, as PEM.
pub(crate) fn issued(party: Party, names: &[String], years: Years) -> (String, &'static str) {
    let key = match party {
        Party::Broker => BROKER,
        Party::Client => CLIENT,
    };
    (issue(&authority(AUTHORITY), key, names, years), key)
}

/// A private key in the form that rcgen needs.
struct Key {
    key: Arc<dyn rustls::sign::SigningKey>,
    public: Vec<u8>,
}

impl Key {
    fn new(pem: &str) -> Self {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let key = rustls::crypto::ring::default_provider()
            .key_provider
            .load_private_key(der)
            .unwrap();
        // The last 32 bytes of the DER encoding are the public key.
        let public_key = key.public_key().unwrap();
        let public = public_key[public_key.len() - 32..].to_vec();
        Self { key, public }
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signer = self.key.choose_scheme(&[SignatureScheme::ED25519]);
        Ok(signer.unwrap().sign(message).unwrap())
    }
}

fn authority(key: &str) -> CertifiedIssuer<'static, Key> {
    let mut params = params("authority", &[], VALID);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.extended_key_usages.clear();
    CertifiedIssuer::self_signed(params, Key::new(key)).unwrap()
}

fn issue(
    authority: &CertifiedIssuer<'static, Key>,
    key: &str,
    names: &[String],
    years: Years,
) -> String {
    let certificate = params("member", names, years).signed_by(&Key::new(key), authority);
    certificate.unwrap().pem()
}

fn params(name: &str, names: &[String], (from, to): Years) -> CertificateParams {
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    params.serial_number = Some(7u64.into());
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{self, fault};
    use crate::draw::{self, Wishes};
    use crate::events::{Event, EventKind, Outcome};
    use crate::run::checked;
    use crate::scenario::{
        Burst, Fault, How, InsteadOfTls, Op, Scenario, Thread, TimedFault, WrongCertificate,
    };
    use crate::trace::TraceHash;

    /// A scenario with two producers, each of which sends one record before the healing and one after it.
    fn scenario(protocols: &str, faults: &[TimedFault]) -> Scenario {
        let keys = [("max.block.ms", "2000"), ("delivery.timeout.ms", "5000")];
        let keys = [keys[0], keys[1], ("request.timeout.ms", "1000")];
        let mut scenario = story::scenario(&keys, faults);
        scenario.heal_at_ms = 500;
        scenario.brokers.tls = Some(Tls {
            protocols: protocols.to_owned(),
            client_certificates: true,
        });
        let send = Op::Send(Burst {
            topic: "t".to_owned(),
            partition: Some(0),
            keys: 0,
            headers: 0,
            stamped: false,
            count: 1,
            size: 100,
            how: How::Send,
            callback: None,
            pause_us: 0,
        });
        let ops = vec![
            send.clone(),
            Op::Flush { timeout_ms: None },
            Op::Sleep { ms: 1_000 },
            send,
            Op::Flush { timeout_ms: None },
        ];
        for producer in &mut scenario.producers {
            producer.threads = vec![Thread { ops: ops.clone() }];
        }
        scenario
    }

    /// The events of a run without violations.
    fn events_of(scenario: &Scenario) -> Vec<Event> {
        let mut events = Vec::new();
        let report = checked(scenario, &mut |event| events.push(event.clone()));
        assert_eq!(report.violations, [""; 0]);
        events
    }

    fn on_all_nodes(fault_of: impl Fn(i32) -> Fault) -> Vec<TimedFault> {
        (0..3).map(|node| fault(fault_of(node))).collect()
    }

    /// The failures of records (kind and text), and the number of acknowledged records.
    fn outcomes(events: &[Event]) -> (Vec<(String, String)>, usize) {
        let mut failures = Vec::new();
        let mut acknowledged = 0;
        for event in events {
            match &event.kind {
                EventKind::FutureReported { outcome, .. } => match outcome {
                    Outcome::Failed(failure) => {
                        failures.push((failure.kind.clone(), failure.text.clone()));
                    }
                    Outcome::Acknowledged { .. } => acknowledged += 1,
                },
                EventKind::RecordRefused { kind, text, .. } => {
                    failures.push((kind.clone(), text.clone()));
                }
                _ => {}
            }
        }
        (failures, acknowledged)
    }

    #[test]
    fn the_configured_tls_versions_are_negotiated_and_sessions_resumed() {
        for (protocols, newest) in [
            ("TLSv1.2", false),
            ("TLSv1.3", true),
            ("TLSv1.2,TLSv1.3", true),
        ] {
            let cuts: Vec<_> = on_all_nodes(|node| Fault::Cut { node });
            let cuts = cuts.into_iter().map(|cut| TimedFault { at_ms: 400, ..cut });
            let events = events_of(&scenario(protocols, &cuts.collect::<Vec<_>>()));
            let mut handshakes = 0;
            let mut resumed = 0;
            for event in &events {
                if let EventKind::Handshake {
                    is_newest,
                    is_resumed,
                    has_certificate,
                    is_trusted,
                } = event.kind
                {
                    assert_eq!(
                        (is_newest, has_certificate, is_trusted),
                        (newest, true, true)
                    );
                    handshakes += 1;
                    resumed += u32::from(is_resumed);
                }
            }
            assert!(
                handshakes > resumed && resumed > 0,
                "{handshakes}, {resumed}"
            );
            assert_eq!(outcomes(&events).0, []);
        }
    }

    #[test]
    fn an_invalid_certificate_is_reported_at_once_and_with_a_valid_one_records_arrive() {
        for (wrong, words) in [
            (WrongCertificate::Expired, "has expired"),
            (WrongCertificate::OtherName, "is not valid for 10.0.0."),
            (
                WrongCertificate::OtherAuthority,
                "is not signed by an authority",
            ),
        ] {
            for protocols in ["TLSv1.2", "TLSv1.3"] {
                let faults = on_all_nodes(|node| Fault::WrongCertificate { node, wrong });
                let (failures, acknowledged) = outcomes(&events_of(&scenario(protocols, &faults)));
                assert!(!failures.is_empty());
                for (kind, text) in failures {
                    assert_eq!(kind, "Authentication", "{text}");
                    assert!(text.contains(words), "{text}");
                }
                assert!(acknowledged >= 2, "{acknowledged}");
            }
        }
    }

    #[test]
    fn a_peer_without_tls_is_reported_and_later_records_arrive() {
        for (instead, kind, words) in [
            (InsteadOfTls::Plain, None, ""),
            (InsteadOfTls::Web, Some("Authentication"), "plain HTTP"),
            (
                InsteadOfTls::Noise,
                Some("Authentication"),
                "did not respond with TLS",
            ),
        ] {
            let faults = on_all_nodes(|node| Fault::NoTls { node, instead });
            let (failures, acknowledged) = outcomes(&events_of(&scenario("TLSv1.3", &faults)));
            // A peer that closes the connection may be a restarting broker, so the producer retries.
            assert_eq!(failures.is_empty(), kind.is_none(), "{failures:?}");
            for (failed, text) in failures {
                assert_eq!(Some(&*failed), kind, "{text}");
                assert!(text.contains(words), "{text}");
            }
            assert!(acknowledged >= 2, "{acknowledged}");
        }
    }

    #[test]
    fn interrupted_tls_handshakes_are_retried() {
        for turn in [0, 1] {
            for permille in [0, 1, 300, 999, 1000] {
                for resets in [false, true] {
                    let faults = on_all_nodes(|node| Fault::CutHandshake {
                        node,
                        turn,
                        permille,
                        resets,
                    });
                    for protocols in ["TLSv1.2", "TLSv1.3"] {
                        let events = events_of(&scenario(protocols, &faults));
                        assert_eq!(outcomes(&events).0, [], "{turn} {permille}");
                    }
                }
            }
        }
    }

    /// The keys and random numbers of TLS differ between runs, so a trace may depend only on lengths, which do not
    /// differ.
    #[test]
    fn a_run_with_tls_has_the_same_trace_hash_each_time() {
        // Each run has a thread of its own, since producers cache topics in thread-locals.
        let hash_of = |seed| {
            let mut hash = TraceHash::new();
            let scenario = draw::scenario_with(
                seed,
                Wishes {
                    tls: true,
                    ..Wishes::default()
                },
            );
            checked(&scenario, &mut |event| hash.see(event));
            hash.value()
        };
        let hash = |seed| {
            let run = std::thread::spawn(move || hash_of(seed));
            run.join().expect("the run ends")
        };
        for seed in 1..20 {
            assert_eq!(hash(seed), hash(seed), "seed {seed}");
        }
    }
}
