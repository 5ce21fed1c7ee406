//! Runs each built driver in every mode against the embedded broker, and checks the records that arrived.
//!
//! ```text
//! cargo run --release                      all drivers
//! cargo run --release -- rdkafka-base --build --figure
//! ```

mod driver;
mod scenarios;
mod verify;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use driver::{Description, Driver};
use kafka_producer::testing::{TestCluster, TestTls};
use lexopt::prelude::{Long, Short, ValueExt};
use scenarios::{PARTITIONS, PAYLOAD_BYTES, Scenario};
use serde_json::{Value, json};

// The published key of an example.
const KEY: &str = include_str!("../../../../../examples/tls_sasl/broker.key");
const CERTIFICATE: &str = include_str!("../../../../../examples/tls_sasl/broker.pem");
const AUTHORITY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../../examples/tls_sasl/authority.pem"
);

const HELP: &str = "\
Puts drivers through every mode against the embedded broker, and checks the records that arrived.

  NAME…              which drivers (default: all that are producers)
  --build            build them first
  --records N        records of a round (default: 20000)
  --figure [N]       only send N records of 100 bytes (default: 2000000), and print the cost of one
  --bootstrap H:P    send to this cluster instead, which has a topic `bench` of 12 partitions;
                     the records are not checked then
  --verbose          show what drivers answer";

#[derive(Debug, Default)]
struct Options {
    names: Vec<String>,
    build: bool,
    records: u64,
    figure: Option<u64>,
    bootstrap: Option<String>,
    verbose: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(options) = parse(lexopt::Parser::from_env())? else {
        println!("{HELP}");
        return Ok(());
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut drivers = Description::all(&folder)?;
    if options.names.is_empty() {
        drivers.retain(Description::is_producer);
    } else {
        for name in &options.names {
            if !drivers.iter().any(|driver| driver.name == *name) {
                return Err(format!("there is no driver {name} in {}", folder.display()).into());
            }
        }
        drivers.retain(|driver| options.names.contains(&driver.name));
    }
    let files = Files::write()?;
    let mut failed = 0;
    for driver in &drivers {
        if options.build {
            driver.build()?;
        }
        println!("{}", driver.name);
        for scenario in chosen(&options) {
            match check(driver, &scenario, &options, &files) {
                Ok(Seen::Fine(what)) => println!("  ok      {:<20} {what}", scenario.name),
                Ok(Seen::Unable(why)) => println!("  unable  {:<20} {why}", scenario.name),
                Err(error) => {
                    failed += 1;
                    println!("  FAILED  {:<20} {error}", scenario.name);
                }
            }
        }
    }
    if failed > 0 {
        return Err(format!("{failed} scenarios failed").into());
    }
    Ok(())
}

fn chosen(options: &Options) -> Vec<Scenario> {
    let Some(records) = options.figure else {
        let mut all = scenarios::all(options.records);
        // An external cluster must not be made to hang.
        all.retain(|scenario| !scenario.hangs || options.bootstrap.is_none());
        // An external cluster does not use this authority.
        all.retain(|scenario| {
            scenario.changes.get("authority").is_none() || options.bootstrap.is_none()
        });
        return all;
    };
    let figure = |name, changes| Scenario {
        name,
        changes,
        // The first round is a warm-up.
        rounds: vec![scenarios::round("blast", records); 3],
        hangs: false,
    };
    vec![
        figure("base", json!({"idempotent": true})),
        figure("base, not idempotent", json!({})),
    ]
}

fn parse(mut parser: lexopt::Parser) -> Result<Option<Options>, Box<dyn Error>> {
    let mut options = Options {
        records: 20_000,
        ..Options::default()
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("build") => options.build = true,
            Long("verbose") => options.verbose = true,
            Long("records") => options.records = parser.value()?.parse()?,
            Long("figure") => {
                let count = parser.optional_value();
                let count = count.map_or(Ok(2_000_000), |count| count.parse());
                options.figure = Some(count?);
            }
            Long("bootstrap") => options.bootstrap = Some(parser.value()?.string()?),
            Long("help") | Short('h') => return Ok(None),
            lexopt::Arg::Value(name) => options.names.push(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(options))
}

/// Files of values and keys. All are different, so that a value or key that arrives changed is detected.
#[derive(Debug)]
struct Files {
    payloads: PathBuf,
    text: PathBuf,
    keys: PathBuf,
}

impl Files {
    fn write() -> Result<Self, Box<dyn Error>> {
        let folder = std::env::temp_dir();
        let own = std::process::id();
        let files = Self {
            payloads: folder.join(format!("peer-check-{own}-payloads")),
            text: folder.join(format!("peer-check-{own}-text")),
            keys: folder.join(format!("peer-check-{own}-keys")),
        };
        std::fs::write(&files.payloads, verify::blocks(1000, PAYLOAD_BYTES))?;
        std::fs::write(&files.text, verify::text(1000, PAYLOAD_BYTES))?;
        std::fs::write(&files.keys, verify::blocks(400, scenarios::KEY_BYTES))?;
        Ok(files)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for file in [&self.payloads, &self.text, &self.keys] {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// The result of a scenario that did not fail.
enum Seen {
    Fine(String),
    Unable(String),
}

fn check(
    driver: &Description,
    scenario: &Scenario,
    options: &Options,
    files: &Files,
) -> Result<Seen, Box<dyn Error>> {
    let mut builder = TestCluster::builder().topic("bench", PARTITIONS);
    // Compressed records are only counted.
    let is_compressed = scenario.changes.get("compression").is_some();
    let counts_only = options.figure.is_some() || is_compressed;
    if counts_only {
        builder = builder.sink();
    }
    let is_sealed = scenario.changes.get("authority").is_some();
    if is_sealed {
        builder = builder.tls(TestTls::new(CERTIFICATE, KEY));
    }
    let cluster = builder.start()?;
    let mut setup = scenarios::base();
    for (name, value) in scenario.changes.as_object().into_iter().flatten() {
        setup[name] = value.clone();
    }
    setup["bootstrap"] = json!(match &options.bootstrap {
        Some(elsewhere) => elsewhere.clone(),
        None => cluster.bootstrap_servers(),
    });
    setup["payloads"] = json!(if is_compressed {
        &files.text
    } else {
        &files.payloads
    });
    if is_sealed {
        setup["authority"] = json!(AUTHORITY);
    }
    if !setup["keys"].is_null() {
        setup["keys"] = json!(files.keys);
    }

    let mut running = driver.start()?;
    let answer = running.ask(&setup)?;
    if options.verbose {
        println!("{answer:#}");
    }
    if let Some(why) = answer["unable"].as_str() {
        running.quit()?;
        return Ok(Seen::Unable(why.to_owned()));
    }
    if answer["ok"] != true || !answer["client"].is_string() || !answer["settings"].is_object() {
        return Err(format!("setup was answered with {answer}").into());
    }
    if scenario.hangs {
        give_up(&mut running, &cluster, scenario)?;
        running.quit()?;
        return Ok(Seen::Fine(String::new()));
    }
    let mut figures = Vec::new();
    let mut records = 0;
    for round in &scenario.rounds {
        figures.push(produce(&mut running, round, options.verbose)?);
        records += round["records"].as_u64().unwrap_or_default();
    }
    running.quit()?;
    if options.bootstrap.is_none() {
        if counts_only {
            verify::count(&cluster, records)?;
        } else {
            verify::contents(&cluster, &setup, records)?;
        }
    }
    let mut figures = figures.join("; ");
    if is_compressed && options.bootstrap.is_none() {
        figures.push_str(&verify::compressed(&cluster, records)?);
    }
    Ok(Seen::Fine(figures))
}

/// Runs a round, and returns its cost as text.
fn produce(running: &mut Driver, round: &Value, verbose: bool) -> Result<String, Box<dyn Error>> {
    let before = running.cpu();
    let answer = running.ask(round)?;
    let after = running.cpu();
    if verbose && round["mode"] == "blast" {
        println!("{answer}");
    }
    let records = round["records"].as_u64().unwrap_or_default();
    let is_complete = answer["ok"] == true
        && answer["sent"] == records
        && answer["acked"] == records
        && answer["failed"] == 0
        && answer["first_error"].is_null();
    let seconds = answer["seconds"].as_f64().unwrap_or_default();
    if !is_complete || seconds <= 0.0 {
        return Err(format!("{records} records were answered with {answer}").into());
    }
    let mut figures = format!("{:.0}/s", records as f64 / seconds);
    if let (Some(before), Some(after)) = (before, after) {
        let micros = (after - before).as_micros() as f64 / records as f64;
        figures.push_str(&format!(" {micros:.2} µs CPU"));
    }
    // The number of latencies: one for each record, or for each group; the last group may be smaller.
    let timed = match round["mode"].as_str() {
        Some("blast") => None,
        Some("groups") => Some(records.div_ceil(round["group"].as_u64().unwrap_or(1).max(1))),
        _ => Some(records),
    };
    if let Some(timed) = timed {
        figures.push_str(&verify::latencies(&answer["latency_ns"], timed)?);
    }
    Ok(figures)
}

/// Runs a round while all brokers hang. It must take between one and two times `GIVE_UP_MS`.
fn give_up(
    running: &mut Driver,
    cluster: &TestCluster,
    scenario: &Scenario,
) -> Result<(), Box<dyn Error>> {
    for node in cluster.node_ids() {
        cluster.hang_node(node);
    }
    let start = Instant::now();
    let answer = running.ask(&scenario.rounds[0])?;
    let took = start.elapsed();
    let limit = Duration::from_millis(scenarios::GIVE_UP_MS);
    if took < limit || took > limit * 2 {
        return Err(format!("it gave up after {took:?} instead of {limit:?}: {answer}").into());
    }
    if answer["ok"] != true || answer["acked"] != 0 {
        return Err(format!("all brokers hang, but the driver answered {answer}").into());
    }
    for node in cluster.node_ids() {
        cluster.resume_node(node);
    }
    Ok(())
}
