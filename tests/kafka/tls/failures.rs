//! What goes wrong with TLS, told by `send` with its cause and the key to change.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use kafka_producer::{ProduceErrorKind, ProducerConfigBuilder, ProducerRecord};

use super::certificates::Authority;
use super::{Rig, trusting, with_certificate};
use crate::producer::{self, build};
use crate::runner::TestResult;

/// A refusal is told at once, and not when this is over.
const MAX_BLOCK: Duration = Duration::from_secs(60);
const AT_ONCE: Duration = Duration::from_secs(5);
/// What may pass is tried for so long.
const SHORT: Duration = Duration::from_secs(3);

pub(super) fn name_their_cause(rig: &Rig) -> TestResult {
    let stranger = Authority::new(1);
    let foreign = stranger.issue(&["client"]);
    let authority = "not signed by an authority";
    for (what, config, words) in [
        (
            "wrong authority",
            trusting(&rig.servers("TLS13"), &stranger),
            [authority, "ssl.truststore.location"],
        ),
        (
            "wrong authority, TLS 1.2",
            trusting(&rig.servers("TLS12"), &stranger),
            [authority, "ssl.truststore.location"],
        ),
        (
            "wrong host name",
            rig.config("ELSEWHERE"),
            ["not made out for 127.0.0.1, but for", "elsewhere.test"],
        ),
        (
            "expired certificate",
            rig.config("EXPIRED"),
            ["has expired", "ssl.truststore.location"],
        ),
        (
            "no client certificate",
            rig.config("MTLS13"),
            ["client certificate", "ssl.keystore.location"],
        ),
        (
            "no client certificate, TLS 1.2",
            rig.config("MTLS12"),
            ["client certificate", "ssl.keystore.location"],
        ),
        (
            "client certificate of another authority",
            with_certificate(rig.config("MTLS13"), &foreign),
            ["client certificate", "ssl.keystore.location"],
        ),
        (
            "client certificate of another authority, TLS 1.2",
            with_certificate(rig.config("MTLS12"), &foreign),
            ["client certificate", "ssl.keystore.location"],
        ),
        (
            "no shared version",
            rig.config("TLS13").set("ssl.enabled.protocols", "TLSv1.2"),
            ["no version of TLS", "ssl.enabled.protocols"],
        ),
    ] {
        refused_at_once(what, config, &words)?;
    }
    let web = web_server()?;
    refused_at_once(
        "TLS to a web server",
        trusting(&web, &stranger),
        &["plain HTTP", "bootstrap.servers"],
    )?;
    // A listener that takes plain connections hangs up, as one does that is being restarted: that is tried again.
    let plain = trusting(&rig.servers("PLAINTEXT"), &stranger);
    tried_in_vain(
        "TLS to a plain listener",
        plain,
        &["takes plain connections", "security.protocol"],
    )?;
    let listener = rig.servers("TLS13");
    tried_in_vain(
        "plain to a TLS listener",
        producer::config(&listener),
        &["TLS"],
    )
}

fn refused_at_once(what: &str, config: ProducerConfigBuilder, words: &[&str]) -> TestResult {
    let (took, kind, text) = first_failure(config.max_block(MAX_BLOCK))?;
    println!("    {what}: {took:.0?}: {text}");
    assert!(took < AT_ONCE, "{what} took {took:?}");
    assert_eq!(kind, ProduceErrorKind::Authentication, "{what}: {text}");
    assert!(
        words.iter().all(|word| text.contains(word)),
        "{what}: {text}"
    );
    Ok(())
}

fn tried_in_vain(what: &str, config: ProducerConfigBuilder, words: &[&str]) -> TestResult {
    let (took, kind, text) = first_failure(config.max_block(SHORT))?;
    assert_eq!(kind, ProduceErrorKind::MetadataTimeout, "{what}: {text}");
    println!("    {what}: {took:.0?}: {text}");
    assert!(took < SHORT + AT_ONCE, "{what} took {took:?}");
    assert!(
        words.iter().all(|word| text.contains(word)),
        "{what}: {text}"
    );
    Ok(())
}

/// What the future of `send` says, and when.
fn first_failure(
    config: ProducerConfigBuilder,
) -> Result<(Duration, ProduceErrorKind, String), Box<dyn std::error::Error>> {
    let producer = build(config)?;
    let began = Instant::now();
    let sent = producer.send(ProducerRecord::new("nowhere", &b"x"[..]));
    let error = sent?.get().expect_err("nothing can be sent");
    let took = began.elapsed();
    producer.close()?;
    Ok((took, error.kind().clone(), error.to_string()))
}

/// Answers everything as a web server does that does not know what it was asked.
fn web_server() -> std::io::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    // Ends with this process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        }
    });
    Ok(address.to_string())
}
