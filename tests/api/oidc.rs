//! Tokens of a token endpoint (OIDC), against the embedded broker.

#[path = "../../src/security/http/tests/server.rs"]
mod http_server;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_producer::testing::{TestCluster, TestClusterBuilder};
use kafka_producer::{ConstructError, ProducerConfigBuilder, SecurityProtocol};

use crate::support::{LONG, Text, config, lines_of, producer, record, values};
use http_server::{HttpServer, hang, response};

const SECRET: &str = "hunter2";
/// The lifetime of the first of two tokens.
const LIFETIME: Duration = Duration::from_secs(4);

fn brokers() -> TestClusterBuilder {
    TestCluster::builder()
        .topic("t", 1)
        .sasl_token("t0ken-1")
        .sasl_token("t0ken-2")
}

fn oidc(cluster: &TestCluster, server: &HttpServer) -> ProducerConfigBuilder {
    config(cluster)
        .security_protocol(SecurityProtocol::SaslPlaintext)
        .sasl_oidc(&server.url("/token"), "billing", SECRET)
}

fn token(value: &str, seconds: u64) -> Vec<u8> {
    let body = format!("{{\"access_token\":\"{value}\",\"expires_in\":{seconds}}}");
    response("200 OK", &body)
}

fn written(producer: &Text, value: &str) {
    producer.send(record(value)).unwrap().get().unwrap();
}

#[test]
fn records_are_sent_with_a_token_of_the_endpoint() {
    let cluster = brokers().start().unwrap();
    let server = HttpServer::start(|_, request, stream| {
        assert!(request.body.ends_with("&scope=kafka"), "{}", request.body);
        stream.write_all(&token("t0ken-1", 300)).unwrap();
    });
    let config = oidc(&cluster, &server).set("sasl.oauthbearer.scope", "kafka");
    let producer = producer(config.strict());
    written(&producer, "v");
    assert_eq!(values(&cluster, 0), ["v"]);
    assert_eq!(server.requests(), 1);
    producer.close().unwrap();
}

/// The sessions are short, so that each token is used many times.
#[test]
fn an_endpoint_that_fails_stops_nothing_while_the_token_is_valid() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let cluster = TestCluster::builder()
        .topic("t", 1)
        .sasl_session(Duration::from_millis(50))
        .sasl_token_check(move |token| {
            log.lock().unwrap().push((token.to_owned(), Instant::now()));
            ["t0ken-1", "t0ken-2"].contains(&token)
        })
        .start()
        .unwrap();
    let fails = Arc::new(AtomicBool::new(true));
    let is_failing = Arc::clone(&fails);
    let server = HttpServer::start(move |number, _, stream| {
        let answer = match number {
            0 => token("t0ken-1", LIFETIME.as_secs()),
            _ if is_failing.load(Ordering::SeqCst) => response("503 Busy", "hunter2"),
            _ => token("t0ken-2", 300),
        };
        let _ = stream.write_all(&answer);
    });
    let lines = lines_of("failing-endpoint");
    let config = oidc(&cluster, &server)
        .client_id("failing-endpoint")
        // The refresh is due two seconds after the token was fetched.
        .set("sasl.login.refresh.window.factor", "0.5")
        .set("sasl.login.refresh.window.jitter", "0")
        .set("sasl.login.retry.backoff.ms", "10")
        .set("sasl.login.retry.backoff.max.ms", "100");
    let producer = producer(config);
    let until = Instant::now() + 2 * LONG;
    while server.requests() < 4 {
        written(&producer, "v");
        assert!(Instant::now() < until, "{} requests", server.requests());
    }
    let has_failed = |line: &String| line.contains("HTTP status 503");
    while !lines().iter().any(has_failed) {
        written(&producer, "v");
        assert!(Instant::now() < until, "{:?}", lines());
    }
    fails.store(false, Ordering::SeqCst);
    // The first token ends, and the second one is used. A broker may see a token somewhat after it was sent.
    let first = |value: &str| {
        let seen = seen.lock().unwrap();
        let found = seen.iter().find(|(token, _)| token == value);
        found.map(|(_, at)| *at)
    };
    let ended = first("t0ken-1").unwrap() + LIFETIME + Duration::from_secs(1);
    while first("t0ken-2").is_none() || Instant::now() < ended + Duration::from_millis(500) {
        written(&producer, "v");
        assert!(Instant::now() < until, "the second token is not used");
    }
    producer.close().unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let late = |(token, at): &&(String, Instant)| token == "t0ken-1" && *at > ended;
    assert_eq!(seen.iter().filter(late).count(), 0);
    for line in lines() {
        for secret in [SECRET, "t0ken", "aHVudGVy"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

#[test]
fn a_producer_whose_endpoint_hangs_closes_and_says_why_nothing_is_sent() {
    let cluster = brokers().start().unwrap();
    let server = HttpServer::start(|_, _, _| hang());
    let config = oidc(&cluster, &server)
        .set("sasl.login.read.timeout.ms", "600000")
        .set("socket.connection.setup.timeout.ms", "100")
        .max_block(Duration::from_millis(500));
    let producer = producer(config);
    let error = producer.send(record("v")).unwrap().get().unwrap_err();
    assert!(error.to_string().contains("a token"), "{error}");
    let began = Instant::now();
    producer.close().unwrap();
    assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
}

#[test]
fn an_endpoint_that_refuses_the_client_is_named_in_the_error() {
    let cluster = brokers().start().unwrap();
    let server = HttpServer::start(|_, _, stream| {
        let body = r#"{"error":"invalid_client","error_description":"not hunter2"}"#;
        stream
            .write_all(&response("401 Unauthorized", body))
            .unwrap();
    });
    let producer = producer(oidc(&cluster, &server).max_block(Duration::from_secs(1)));
    let error = producer.send(record("v")).unwrap().get().unwrap_err();
    let words = error.to_string();
    for part in [
        "401: invalid_client (not [hidden])",
        "sasl.oauthbearer.token.endpoint.url",
        &server.url("/token"),
    ] {
        assert!(words.contains(part), "{part:?} is missing in {words}");
    }
    assert!(!words.contains(SECRET), "{words}");
    producer.close().unwrap();
}

#[test]
fn an_invalid_login_is_an_error_of_the_constructor() {
    let cluster = brokers().start().unwrap();
    let server = HttpServer::start(|_, _, _| hang());
    for (key, value) in [
        ("sasl.oauthbearer.token.endpoint.url", "ftp://hunter2"),
        ("sasl.oauthbearer.client.credentials.client.secret", " "),
        ("sasl.jaas.config", "hunter2"),
    ] {
        let config = oidc(&cluster, &server).set(key, value).build().unwrap();
        let error = Text::new(config).expect_err("it is invalid");
        assert!(matches!(error, ConstructError::Config(_)), "{error}");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
}
