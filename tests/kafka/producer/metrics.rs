//! Our producer's metrics compared with those of Kafka's own producer, after the same load.
//!
//! `UPDATE_VECTORS=1 KAFKA_TESTS=required cargo test --test kafka -- producer::metrics` updates the list of Kafka's
//! metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use kafka_producer::{MetricValue, ProducerRecord};

use super::{build, config};
use crate::harness::Cluster;
use crate::runner::{TestResult, tests};
use crate::shared;

tests![every_metric_of_kafka_exists_and_most_have_the_same_value];

const TOPIC: &str = "metrics-beside-java";
const CLIENT_ID: &str = "beside";
const PARTITIONS: usize = 3;
const RECORD_BYTES: usize = 100;
/// 200 records per second, for 20 seconds.
const RECORDS_OF_A_BURST: usize = 20;
const BURSTS: usize = 200;
const PAUSE: Duration = Duration::from_millis(100);
const LINGER_MS: &str = "5";

/// Minimum number of metrics whose values must agree.
const AGREE: usize = 40;

/// A metric without its value, as in the checked-in list.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Listed {
    group: String,
    name: String,
    /// The names of its tags.
    tags: String,
    kind: String,
    description: String,
}

/// Values by `group:name:{tags}`.
type Values = BTreeMap<String, MetricValue>;

fn every_metric_of_kafka_exists_and_most_have_the_same_value() -> TestResult {
    let cluster = shared::cluster()?;
    cluster.create_topic(TOPIC, PARTITIONS as i32, &[])?;
    let (listed, kafkas) = of_kafkas(&cluster)?;
    let text = list(&listed);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/metrics/tables/java-3.0.0.tsv");
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, &text)?;
    }
    let checked_in = std::fs::read_to_string(&path)?;
    assert!(
        checked_in == text,
        "{} is not what Java lists",
        path.display()
    );

    let ours = of_ours(&cluster.bootstrap_servers())?;
    let missing: Vec<&String> = kafkas
        .keys()
        .filter(|name| !ours.contains_key(*name))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    // The start time is not compared: the producers were built at different times.
    let is_a_date = |name: &str| name.starts_with("app-info:start-time-ms:");
    let (mut agree, mut numbers) = (0, 0);
    println!("    {:<98} {:>16} {:>16}", "metric", "Kafka 3.0.0", "ours");
    for (name, kafkas) in kafkas.iter().filter(|(name, _)| !is_a_date(name)) {
        let is_alike = match (kafkas, &ours[name]) {
            (MetricValue::Number(kafkas), MetricValue::Number(ours)) => {
                numbers += 1;
                let is_alike = alike(*kafkas, *ours);
                let mark = if is_alike { "=" } else { " " };
                println!("    {name:<98} {kafkas:>16.3} {ours:>16.3} {mark}");
                is_alike
            }
            (MetricValue::Text(_), MetricValue::Text(_)) => false,
            (kafkas, ours) => return Err(format!("{name} is {ours}, not {kafkas}").into()),
        };
        agree += usize::from(is_alike);
    }
    println!("    {agree} of {numbers} numbers agree: within a tenth, or both without a value");
    assert!(agree >= AGREE, "{agree}");
    Ok(())
}

/// Whether the values are within 10 % of each other, both zero, or both NaN.
fn alike(one: f64, other: f64) -> bool {
    if one.is_nan() || other.is_nan() {
        return one.is_nan() && other.is_nan();
    }
    (one - other).abs() <= 0.1 * one.abs().max(other.abs())
}

fn of_kafkas(cluster: &Cluster) -> Result<(BTreeSet<Listed>, Values), Box<dyn std::error::Error>> {
    let configs = [
        ("client.id", CLIENT_ID),
        ("linger.ms", LINGER_MS),
        ("acks", "all"),
    ];
    let load = [
        PARTITIONS,
        RECORD_BYTES,
        RECORDS_OF_A_BURST,
        BURSTS,
        PAUSE.as_millis() as usize,
    ];
    let mut listed = BTreeSet::new();
    let mut values = Values::new();
    for line in cluster.metrics_of_java(&configs, TOPIC, &load)? {
        let fields: Vec<&str> = line.split('\t').collect();
        let [group, name, tags, description, kind, value] = fields[..] else {
            return Err(format!("the helper sent {line:?}").into());
        };
        let names = tags.trim_matches(['{', '}']).split(", ");
        let mut names: Vec<&str> = names
            .filter_map(|tag| Some(tag.split_once('=')?.0))
            .collect();
        names.sort_unstable();
        listed.insert(Listed {
            group: group.to_owned(),
            name: name.to_owned(),
            tags: names.join(","),
            kind: kind.to_owned(),
            description: description.to_owned(),
        });
        let value = if kind == "String" {
            MetricValue::Text(value.into())
        } else {
            MetricValue::Number(value.parse()?)
        };
        values.insert(format!("{group}:{name}:{tags}"), value);
    }
    Ok((listed, values))
}

fn list(listed: &BTreeSet<Listed>) -> String {
    let mut text = String::from(
        "# The metrics of a running producer of Apache Kafka 3.0.0, listed by itself: group, name, names of tags, type of\n\
         # values, Kafka's description. Written by\n\
         # UPDATE_VECTORS=1 KAFKA_TESTS=required cargo test --test kafka -- producer::metrics\n",
    );
    for metric in listed {
        let Listed {
            group,
            name,
            tags,
            kind,
            description,
        } = metric;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{group}\t{name}\t{tags}\t{kind}\t{description}");
    }
    text
}

fn of_ours(servers: &str) -> Result<Values, Box<dyn std::error::Error>> {
    let config = config(servers)
        .client_id(CLIENT_ID)
        .set("linger.ms", LINGER_MS)
        .set("acks", "all");
    let producer = build(config)?;
    let value = [0; RECORD_BYTES];
    let mut futures = Vec::new();
    let start = Instant::now();
    for burst in 0..BURSTS {
        let due = start + PAUSE * burst as u32;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for record in 0..RECORDS_OF_A_BURST {
            let record =
                ProducerRecord::new(TOPIC, &value[..]).with_partition((record % PARTITIONS) as i32);
            futures.push(producer.send(record)?);
        }
    }
    for future in futures {
        future.get()?;
    }
    let metrics = producer.metrics().all().into_iter();
    let values = metrics
        .map(|metric| (metric.name().to_string(), metric.value()))
        .collect();
    producer.close()?;
    Ok(values)
}
