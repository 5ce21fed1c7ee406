//! Brokers that ask who the client is, and then say anything: each time the record gets its error in time, and
//! the same producer works as soon as its broker does.

use std::time::{Duration, Instant};

use kafka_producer::{ProduceErrorKind, SecurityProtocol};

use crate::case::{Case, REQUEST};
use crate::exchange::{Api, Exchange, Lie, framed};
use crate::liar::Liar;

const PASSWORD: &str = "s3cret";
const AT_ONCE: Duration = Duration::from_millis(900);

fn meeting(prepare: impl FnOnce(&Liar)) -> Case {
    Case::configured(
        |liar| {
            liar.cluster.set_sasl_user("alice", PASSWORD);
            prepare(liar);
        },
        |config| {
            config
                .security_protocol(SecurityProtocol::SaslPlaintext)
                .sasl_scram_sha_256("alice", PASSWORD)
        },
    )
}

/// An answer to SaslAuthenticate with this token.
fn token(exchange: &Exchange, token: &[u8]) -> Lie {
    let mut body = vec![0, 0, 0];
    let mut length = token.len() as u32 + 1;
    while length > 0x7f {
        body.push(length as u8 | 0x80);
        length >>= 7;
    }
    body.push(length as u8);
    body.extend_from_slice(token);
    // The session's lifetime, and no tags.
    body.extend_from_slice(&[0; 9]);
    exchange.with_body(&body)
}

/// The broker's token in a true answer.
fn true_token(exchange: &Exchange) -> String {
    let body = exchange.body();
    let text = String::from_utf8_lossy(body).into_owned();
    let begin = text.find("r=").expect("a first message of the broker");
    let end = begin
        + text[begin..]
            .find(|c: char| c < ' ')
            .unwrap_or(text.len() - begin);
    text[begin..end].to_owned()
}

/// The record fails at once, for a reason that will not go away, in these words.
fn refused(lie: impl Fn(&Exchange) -> Lie + Send + Sync + 'static, parts: &[&str]) {
    let case = meeting(|liar| liar.lie_about(Api::SaslAuthenticate, lie));
    let began = Instant::now();
    let address = case.liar.address();
    let all = [&[&*address, "SCRAM-SHA-256"], parts].concat();
    let error = case.failed(&ProduceErrorKind::Authentication, &all);
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    assert!(!error.to_string().contains(PASSWORD), "{error}");
    case.liar.be_honest();
    // What had been refused may be found to be so once more.
    while case.send().outcome().is_err() {}
    case.finish();
}

/// The record fails when `max.block.ms` is over, since another attempt may succeed; why is told.
fn interrupted(lie: impl Fn(&Exchange) -> Lie + Send + Sync + 'static, parts: &[&str]) {
    interrupted_at(Api::SaslAuthenticate, lie, parts);
}

fn interrupted_at(
    api: Api,
    lie: impl Fn(&Exchange) -> Lie + Send + Sync + 'static,
    parts: &[&str],
) {
    let case = meeting(|liar| liar.lie_about(api, lie));
    case.failed(&ProduceErrorKind::MetadataTimeout, parts);
    assert!(case.liar.connections() < 100, "with pauses");
    case.finish();
}

#[test]
fn a_number_of_iterations_that_no_one_could_compute_is_refused_at_once() {
    for (iterations, words) in [
        ("2147483647", "no more than"),
        ("99999999999999999999999", "no more than"),
        ("1000001", "no more than"),
        ("1", "fewer than"),
        ("0", "fewer than"),
    ] {
        let lie = move |exchange: &Exchange| {
            let first = true_token(exchange);
            let (nonce_and_salt, _) = first.rsplit_once(",i=").unwrap();
            token(
                exchange,
                format!("{nonce_and_salt},i={iterations}").as_bytes(),
            )
        };
        refused(lie, &[words, "sasl.jaas.config"]);
    }
}

/// The largest that is computed: off the producer's thread.
#[test]
fn many_iterations_are_computed_elsewhere() {
    let case = meeting(|liar| {
        liar.lie_about(Api::SaslAuthenticate, |exchange| {
            let first = true_token(exchange);
            let (rest, _) = first.rsplit_once(",i=").unwrap();
            token(exchange, format!("{rest},i=300000").as_bytes())
        });
    });
    let error = case.send().outcome().unwrap_err();
    println!("{error}");
    case.liar.be_honest();
    while case.send().outcome().is_err() {}
    case.finish();
}

#[test]
fn first_messages_that_are_none_are_refused_with_what_is_missing() {
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
fn a_broker_that_does_not_know_the_password_is_refused() {
    let forged = |exchange: &Exchange| match exchange.nth % 2 {
        0 => Lie::Truth,
        _ => token(exchange, b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    };
    refused(forged, &["does not prove"]);
    let error = |exchange: &Exchange| match exchange.nth % 2 {
        0 => Lie::Truth,
        _ => token(exchange, b"e=other-error"),
    };
    refused(error, &["other-error"]);
}

#[test]
fn answers_that_are_too_long_cut_for_another_or_twice_are_interruptions() {
    let parts = ["SCRAM-SHA-256"];
    interrupted(|exchange| token(exchange, &vec![b'a'; 70_000]), &parts);
    interrupted(
        |exchange| exchange.changed(|bytes| bytes.truncate(9)),
        &parts,
    );
    interrupted(|exchange| exchange.changed(Vec::clear), &parts);
    interrupted(|exchange| exchange.changed(|bytes| bytes[3] ^= 1), &parts);
    interrupted(
        |exchange| Lie::Raw([framed(&exchange.answer), framed(&exchange.answer)].concat()),
        &["broker"],
    );
    interrupted(|_| Lie::Raw(vec![0x7f; 12]), &["bad frame"]);
    let handshake = |exchange: &Exchange| exchange.changed(|bytes| bytes.truncate(5));
    interrupted_at(Api::SaslHandshake, handshake, &parts);
    let versions = |exchange: &Exchange| exchange.changed(|bytes| bytes.truncate(7));
    interrupted_at(Api::ApiVersions, versions, &parts);
}

#[test]
fn a_talk_that_stops_is_given_up_in_time() {
    for api in [Api::ApiVersions, Api::SaslHandshake, Api::SaslAuthenticate] {
        let case = meeting(|liar| liar.lie_about(api, |_| Lie::Silence));
        let parts = ["socket.connection.setup.timeout.ms", "authenticating"];
        case.failed(&ProduceErrorKind::MetadataTimeout, &parts);
        case.finish();
        let case = meeting(|liar| liar.lie_about(api, |_| Lie::Close));
        case.failed(
            &ProduceErrorKind::MetadataTimeout,
            &["during authentication"],
        );
        case.finish();
    }
    assert!(REQUEST < AT_ONCE);
}
