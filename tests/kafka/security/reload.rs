//! Client certificates that are replaced while a producer sends: no record fails, and a broker that trusts only the new
//! authority refuses the old certificate afterwards.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use kafka_producer::{ProduceErrorKind, ProducerConfigBuilder, ProducerRecord};

use super::certificates::Authority;
use super::rig::{NEW_AUTHORITY, NEW_CLIENTS, OLD_AND_NEW_CLIENTS, rig};
use crate::ledger::{Ledger, Reading};
use crate::producer::{self, Producer, build};
use crate::runner::{TestResult, tests};
use crate::workload::send;

tests![certificates_are_replaced_while_records_are_sent];

const REPLACEMENTS: i32 = 20;
/// The number of the replacement whose file is broken.
const BROKEN: i32 = 10;
const TOPIC: &str = "security-reload";
const CAPACITY: usize = 100_000;
const BURST: usize = 100;
/// The time-out of idle connections, and the longer pause after each burst: each burst has a connection of its own.
const IDLE: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_millis(120);
/// The time-out of a new connection.
const SOON: Duration = Duration::from_secs(30);

fn certificates_are_replaced_while_records_are_sent() -> TestResult {
    let rig = rig("3.0.0")?;
    let new = Authority::new(NEW_AUTHORITY);
    let folder = rig.cluster.folder().join("reloaded");
    fs::create_dir_all(&folder)?;
    replace(&folder, "trust.pem", &rig.authority.pem())?;
    replace(
        &folder,
        "client.pem",
        &rig.authority.client_until(2031).pem(),
    )?;
    rig.cluster.create_topic(TOPIC, 1, &[])?;
    let producer =
        build(config(&rig.servers(OLD_AND_NEW_CLIENTS), &folder).connections_max_idle(Some(IDLE)))?;
    let ledger = Ledger::new(TOPIC, 1, CAPACITY);
    let stop = AtomicBool::new(false);
    let replaced = thread::scope(|scope| {
        scope.spawn(|| {
            let mut numbers = 0..CAPACITY;
            while !stop.load(Ordering::Relaxed) {
                for number in numbers.by_ref().take(BURST) {
                    // The callback stores the result in the ledger.
                    drop(send(&producer, &ledger, 0, number, None));
                }
                producer.flush().expect("this is no callback");
                thread::sleep(PAUSE);
            }
        });
        let replaced = replace_certificates(&producer, &folder, [&rig.authority, &new]);
        stop.store(true, Ordering::Relaxed);
        replaced
    });
    let connections = replaced?;
    let sent = ledger.sent().count();
    let tally = ledger.tally();
    if tally.acknowledged != sent {
        return Err(format!("not all of {sent} were acknowledged: {tally:?}").into());
    }
    producer.close()?;
    let mut reading = Reading::new(&ledger);
    rig.cluster.read_back(TOPIC, |record| {
        reading.see(&record);
    })?;
    reading.finish().assert_once_and_in_order();

    // The last certificate is of the new authority.
    let renewed = config(&rig.servers(NEW_CLIENTS), &folder);
    let accepted = build(renewed.clone())?;
    accepted
        .send(ProducerRecord::new(TOPIC, &b"x"[..]))?
        .get()?;
    replace(
        &folder,
        "client.pem",
        &rig.authority.client_until(2031).pem(),
    )?;
    let refused = build(renewed)?;
    let error = refused
        .send(ProducerRecord::new(TOPIC, &b"x"[..]))?
        .get()
        .expect_err("the broker does not trust the old authority");
    let text = error.to_string();
    if *error.kind() != ProduceErrorKind::Authentication || !text.contains("client certificate") {
        return Err(format!("{:?}: {text}", error.kind()).into());
    }
    rig.cluster.delete_topic(TOPIC)?;
    println!(
        "    Kafka {}: {REPLACEMENTS} replacements, {sent} records over {connections} connections; then: {text}",
        rig.cluster.version(),
    );
    Ok(())
}

/// Replaces the certificate again and again, by one of each authority in turn, and waits for a connection with each.
/// Returns the number of connections.
fn replace_certificates(
    producer: &Producer,
    folder: &Path,
    authorities: [&Authority; 2],
) -> Result<u64, Box<dyn Error>> {
    for number in 1..=REPLACEMENTS {
        let authority = authorities[usize::from(number % 2 == 0)];
        let keys = authority.client_until(2031 + number).pem();
        if number == BROKEN {
            replace(folder, "client.pem", &keys[..keys.len() / 2])?;
            let error = producer.reload_tls().expect_err("half a file");
            println!("    {error}");
        } else {
            replace(folder, "client.pem", &keys)?;
            if !producer.reload_tls()?.key_store_changed() {
                return Err(format!("replacement {number} was not noticed").into());
            }
        }
        let (before, end) = (connections(producer)?, Instant::now() + SOON);
        // The second one certainly began after the replacement.
        while connections(producer)? < before + 2 {
            if Instant::now() > end {
                return Err(format!("no new connection after replacement {number}").into());
            }
            thread::sleep(IDLE);
        }
    }
    connections(producer)
}

/// The number of connections that the producer has made.
pub(super) fn connections(producer: &Producer) -> Result<u64, Box<dyn Error>> {
    let metrics = producer.metrics();
    let metric = metrics.get("producer-metrics", "connection-creation-total", &[]);
    let metric = metric.ok_or("there is no such metric")?;
    Ok(metric.value().as_f64().ok_or("it is not a number")? as u64)
}

/// Replaces a file by renaming a complete one.
fn replace(folder: &Path, name: &str, content: &str) -> std::io::Result<()> {
    let new = folder.join("new.pem");
    fs::write(&new, content)?;
    fs::rename(new, folder.join(name))
}

fn config(servers: &str, folder: &Path) -> ProducerConfigBuilder {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    producer::config(servers)
        .set("security.protocol", "SSL")
        .set("ssl.truststore.type", "PEM")
        .set("ssl.truststore.location", path("trust.pem"))
        .set("ssl.keystore.type", "PEM")
        .set("ssl.keystore.location", path("client.pem"))
}
