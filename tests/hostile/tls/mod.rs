//! Hostile brokers with TLS, during and after the handshake: each record gets its error in time, records for another
//! broker are not affected, memory is bounded, and the same producer works again as soon as its broker does. With
//! `--nocapture` each case prints its duration.

#[path = "../../../src/security/tls/tests/certificates.rs"]
mod certificates;
mod server;

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use kafka_producer::rustls::SupportedProtocolVersion;
use kafka_producer::rustls::version::{TLS12, TLS13};
use kafka_producer::testing::{TestCluster, TestTls};
use kafka_producer::{Delivery, ProduceError, ProduceErrorKind, WaitCause};

use self::certificates::Authority;
use self::server::{
    ALERT, CHANGE_CIPHER_SPEC, DATA, HANDSHAKE, Sealer, TlsServer, flood, listen, record,
    take_hello,
};
use crate::beside::Beside;
use crate::case::assert_error;
use crate::proxy::Treatment;

/// Two brokers with TLS, the second of which is hostile.
struct Stage {
    beside: Beside,
    authority: Authority,
}

impl Stage {
    fn new() -> Self {
        let authority = Authority::new(0);
        let identity = authority.issue(&["127.0.0.1"]);
        let tls = TestTls::new(identity.chain, identity.key);
        let beside = Beside::new(
            TestCluster::builder().tls(tls),
            Treatment::Carry,
            |config| {
                config
                    .set("security.protocol", "SSL")
                    .set("ssl.truststore.type", "PEM")
                    .set("ssl.truststore.certificates", authority.pem())
            },
        );
        Self { beside, authority }
    }

    fn server(&self, versions: &[&'static SupportedProtocolVersion]) -> TlsServer {
        TlsServer::new(&self.authority.issue(&["127.0.0.1"]), versions)
    }

    /// Tests a broker that handles a connection with `act`. The error of the record must contain `words`.
    fn case(
        &self,
        what: &str,
        words: &str,
        act: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) {
        check(what, words, &self.error(what, act));
    }

    fn error(
        &self,
        what: &str,
        act: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> ProduceError {
        self.beside.meanwhile(what, Treatment::Act(Arc::new(act)))
    }

    /// As [`Self::case`], for a broker that responds to the `ClientHello` with `answer`.
    fn answered(
        &self,
        what: &str,
        words: &str,
        answer: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) {
        self.case(what, words, move |client| {
            take_hello(client)?;
            answer(client)?;
            // Wait for the client to close the connection.
            listen(client)
        });
    }

    /// As [`Self::case`], for a broker that runs `act` after a TLS 1.3 handshake.
    fn sealed(
        &self,
        what: &str,
        words: &str,
        act: impl Fn(&mut Sealer<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) {
        let server = self.server(&[&TLS13]);
        self.case(what, words, move |client| {
            act(&mut server.sealer(client)?)?;
            listen(client)
        });
    }
}

/// Checks the error of a record, which has the reason. The record waits until it expires, as in Kafka, because its
/// broker may be replaced.
fn check(what: &str, words: &str, error: &ProduceError) {
    assert_error(error, &ProduceErrorKind::DeliveryTimeout, &[words]);
    if error.delivery() == Delivery::NotWritten {
        let cause = error.cause();
        assert!(
            matches!(
                cause,
                Some(WaitCause::Authentication { .. } | WaitCause::NotConnected { .. })
            ),
            "{what}: {cause:?}"
        );
    }
}

#[test]
fn malformed_and_incomplete_tls_records_are_reported_in_time() {
    let stage = Stage::new();
    stage.answered("garbage", "did not respond with TLS", |mut client| {
        let mut random = fastrand::Rng::with_seed(7);
        let garbage: Vec<u8> = (0..4096).map(|_| random.u8(64..)).collect();
        client.write_all(&garbage)
    });
    stage.answered("garbage in a record", "TLS with", |mut client| {
        client.write_all(&record(HANDSHAKE, &[0xa5; 1000]))
    });
    stage.answered(
        "a record that is cut, and silence",
        "setup.timeout",
        |mut client| client.write_all(&record(HANDSHAKE, &[2; 100])[..15]),
    );
    stage.case(
        "a record that is cut, and the end",
        "closed the connection",
        |mut client| {
            take_hello(client)?;
            client.write_all(&record(HANDSHAKE, &[2; 100])[..15])
        },
    );
    stage.answered("a record of 65,535 bytes", "TLS with", |mut client| {
        client.write_all(&[HANDSHAKE, 3, 3, 0xff, 0xff])?;
        flood(client, &[2; 1024])
    });
    stage.answered(
        "data before there are keys",
        "ended the handshake",
        |client| flood(client, &record(DATA, &[7; 1000])),
    );
}

#[test]
fn an_endless_handshake_is_aborted() {
    let stage = Stage::new();
    // The length of a handshake message has three bytes.
    stage.answered("a message of 16 MiB", "TLS", |mut client| {
        client.write_all(&record(HANDSHAKE, &[2, 0xff, 0xff, 0xff]))?;
        flood(client, &record(HANDSHAKE, &[0; 16 * 1024]))
    });
    stage.answered("a message in pieces of a byte", "TLS", |mut client| {
        client.write_all(&record(HANDSHAKE, &[2, 0, 0xff, 0xf0]))?;
        flood(client, &record(HANDSHAKE, &[0]))
    });
    stage.answered("endless empty records", "TLS", |client| {
        flood(client, &record(HANDSHAKE, &[]))
    });
    stage.answered(
        "endless changes of cipher",
        "ended the handshake",
        |client| flood(client, &record(CHANGE_CIPHER_SPEC, &[1])),
    );
    stage.answered(
        "endless requests for a hello",
        "ended the handshake",
        |client| flood(client, &record(HANDSHAKE, &[0, 0, 0, 0])),
    );
    stage.answered("endless warnings", "TLS", |client| {
        flood(client, &record(ALERT, &[1, 90]))
    });
    stage.answered("endless fatal alerts", "ended the handshake", |client| {
        flood(client, &record(ALERT, &[2, 40]))
    });
    let server = stage.server(&[&TLS13, &TLS12]);
    stage.case("one byte at a time", "setup.timeout", move |client| {
        let mut to = client;
        let drip = |record: &[u8]| {
            for byte in record {
                to.write_all(&[*byte])?;
                thread::sleep(Duration::from_millis(2));
            }
            Ok(true)
        };
        server.shake_hands(client, drip).map(drop)
    });
}

#[test]
fn a_broker_that_closes_after_any_step_of_the_handshake_is_tried_again() {
    let stage = Stage::new();
    for (name, version) in [("1.2", &TLS12), ("1.3", &TLS13)] {
        let mut stood = 0;
        // The handshake is complete with the last record.
        for steps in 0..5 {
            let server = stage.server(&[version]);
            let what = format!("TLS {name}, the end after {steps} records");
            let error = stage.error(&what, move |client| {
                let (mut left, mut to) = (steps, client);
                let write = |record: &[u8]| {
                    if left == 0 {
                        return Ok(false);
                    }
                    left -= 1;
                    to.write_all(record).map(|()| true)
                };
                server.shake_hands(client, write).map(drop)
            });
            let words = match steps {
                0 => "closed the connection at the beginning of TLS",
                _ if error.to_string().contains("asked for its API versions") => {
                    stood += 1;
                    "closed the connection"
                }
                _ => "closed the connection during",
            };
            check(&what, words, &error);
        }
        assert!((1..4).contains(&stood), "TLS {name}: {stood}");
    }
}

#[test]
fn a_flooded_session_is_closed_in_time() {
    let stage = Stage::new();
    // The fields of a session ticket: type, length; lifetime, age, nonce, ticket, no extensions.
    let mut ticket = vec![4, 0, 0, 0x75, 0, 0, 0x0e, 0x10, 1, 2, 3, 4, 1, 0, 0, 0x68];
    ticket.extend([7; 0x68]);
    ticket.extend([0, 0]);
    ticket[3] = (ticket.len() - 4) as u8;
    stage.sealed("endless tickets", "setup.timeout", move |sealer| {
        sealer.flood(HANDSHAKE, &ticket)
    });
    stage.sealed("endless empty data", "TLS", |sealer| {
        sealer.flood(DATA, &[])
    });
    stage.sealed("endless warnings in the session", "TLS", |sealer| {
        sealer.flood(ALERT, &[1, 90])
    });
    stage.sealed("a ticket in pieces of a byte", "TLS", |sealer| {
        sealer.write(HANDSHAKE, &[4, 0, 0xff, 0xf0])?;
        sealer.flood(HANDSHAKE, &[0])
    });
    stage.sealed(
        "a goodbye, and endless data",
        "closed the connection",
        |sealer| {
            sealer.write(ALERT, &[1, 0])?;
            sealer.flood(DATA, &[0x7f; 1000])
        },
    );
    stage.sealed("silence in the session", "setup.timeout", |_| Ok(()));
    let server = stage.server(&[&TLS13]);
    stage.case(
        "a record without encryption",
        "ended the handshake",
        move |mut client| {
            let _session = server.session(client)?;
            client.write_all(&record(DATA, &[7; 100]))?;
            listen(client)
        },
    );
    let server = stage.server(&[&TLS13]);
    stage.case("endless new keys", "TLS", move |mut client| {
        let mut session = server.session(client)?;
        loop {
            session.refresh_traffic_keys().map_err(io::Error::other)?;
            session.write_tls(&mut client)?;
        }
    });
}
