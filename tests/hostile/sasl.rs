//! Hostile brokers with SASL: each record gets its error in time, and the same producer works again as soon as its
//! broker does.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_producer::testing::TestCluster;
use kafka_producer::{ProduceErrorKind, SecurityProtocol};

use crate::beside::Beside;
use crate::case::{Case, REQUEST, assert_error};
use crate::exchange::{Api, Exchange, Tampering, framed};
use crate::proxy::{TamperingProxy, Treatment};

const PASSWORD: &str = "s3cret";
const AT_ONCE: Duration = Duration::from_millis(900);

fn meeting(prepare: impl FnOnce(&TamperingProxy)) -> Case {
    Case::configured(
        |proxy| {
            proxy.cluster.set_sasl_user("alice", PASSWORD);
            prepare(proxy);
        },
        |config| {
            config
                .security_protocol(SecurityProtocol::SaslPlaintext)
                .sasl_scram_sha_256("alice", PASSWORD)
        },
    )
}

/// A SaslAuthenticate response with this token.
fn token(exchange: &Exchange, token: &[u8]) -> Tampering {
    let mut body = vec![0, 0, 0];
    let mut length = token.len() as u32 + 1;
    while length > 0x7f {
        body.push(length as u8 | 0x80);
        length >>= 7;
    }
    body.push(length as u8);
    body.extend_from_slice(token);
    // Session lifetime, and no tagged fields.
    body.extend_from_slice(&[0; 9]);
    exchange.with_body(&body)
}

/// The broker's first SCRAM message, if the response has it; `None` for the broker's second message, and for an error.
fn first_message(exchange: &Exchange) -> Option<String> {
    let body = exchange.body();
    let text = String::from_utf8_lossy(body).into_owned();
    let begin = text.find("r=")?;
    let end = begin
        + text[begin..]
            .find(|c: char| c < ' ')
            .unwrap_or(text.len() - begin);
    Some(text[begin..end].to_owned())
}

/// Replaces the broker's first SCRAM message by one with this number of iterations.
fn with_iterations(exchange: &Exchange, iterations: &str) -> Tampering {
    match first_message(exchange) {
        Some(first) => {
            let (nonce_and_salt, _) = first.rsplit_once(",i=").unwrap();
            token(
                exchange,
                format!("{nonce_and_salt},i={iterations}").as_bytes(),
            )
        }
        None => Tampering::Nothing,
    }
}

/// Checks that a record fails at once with a permanent error, whose text has these parts.
fn refused(script: impl Fn(&Exchange) -> Tampering + Send + Sync + 'static, parts: &[&str]) {
    let case = meeting(|proxy| proxy.tamper_with(Api::SaslAuthenticate, script));
    let began = Instant::now();
    let address = case.proxy.address();
    let all = [&[&*address, "SCRAM-SHA-256"], parts].concat();
    let error = case.failed(&ProduceErrorKind::Authentication, &all);
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    assert!(!error.to_string().contains(PASSWORD), "{error}");
    case.proxy.stop_tampering();
    // An earlier error may be returned once more.
    while case.send().outcome().is_err() {}
    case.finish();
}

/// Checks that a record fails after `max.block.ms`, because the error is transient. The error's text has these parts.
fn interrupted(script: impl Fn(&Exchange) -> Tampering + Send + Sync + 'static, parts: &[&str]) {
    interrupted_at(Api::SaslAuthenticate, script, parts);
}

fn interrupted_at(
    api: Api,
    script: impl Fn(&Exchange) -> Tampering + Send + Sync + 'static,
    parts: &[&str],
) {
    let case = meeting(|proxy| proxy.tamper_with(api, script));
    case.failed(&ProduceErrorKind::MetadataTimeout, parts);
    assert!(case.proxy.connections() < 100, "with pauses");
    case.finish();
}

#[test]
fn an_excessive_number_of_iterations_is_rejected_at_once() {
    for (iterations, words) in [
        ("2147483647", "no more than"),
        ("99999999999999999999999", "no more than"),
        ("1000001", "no more than"),
        ("1", "fewer than"),
        ("0", "fewer than"),
    ] {
        let script = move |exchange: &Exchange| with_iterations(exchange, iterations);
        refused(script, &[words, "sasl.jaas.config"]);
    }
}

/// The largest accepted number of iterations takes long, so it is computed on a helper thread.
#[test]
fn many_iterations_are_computed_on_a_helper_thread() {
    let case = meeting(|proxy| {
        proxy.tamper_with(Api::SaslAuthenticate, |exchange| {
            with_iterations(exchange, "300000")
        });
    });
    // A quick machine ends the computation in time, and the broker rejects the proof; on a slow machine the setup
    // timeout passes first.
    let error = case.send().outcome().unwrap_err();
    let text = error.to_string();
    match error.kind() {
        ProduceErrorKind::Authentication => assert!(text.contains("SCRAM-SHA-256"), "{text}"),
        ProduceErrorKind::MetadataTimeout => {
            assert!(text.contains("computed from the password"), "{text}");
        }
        _ => panic!("{text}"),
    }
    case.proxy.stop_tampering();
    while case.send().outcome().is_err() {}
    case.finish();
}

#[test]
fn malformed_first_messages_are_rejected_with_the_missing_part() {
    refused(|exchange| token(exchange, b""), &["first message"]);
    refused(|exchange| token(exchange, b"s=Zm9v,i=4096"), &["nonce"]);
    refused(|exchange| token(exchange, b"r=,s=Zm9v,i=4096"), &["nonce"]);
    refused(
        |exchange| token(exchange, b"r=somebody-else,s=Zm9v,i=4096"),
        &["nonce"],
    );
    refused(|exchange| token(exchange, &[0xff; 300]), &["not text"]);
    refused(
        |exchange| token(exchange, &vec![b'r'; 60_000]),
        &["first message"],
    );
}

#[test]
fn a_broker_that_does_not_prove_to_know_the_password_is_rejected() {
    let forged = |exchange: &Exchange| match exchange.nth % 2 {
        0 => Tampering::Nothing,
        _ => token(exchange, b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    };
    refused(forged, &["did not prove"]);
    let error = |exchange: &Exchange| match exchange.nth % 2 {
        0 => Tampering::Nothing,
        _ => token(exchange, b"e=other-error"),
    };
    refused(error, &["other-error"]);
}

#[test]
fn oversized_truncated_mismatched_and_duplicate_responses_are_transient_errors() {
    let parts = ["SCRAM-SHA-256"];
    interrupted(|exchange| token(exchange, &vec![b'a'; 70_000]), &parts);
    interrupted(
        |exchange| exchange.changed(|bytes| bytes.truncate(9)),
        &parts,
    );
    interrupted(|exchange| exchange.changed(Vec::clear), &parts);
    interrupted(|exchange| exchange.changed(|bytes| bytes[3] ^= 1), &parts);
    interrupted(
        |exchange| Tampering::Raw([framed(&exchange.answer), framed(&exchange.answer)].concat()),
        &["broker"],
    );
    interrupted(|_| Tampering::Raw(vec![0x7f; 12]), &["bad frame"]);
    let handshake = |exchange: &Exchange| exchange.changed(|bytes| bytes.truncate(5));
    interrupted_at(Api::SaslHandshake, handshake, &parts);
    let versions = |exchange: &Exchange| exchange.changed(|bytes| bytes.truncate(7));
    interrupted_at(Api::ApiVersions, versions, &parts);
}

/// Hostile exchanges: the name, a part of the error's text for a record that waited for the connection, and the
/// exchange.
fn hostile_scripts() -> Vec<(&'static str, &'static str, BoxedScript)> {
    vec![
        script("2,147,483,647 iterations", "no more than", |exchange| {
            with_iterations(exchange, "2147483647")
        }),
        script(
            "as many iterations as are computed",
            "broker 1",
            |exchange| with_iterations(exchange, "1000000"),
        ),
        script("no nonce", "nonce", |exchange| {
            token(exchange, b"s=Zm9v,i=4096")
        }),
        script("an empty answer", "first message", |exchange| {
            token(exchange, b"")
        }),
        script("no answer", "setup.timeout", |_| Tampering::Silence),
        script("an answer twice", "broker", |exchange| {
            Tampering::Raw([framed(&exchange.answer), framed(&exchange.answer)].concat())
        }),
        script("an answer of 60,000 bytes", "first message", |exchange| {
            token(exchange, &vec![b'r'; 60_000])
        }),
        script("a frame that does not end", "setup.timeout", |_| {
            let mut bytes = 1_000_000_i32.to_be_bytes().to_vec();
            bytes.resize(500_000, 7);
            Tampering::Raw(bytes)
        }),
        script("a frame of 2 GiB", "bad frame", |_| {
            let mut bytes = i32::MAX.to_be_bytes().to_vec();
            bytes.resize(10_000, 7);
            Tampering::Raw(bytes)
        }),
    ]
}

fn script(
    what: &'static str,
    words: &'static str,
    script: impl Fn(&Exchange) -> Tampering + Send + Sync + 'static,
) -> (&'static str, &'static str, BoxedScript) {
    (what, words, Box::new(script))
}

#[test]
fn a_hostile_broker_does_not_affect_the_records_of_another() {
    let brokers = TestCluster::builder().sasl_user("alice", PASSWORD);
    let beside = Beside::new(brokers, Treatment::Serve, |config| {
        config
            .security_protocol(SecurityProtocol::SaslPlaintext)
            .sasl_scram_sha_256("alice", PASSWORD)
    });
    for (what, words, script) in hostile_scripts() {
        beside.proxy.tamper_with(Api::SaslAuthenticate, script);
        let error = beside.meanwhile(what, Treatment::Serve);
        assert_error(&error, &ProduceErrorKind::DeliveryTimeout, &[words]);
        assert!(!error.to_string().contains(PASSWORD), "{error}");
    }
    let answers = |mut client: &TcpStream| {
        let bytes = framed(&[0; 60]).repeat(100);
        loop {
            client.write_all(&bytes)?;
        }
    };
    let error = beside.meanwhile("endless answers", Treatment::Act(Arc::new(answers)));
    assert_error(&error, &ProduceErrorKind::DeliveryTimeout, &["broker 1"]);
}

type BoxedScript = Box<dyn Fn(&Exchange) -> Tampering + Send + Sync>;

#[test]
fn an_exchange_that_stops_times_out() {
    for api in [Api::ApiVersions, Api::SaslHandshake, Api::SaslAuthenticate] {
        let case = meeting(|proxy| proxy.tamper_with(api, |_| Tampering::Silence));
        let parts = ["socket.connection.setup.timeout.ms", "authenticating"];
        case.failed(&ProduceErrorKind::MetadataTimeout, &parts);
        case.finish();
        let case = meeting(|proxy| proxy.tamper_with(api, |_| Tampering::Close));
        case.failed(
            &ProduceErrorKind::MetadataTimeout,
            &["during authentication"],
        );
        case.finish();
    }
    assert!(REQUEST < AT_ONCE);
}
