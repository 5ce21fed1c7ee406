//! Handshakes: the peers that are accepted, and the errors for rejected peers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::ServerConnection;
use rustls::{HandshakeKind, ProtocolVersion};

use super::certificates::{Authority, Identity, self_signed};
use super::server::{ONLY_12, ONLY_13, Server};
use super::{client_at, client_of, client_trusting};
use crate::clock::mock::MockClock;
use crate::security::tls::{Opening, Session, TlsClient};

pub(super) const ADDRESS: ([u8; 4], u16) = ([10, 0, 0, 7], 9093);

/// Runs a handshake in memory until neither side has more to send. Returns the client's result.
pub(super) fn shake_hands(
    session: &mut Session,
    server: &mut ServerConnection,
) -> Result<(), String> {
    let mut opening = Opening::default();
    for _ in 0..20 {
        let mut bytes = Vec::new();
        while session.tls.wants_write() {
            session.tls.write_tls(&mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            // An error of the server is ignored, so that its alert is still sent.
            let _ = server.process_new_packets();
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        opening.note(&bytes);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            session.tls.read_tls(&mut rest).unwrap();
            if let Err(error) = session.tls.process_new_packets() {
                return Err(session
                    .failures
                    .describe(&error, Some(&opening))
                    .to_string());
            }
        }
    }
    if session.tls.is_handshaking() {
        return Err("the handshake did not terminate".to_owned());
    }
    Ok(())
}

/// Connects to the host `name`.
fn connect(client: &TlsClient, name: &str, server: &Server<'_>) -> Result<Session, String> {
    let mut session = client
        .session(&Arc::from(name), SocketAddr::from(ADDRESS))
        .map_err(|why| why.to_string())?;
    shake_hands(&mut session, &mut server.connection())?;
    Ok(session)
}

/// Asserts that connecting fails with an error that contains all `words`.
#[track_caller]
fn refused(client: &TlsClient, name: &str, server: &Server<'_>, words: &[&str]) {
    let why = connect(client, name, server).map(drop).unwrap_err();
    println!("{why}");
    for word in words {
        assert!(why.contains(word), "{word:?} is not in: {why}");
    }
    assert!(why.contains("the broker at 10.0.0.7"), "{why}");
}

fn trust(certificate: &str, more: &[(&str, &str)]) -> TlsClient {
    let entries = [
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.certificates", certificate),
    ];
    client_of(&[&entries[..], more].concat()).unwrap()
}

#[test]
fn a_broker_with_a_trusted_certificate_for_its_name_or_address_is_accepted() {
    let authority = Authority::new(0);
    let identity = authority.issue(&["broker.test", "10.0.0.7"]);
    for versions in [&ONLY_12, &ONLY_13] {
        let server = Server {
            versions,
            ..Server::new(&identity)
        };
        for name in ["broker.test", "10.0.0.7"] {
            let session = connect(&client_trusting(&authority), name, &server).unwrap();
            let version = if versions == &ONLY_12 {
                ProtocolVersion::TLSv1_2
            } else {
                ProtocolVersion::TLSv1_3
            };
            assert_eq!(session.tls.protocol_version(), Some(version));
        }
    }
}

#[test]
fn an_untrusted_authority_error_names_the_trust_store_key() {
    let identity = Authority::new(1).issue(&["broker.test"]);
    let client = client_trusting(&Authority::new(0));
    refused(
        &client,
        "broker.test",
        &Server::new(&identity),
        &["not signed by an authority", "ssl.truststore.location"],
    );
}

#[test]
fn a_host_name_mismatch_error_lists_the_names_of_the_certificate() {
    let authority = Authority::new(0);
    let identity = authority.issue(&["broker.test", "other.test"]);
    let client = client_trusting(&authority);
    let words = [
        "not valid for liar.test",
        "other.test",
        "ssl.endpoint.identification.algorithm",
        "advertised.listeners",
    ];
    refused(&client, "liar.test", &Server::new(&identity), &words);
    let nameless = authority.issue(&[]);
    refused(
        &client,
        "broker.test",
        &Server::new(&nameless),
        &["for no name", "common name does not count"],
    );
}

#[test]
fn without_host_name_verification_the_chain_is_still_verified() {
    let authority = Authority::new(0);
    let client = trust(
        &authority.pem(),
        &[("ssl.endpoint.identification.algorithm", "")],
    );
    let identity = authority.issue(&["broker.test"]);
    connect(&client, "liar.test", &Server::new(&identity)).unwrap();
    let stranger = Authority::new(1).issue(&["broker.test"]);
    refused(
        &client,
        "broker.test",
        &Server::new(&stranger),
        &["not signed by an authority"],
    );
    let old = authority.issue_for(&["broker.test"], (2020, 2021));
    refused(&client, "broker.test", &Server::new(&old), &["expired"]);
}

#[test]
fn certificates_are_valid_by_the_producers_clock() {
    let authority = Authority::new(0);
    let clock = Arc::new(MockClock::new());
    let entries = [
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.certificates", &authority.pem()),
    ];
    let client = client_at(&entries, &(clock.clone() as _)).unwrap();
    // The mock clock starts in September 2021.
    let identity = authority.issue_for(&["broker.test"], (2021, 2022));
    let server = Server::new(&identity);
    connect(&client, "broker.test", &server).unwrap();
    clock.advance(Duration::from_secs(200 * 24 * 3600));
    refused(
        &client,
        "broker.test",
        &server,
        &["has expired", "clock", "ssl.truststore.location"],
    );
    let early = authority.issue_for(&["broker.test"], (2030, 2031));
    refused(
        &client,
        "broker.test",
        &Server::new(&early),
        &["not valid yet", "clock"],
    );
}

/// Java accepts a certificate that is itself in the trust store, whatever its extensions are.
#[test]
fn a_broker_that_signed_its_certificate_itself_is_accepted_if_the_trust_store_has_it() {
    for is_authority in [true, false] {
        let identity = self_signed(&["broker.test"], is_authority, (2020, 2090));
        let client = trust(&identity.chain, &[]);
        connect(&client, "broker.test", &Server::new(&identity)).unwrap();
        refused(
            &client,
            "liar.test",
            &Server::new(&identity),
            &["not valid for liar.test"],
        );
        let stranger = client_trusting(&Authority::new(0));
        refused(
            &stranger,
            "broker.test",
            &Server::new(&identity),
            &["ssl.truststore.location"],
        );
        let old = self_signed(&["broker.test"], is_authority, (2020, 2021));
        refused(
            &trust(&old.chain, &[]),
            "broker.test",
            &Server::new(&old),
            &["expired"],
        );
    }
}

fn with_certificate(authority: &Authority, own: &Identity) -> TlsClient {
    trust(
        &authority.pem(),
        &[
            ("ssl.keystore.type", "PEM"),
            ("ssl.keystore.key", own.key),
            ("ssl.keystore.certificate.chain", &own.chain),
        ],
    )
}

#[test]
fn a_client_certificate_is_sent_and_its_absence_or_rejection_is_an_error() {
    let authority = Authority::new(0);
    let identity = authority.issue(&["broker.test"]);
    for versions in [&ONLY_12, &ONLY_13] {
        let server = Server {
            versions,
            asks_for: Some(&authority),
            ..Server::new(&identity)
        };
        connect(
            &with_certificate(&authority, &authority.issue(&["client"])),
            "broker.test",
            &server,
        )
        .unwrap();
        refused(
            &client_trusting(&authority),
            "broker.test",
            &server,
            &[
                "client certificate",
                "this client has none",
                "ssl.keystore.location",
            ],
        );
        let stranger = with_certificate(&authority, &Authority::new(1).issue(&["client"]));
        refused(
            &stranger,
            "broker.test",
            &server,
            &["rejects the client certificate", "ssl.keystore.location"],
        );
    }
}

#[test]
fn a_version_or_suite_mismatch_error_names_the_keys() {
    let authority = Authority::new(0);
    let identity = authority.issue(&["broker.test"]);
    let old = trust(&authority.pem(), &[("ssl.enabled.protocols", "TLSv1.2")]);
    let server = Server {
        versions: &ONLY_13,
        ..Server::new(&identity)
    };
    refused(
        &old,
        "broker.test",
        &server,
        &["no TLS version in common", "ssl.enabled.protocols"],
    );
    let new = trust(&authority.pem(), &[("ssl.enabled.protocols", "TLSv1.3")]);
    let server = Server {
        versions: &ONLY_12,
        ..Server::new(&identity)
    };
    refused(
        &new,
        "broker.test",
        &server,
        &["no TLS version in common", "ssl.enabled.protocols"],
    );
}

#[test]
fn a_cipher_suite_is_configured_by_its_java_name() {
    let authority = Authority::new(0);
    let identity = authority.issue(&["broker.test"]);
    for (name, version) in [
        ("TLS_AES_128_GCM_SHA256", ProtocolVersion::TLSv1_3),
        (
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            ProtocolVersion::TLSv1_2,
        ),
    ] {
        let client = trust(&authority.pem(), &[("ssl.cipher.suites", name)]);
        let session = connect(&client, "broker.test", &Server::new(&identity)).unwrap();
        assert_eq!(session.tls.protocol_version(), Some(version));
        let agreed = session.tls.negotiated_cipher_suite().unwrap().suite();
        assert_eq!(agreed.as_str().unwrap().replace("TLS13_", "TLS_"), name);
    }
}

#[test]
fn the_second_connection_resumes_the_session() {
    let authority = Authority::new(0);
    let identity = authority.issue(&["broker.test"]);
    for versions in [&ONLY_12, &ONLY_13] {
        let server = Server {
            versions,
            ..Server::new(&identity)
        };
        let config = server.config();
        let client = client_trusting(&authority);
        let mut kinds = Vec::new();
        for name in ["broker.test", "broker.test"] {
            let mut session = client
                .session(&Arc::from(name), SocketAddr::from(ADDRESS))
                .unwrap();
            shake_hands(
                &mut session,
                &mut ServerConnection::new(Arc::clone(&config)).unwrap(),
            )
            .unwrap();
            kinds.push(session.tls.handshake_kind().unwrap());
        }
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
    }
}

#[test]
fn sessions_of_a_hundred_brokers_are_cached() {
    let authority = Authority::new(0);
    let names: Vec<String> = (0..100)
        .map(|broker| format!("broker-{broker}.test"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let identity = authority.issue(&names);
    for versions in [&ONLY_12, &ONLY_13] {
        let server = Server {
            versions,
            ..Server::new(&identity)
        };
        let config = server.config();
        let client = client_trusting(&authority);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            for name in &names {
                let mut session = client
                    .session(&Arc::from(*name), SocketAddr::from(ADDRESS))
                    .unwrap();
                let mut server = ServerConnection::new(Arc::clone(&config)).unwrap();
                shake_hands(&mut session, &mut server).unwrap();
                assert_eq!(session.tls.handshake_kind(), Some(kind), "{name}");
            }
        }
    }
}

#[test]
fn a_peer_without_tls_is_described() {
    let client = client_trusting(&Authority::new(0));
    for (bytes, words) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            ["plain HTTP", "bootstrap.servers"],
        ),
        (
            b"\0\0\0\x08\0\0\0\x01\0\x23\0\0",
            ["its listener accepts plain text", "security.protocol"],
        ),
        (
            b"SSH-2.0-OpenSSH",
            ["did not respond with TLS", "check its port"],
        ),
    ] {
        let mut session = client
            .session(&Arc::from("broker.test"), SocketAddr::from(ADDRESS))
            .unwrap();
        let mut opening = Opening::default();
        opening.note(bytes);
        let mut rest = bytes;
        session.tls.read_tls(&mut rest).unwrap();
        let error = session.tls.process_new_packets().unwrap_err();
        let why = session.failures.describe(&error, Some(&opening));
        println!("{why}");
        assert!(words.iter().all(|word| why.contains(word)), "{why}");
        assert!(why.contains("the broker at 10.0.0.7"), "{why}");
    }
}

#[test]
fn a_name_invalid_in_certificates_is_rejected() {
    let client = client_trusting(&Authority::new(0));
    let why = client
        .session(&Arc::from("no host"), SocketAddr::from(ADDRESS))
        .map(drop)
        .unwrap_err();
    assert!(
        why.contains("not a valid host name") && why.contains("bootstrap.servers"),
        "{why}"
    );
}

#[test]
fn without_host_name_verification_any_name_is_accepted() {
    let authority = Authority::new(0);
    let own = authority.issue(&["elsewhere.test"]);
    let unchecked = [("ssl.endpoint.identification.algorithm", "")];
    let client = trust(&authority.pem(), &unchecked);
    for name in ["127.1", "a..b"] {
        connect(&client, name, &Server::new(&own)).unwrap();
    }
}
