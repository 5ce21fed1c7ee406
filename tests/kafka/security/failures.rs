//! TLS and SASL failures: the error of a record names the cause and the configuration key to change, and arrives in
//! time.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kafka_producer::{
    ProduceErrorKind, ProducerConfig, ProducerConfigBuilder, ProducerRecord, SecurityProtocol,
};

use super::certificates::Authority;
use super::records::VERSIONS;
use super::rig::{
    ELSEWHERE, EXPIRED, Mechanism, Properties, Rig, USER, Wire, rig, trusting, with_certificate,
};
use crate::producer::{self, build};
use crate::published::write_between;
use crate::runner::{TestResult, tests};

tests![each_failure_is_reported_with_its_cause_in_time];

/// `max.block.ms` for permanent failures, which must be reported earlier.
const MAX_BLOCK: Duration = Duration::from_secs(60);
const AT_ONCE: Duration = Duration::from_secs(5);
/// `max.block.ms` for failures that may be transient, which are retried until it has passed.
const SHORT: Duration = Duration::from_secs(3);
/// Maximum length of a text in the table, in characters.
const TEXT_CHARS: usize = 420;
const TOPIC: &str = "nowhere";

/// When a failure is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timing {
    AtOnce,
    /// At the end of `max.block.ms`, because the failure may be transient.
    InTheEnd,
}

struct Case {
    what: &'static str,
    config: ProducerConfigBuilder,
    timing: Timing,
    words: [&'static str; 2],
}

/// The results of one case with one version of Kafka.
struct Row {
    version: &'static str,
    what: &'static str,
    /// Latency of `send`, of its future, and of `partitions_for`.
    took: [Duration; 3],
    text: String,
}

static ROWS: Mutex<Vec<Row>> = Mutex::new(Vec::new());

fn each_failure_is_reported_with_its_cause_in_time() -> TestResult {
    for version in VERSIONS {
        let rig = rig(version)?;
        for case in cases(&rig)? {
            let row = run(case, version)?;
            println!(
                "    Kafka {version}, {}: {}: {}",
                row.what,
                times(&row),
                row.text
            );
            ROWS.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(row);
        }
    }
    Ok(())
}

fn cases(rig: &Rig) -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    let stranger = Authority::new(1);
    let foreign = stranger.issue(&["client"]);
    let login = ["uthentication failed", "sasl.jaas.config"];
    let authority = ["not signed by an authority", "ssl.truststore.location"];
    let certificate = ["client certificate", "ssl.keystore.location"];
    let [tls12, tls13] =
        [Wire::Tls12, Wire::Tls13].map(|wire| rig.servers(&Mechanism::Ssl.listener(wire)));
    let mtls = |wire| rig.config(&Mechanism::Mtls.listener(wire));
    let sasl = |mechanism| {
        let properties = rig.properties(mechanism, Wire::Tls13);
        config_of(properties)
    };
    let at_once = |what, config, words| Case {
        what,
        config,
        timing: Timing::AtOnce,
        words,
    };
    let in_the_end = |what, config, words| Case {
        what,
        config,
        timing: Timing::InTheEnd,
        words,
    };
    Ok(vec![
        at_once(
            "wrong password, PLAIN",
            sasl(Mechanism::Plain).sasl_plain(USER, "guessed"),
            login,
        ),
        at_once(
            "wrong password, SCRAM-SHA-512",
            sasl(Mechanism::Scram512).sasl_scram_sha_512(USER, "guessed"),
            login,
        ),
        at_once(
            "unknown mechanism",
            sasl(Mechanism::Scram512).sasl_plain(USER, "guessed"),
            ["it offers: SCRAM-SHA-512", "sasl.mechanism"],
        ),
        at_once(
            "SASL to a listener without SASL",
            producer::config(&rig.servers("PLAINTEXT"))
                .security_protocol(SecurityProtocol::SaslPlaintext)
                .sasl_plain(USER, "guessed"),
            ["does not authenticate clients", "security.protocol"],
        ),
        at_once(
            "untrusted certificate authority",
            trusting(&tls13, &stranger),
            authority,
        ),
        at_once(
            "untrusted certificate authority, TLS 1.2",
            trusting(&tls12, &stranger),
            authority,
        ),
        at_once(
            "expired certificate",
            rig.config(EXPIRED),
            ["has expired", "ssl.truststore.location"],
        ),
        at_once(
            "certificate for another host",
            rig.config(ELSEWHERE),
            ["not valid for 127.0.0.1, but for", "elsewhere.test"],
        ),
        at_once("no client certificate", mtls(Wire::Tls13), certificate),
        at_once(
            "no client certificate, TLS 1.2",
            mtls(Wire::Tls12),
            certificate,
        ),
        at_once(
            "client certificate of another authority",
            with_certificate(mtls(Wire::Tls13), &foreign),
            certificate,
        ),
        at_once(
            "client certificate of another authority, TLS 1.2",
            with_certificate(mtls(Wire::Tls12), &foreign),
            certificate,
        ),
        at_once(
            "no common TLS version",
            trusting(&tls13, &rig.authority).set("ssl.enabled.protocols", "TLSv1.2"),
            ["no TLS version", "ssl.enabled.protocols"],
        ),
        at_once(
            "TLS to a web server",
            trusting(&web_server()?, &stranger),
            ["plain HTTP", "bootstrap.servers"],
        ),
        // The producer retries, because a plain text listener closes the connection, like a broker that restarts.
        in_the_end(
            "TLS to a plain text listener",
            trusting(&rig.servers("PLAINTEXT"), &stranger),
            ["plain text listener", "security.protocol"],
        ),
        in_the_end(
            "plain text to a TLS listener",
            producer::config(&tls13),
            ["expects TLS", "broker -1"],
        ),
    ])
}

fn config_of(properties: Properties) -> ProducerConfigBuilder {
    // The case sets the login.
    properties
        .into_iter()
        .filter(|(key, _)| !key.starts_with("sasl."))
        .fold(ProducerConfig::builder(), |config, (key, value)| {
            config.set(key, value)
        })
}

fn run(case: Case, version: &'static str) -> Result<Row, Box<dyn std::error::Error>> {
    let Case {
        what,
        config,
        timing,
        words,
    } = case;
    let (max_block, limit, expected) = match timing {
        Timing::AtOnce => (MAX_BLOCK, AT_ONCE, ProduceErrorKind::Authentication),
        Timing::InTheEnd => (SHORT, SHORT + AT_ONCE, ProduceErrorKind::MetadataTimeout),
    };
    let producer = build(config.max_block(max_block))?;
    let began = Instant::now();
    let sent = producer.send(ProducerRecord::new(TOPIC, &b"x"[..]))?;
    let of_send = began.elapsed();
    let error = sent.get().expect_err("nothing can be sent");
    let of_future = began.elapsed();
    let began = Instant::now();
    let also = producer
        .partitions_for(TOPIC)
        .expect_err("nothing can be sent")
        .to_string();
    let of_partitions = began.elapsed();
    producer.close()?;
    let text = error.to_string();
    if *error.kind() != expected {
        return Err(format!("{what}: {:?}: {text}", error.kind()).into());
    }
    for text in [&text, &also] {
        if let Some(word) = words.iter().find(|word| !text.contains(*word)) {
            return Err(format!("{what}: {word:?} is missing in {text}").into());
        }
    }
    let took = [of_send, of_future, of_partitions];
    if took.iter().any(|took| *took > limit) {
        return Err(format!("{what}: it took {took:?}: {text}").into());
    }
    Ok(Row {
        version,
        what,
        took,
        text: timeless(&text),
    })
}

fn times(row: &Row) -> String {
    let [send, future, partitions_for] = row.took.map(|took| took.as_millis());
    format!("{send}, {future}, {partitions_for} ms")
}

/// Removes ports and limits, which differ between runs, and the beginning and end that all texts have.
fn timeless(text: &str) -> String {
    const LOOPBACK: &str = "127.0.0.1:";
    let mut result = String::new();
    let mut rest = text;
    let topic = format!("{TOPIC}: ");
    rest = rest.strip_prefix(&*topic).unwrap_or(rest);
    rest = rest.strip_suffix(" (not written)").unwrap_or(rest);
    while let Some((before, after)) = rest.split_once(LOOPBACK) {
        result.push_str(before);
        result.push_str("HOST:PORT");
        rest = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
    }
    result.push_str(rest);
    if let Some((before, after)) = result.split_once(", which says ") {
        let end = after.find(')').unwrap_or(after.len());
        result = format!("{before}{}", &after[end..]);
    }
    result
}

/// Writes the results into the documentation; returns false if there are none.
pub(super) fn publish() -> Result<bool, Box<dyn std::error::Error>> {
    let rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
    if rows.is_empty() {
        return Ok(false);
    }
    let mut table = String::new();
    write!(table, "| failure |")?;
    for version in VERSIONS {
        write!(table, " Kafka {version} |")?;
    }
    writeln!(
        table,
        " error |\n|---|{}---|",
        "---|".repeat(VERSIONS.len())
    )?;
    let mut before: Vec<String> = Vec::new();
    for row in rows.iter().filter(|row| row.version == VERSIONS[0]) {
        let all: Vec<&Row> = rows.iter().filter(|other| other.what == row.what).collect();
        let text = if all.iter().all(|each| each.text == row.text) {
            shortened(&row.text)
        } else {
            let each = all
                .iter()
                .map(|each| format!("{}: {}", each.version, shortened(&each.text)));
            each.collect::<Vec<_>>().join("<br>")
        };
        // A row with the same error as an earlier row is left out, such as the same failure with the other TLS version.
        if before.contains(&text) {
            continue;
        }
        write!(table, "| {} |", row.what)?;
        for each in &all {
            write!(table, " {} |", times(each))?;
        }
        writeln!(table, " {text} |")?;
        before.push(text);
    }
    write_between("docs/SECURITY.md", "failures", &table)?;
    Ok(true)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A web server that responds to everything with an error.
fn web_server() -> std::io::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    // The thread ends with this process.
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
