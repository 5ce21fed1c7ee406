//! GSSAPI (Kerberos): a KDC of MIT, and Kafka 3.0.0 with a keytab.
//!
//! The Kerberos library takes its files from the environment, which must be complete before a process starts. So the
//! test runs in a process of its own, which is this program again; a ticket cache is tested with the command line tool.

mod kdc;

use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::{ProduceErrorKind, ProducerConfig, ProducerConfigBuilder, ProducerRecord};

use self::kdc::{BRIEF, BROKER, EXACT, REALM, Realm};
use super::records::cell;
use super::reload::connections;
use super::rig::{Mechanism, Properties, Rig, Wire};
use super::table::{self, Cell};
use crate::producer::{Producer, build};
use crate::runner::{TestResult, tests};

tests![a_keytab_and_a_ticket_cache_work_with_kafka_3_0_0];

/// Environment variable with the folder of the realm, for the process of the test.
pub(crate) const ROLE: &str = "KAFKA_GSSAPI_REALM";
/// The version of the matrix.
pub(super) const VERSION: &str = "3.0.0";

const OURS: &str = env!("CARGO_BIN_EXE_kafka-producer-perf-test");
/// The file with the results for the table, a line for each transport.
const CELLS: &str = "cells";
const TOPIC: &str = "kerberos";

/// Upper bound of the latency of an immediate failure.
const AT_ONCE: Duration = Duration::from_secs(5);
/// Upper bound of the time until an event that must come.
const LONG: Duration = Duration::from_secs(30);
/// `connections.max.idle.ms` of a producer whose connections are replaced.
const IDLE: Duration = Duration::from_secs(1);
/// `max.block.ms` for failures that are retried until it has passed.
const SHORT: Duration = Duration::from_secs(6);
/// `socket.connection.setup.timeout.ms` with a KDC that hangs.
const SETUP: Duration = Duration::from_secs(2);

fn a_keytab_and_a_ticket_cache_work_with_kafka_3_0_0() -> TestResult {
    let realm = Realm::create()?;
    let mut child = Command::new(std::env::current_exe()?)
        .env(ROLE, realm.folder())
        .envs(realm.environment())
        .stdin(Stdio::piped())
        .spawn()?;
    // The process ends when its input does: with this one, at the latest.
    let input = child.stdin.take();
    let status = child.wait()?;
    drop(input);
    let cells = fs::read_to_string(realm.folder().join(CELLS)).unwrap_or_default();
    let mut cells = cells.lines();
    for wire in Wire::ALL {
        let found = cells.next().map(|text| Cell::Arrived(text.to_owned()));
        table::note(
            VERSION,
            Mechanism::Gssapi,
            wire,
            found.unwrap_or(Cell::Failed),
        );
    }
    if status.success() {
        Ok(())
    } else {
        Err(format!("the process with the environment of Kerberos: {status}, see above").into())
    }
}

/// The process of the test, in the environment of Kerberos.
pub(crate) fn run(folder: &OsStr) -> ExitCode {
    thread::spawn(|| {
        // Its end is that of the owner.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(1);
    });
    match all(Path::new(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn all(folder: &Path) -> TestResult {
    let realm = Realm::in_folder(folder)?;
    let kdc = realm.start()?;
    let rig = Rig::start(VERSION, &[Mechanism::Gssapi])?;
    let mut cells = String::new();
    for wire in Wire::ALL {
        writeln!(cells, "{}", cell(&rig, Mechanism::Gssapi, wire)?)?;
        fs::write(folder.join(CELLS), &cells)?;
    }
    rig.cluster.create_topic(TOPIC, 1, &[])?;
    tickets(&rig, &realm)?;
    at_once(&rig)?;
    drop(kdc);
    without_a_kdc(&rig, &realm)?;
    with_a_hung_kdc(&rig, &realm)
}

/// The broker's `sasl.jaas.config`.
pub(super) fn jaas_of_broker() -> String {
    let keytab = file_of_realm("broker.keytab");
    format!(
        "com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true keyTab=\"{keytab}\" \
         principal=\"{BROKER}@{REALM}\" serviceName=\"kafka\";"
    )
}

/// The client's, as for a Java client.
pub(super) fn jaas_of_client(principal: &str) -> String {
    let keytab = file_of_realm("clients.keytab");
    format!(
        "com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true keyTab=\"{keytab}\" \
         principal=\"{principal}@{REALM}\";"
    )
}

fn file_of_realm(name: &str) -> String {
    let folder = std::env::var_os(ROLE).unwrap_or_default();
    Path::new(&folder).join(name).display().to_string()
}

fn properties(rig: &Rig, jaas: &str) -> Properties {
    let mut properties = rig.properties(Mechanism::Gssapi, Wire::PlainText);
    for (key, value) in &mut properties {
        if *key == "sasl.jaas.config" {
            jaas.clone_into(value);
        }
    }
    properties
}

fn config(rig: &Rig, principal: &str) -> ProducerConfigBuilder {
    let properties = properties(rig, &jaas_of_client(principal));
    properties
        .into_iter()
        .fold(ProducerConfig::builder(), |config, (key, value)| {
            config.set(key, value)
        })
}

fn deliver(producer: &Producer) -> TestResult {
    let record = ProducerRecord::new(TOPIC, &b"x"[..]);
    Ok(producer.send(record)?.get().map(drop)?)
}

/// Tickets of a cache are used until they expire; those of a keytab are renewed for the next connection.
fn tickets(rig: &Rig, realm: &Realm) -> TestResult {
    let cache = realm.file("cache");
    let of_cache = format!(
        "com.sun.security.auth.module.Krb5LoginModule required useTicketCache=true ticketCache=\"{cache}\";"
    );
    let with_keytab = run_tool(rig, realm, &jaas_of_client("brief"), &cache, true)?;
    assert_eq!(with_keytab, "", "with the keytab");
    let idle = IDLE.as_millis().to_string();
    let producer = build(config(rig, "brief").set("connections.max.idle.ms", idle))?;
    deliver(&producer)?;
    let expires = Instant::now() + BRIEF + Duration::from_secs(1);
    let with_cache = run_tool(rig, realm, &of_cache, &cache, false)?;
    assert_eq!(with_cache, "", "with the ticket cache");
    let exact = run_exact(rig, realm)?;
    let words = "kafka/127.0.0.1@KAFKA.TEST not found";
    assert!(exact.contains(words), "{exact}");
    thread::sleep(expires.saturating_duration_since(Instant::now()));
    deliver_by_a_new_connection(&producer)?;
    producer.close()?;
    let expired = run_tool(rig, realm, &of_cache, &cache, false)?;
    println!("    an expired ticket: {expired}");
    assert!(expired.contains("expired"), "{expired}");
    Ok(())
}

/// Delivers a record by a connection that is opened after this call began: idle ones are closed, and of the new ones
/// the second begins after the end of the first.
fn deliver_by_a_new_connection(producer: &Producer) -> TestResult {
    let before = connections(producer)?;
    let began = Instant::now();
    while connections(producer)? < before + 2 {
        assert!(began.elapsed() < LONG, "no new connection");
        thread::sleep(IDLE + IDLE / 2);
        deliver(producer)?;
    }
    deliver(producer)
}

/// As [`run_tool`], with the host name as the broker advertises it: its address. The ticket is not kept in a file.
fn run_exact(rig: &Rig, realm: &Realm) -> Result<String, Box<dyn Error>> {
    let mut tool = tool(rig, realm, &jaas_of_client("alice"), "MEMORY:")?;
    ended(tool.env("KRB5_CONFIG", realm.file(EXACT)))
}

/// Sends a record with the command line tool and this ticket cache, with or without the keytab. Returns what it
/// wrote to standard error: nothing if the record was delivered.
fn run_tool(
    rig: &Rig,
    realm: &Realm,
    jaas: &str,
    cache: &str,
    has_keytab: bool,
) -> Result<String, Box<dyn Error>> {
    let mut tool = tool(rig, realm, jaas, &format!("FILE:{cache}"))?;
    if !has_keytab {
        tool.env_remove("KRB5_CLIENT_KTNAME");
    }
    ended(&mut tool)
}

fn ended(tool: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = tool.output()?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn tool(rig: &Rig, realm: &Realm, jaas: &str, cache: &str) -> Result<Command, Box<dyn Error>> {
    let mut text = String::new();
    for (key, value) in properties(rig, jaas) {
        writeln!(text, "{key}={value}")?;
    }
    let file = realm.folder().join("client.properties");
    fs::write(&file, text)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    let mut command = Command::new(OURS);
    command
        .args([
            "--topic",
            TOPIC,
            "--record-size",
            "10",
            "--throughput",
            "-1",
        ])
        .args([
            "--num-records",
            "1",
            "--producer-props",
            "max.block.ms=10000",
        ])
        .arg("--producer.config")
        .arg(file)
        .env("KRB5CCNAME", cache);
    Ok(command)
}

/// Sends a record, which must fail. Returns the latency and the text of the error.
fn failure(
    producer: &Producer,
    kind: &ProduceErrorKind,
    words: &[&str],
) -> Result<(Duration, String), Box<dyn Error>> {
    let began = Instant::now();
    let record = ProducerRecord::new(TOPIC, &b"x"[..]);
    let error = producer
        .send(record)?
        .get()
        .expect_err("nothing can be sent");
    let took = began.elapsed();
    let text = error.to_string();
    println!("    {took:.2?}: {text}");
    if error.kind() != kind {
        return Err(format!("{:?}: {text}", error.kind()).into());
    }
    match words.iter().find(|words| !text.contains(**words)) {
        Some(words) => Err(format!("{words:?} is missing in {text}").into()),
        None => Ok((took, text)),
    }
}

fn at_once(rig: &Rig) -> TestResult {
    let wrong_service = config(rig, "alice").set("sasl.kerberos.service.name", "broker");
    let not_in_database = "broker/localhost@KAFKA.TEST not found in Kerberos database";
    for (config, words) in [
        (
            wrong_service,
            [not_in_database, "sasl.kerberos.service.name"],
        ),
        (
            config(rig, "nobody"),
            ["nobody@KAFKA.TEST", "sasl.jaas.config"],
        ),
    ] {
        let producer = build(config)?;
        let (took, text) = failure(&producer, &ProduceErrorKind::Authentication, &words)?;
        assert!(took < AT_ONCE, "{took:?}: {text}");
        producer.close()?;
    }
    Ok(())
}

/// No KDC listens: the error names the realm, and the producer works once there is one.
fn without_a_kdc(rig: &Rig, realm: &Realm) -> TestResult {
    let producer = build(config(rig, "bob").max_block(SHORT))?;
    let words = ["Cannot contact any KDC for realm 'KAFKA.TEST'", "krb5.conf"];
    let (took, text) = failure(&producer, &ProduceErrorKind::MetadataTimeout, &words)?;
    assert!(took < SHORT + AT_ONCE, "{took:?}: {text}");
    let kdc = realm.start()?;
    let began = Instant::now();
    while let Err(error) = deliver(&producer) {
        assert!(began.elapsed() < LONG, "{error}");
    }
    println!(
        "    delivered {:.2?} after the start of the KDC",
        began.elapsed()
    );
    producer.close()?;
    drop(kdc);
    Ok(())
}

/// The KDC accepts connections and never responds, so that the call of the library never returns.
fn with_a_hung_kdc(rig: &Rig, realm: &Realm) -> TestResult {
    let _hung = realm.start_hung()?;
    let config = config(rig, "carol")
        .max_block(SHORT)
        .set(
            "socket.connection.setup.timeout.ms",
            SETUP.as_millis().to_string(),
        )
        .set(
            "socket.connection.setup.timeout.max.ms",
            SETUP.as_millis().to_string(),
        );
    let producer = build(config)?;
    // The ticket of the first connection, or the turn of a later one.
    let words = ["Kerberos", "may ask a KDC of krb5.conf"];
    let (took, text) = failure(&producer, &ProduceErrorKind::MetadataTimeout, &words)?;
    assert!(took < SHORT + AT_ONCE, "{took:?}: {text}");
    let began = Instant::now();
    producer.close()?;
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(1),
        "close does not wait for the call: {took:?}"
    );
    Ok(())
}
