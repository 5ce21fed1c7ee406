//! The embedded broker in a separate process, for benchmarks and for experiments without Kafka.
//!
//! ```text
//! cargo run --release --example embedded_broker -- --sink --topic bench:12
//! ```
//!
//! Prints `bootstrap.servers=HOST:PORT`, and runs until its standard input ends. An input line `hang N` makes broker N
//! hang: it accepts requests and does not respond. `wake` resumes all brokers. `count` prints how many batches the
//! topics have got.
#![allow(clippy::print_stdout, reason = "it prints its address")]

use std::error::Error;
use std::io::BufRead;

use kafka_producer::PartitionId;
use kafka_producer::testing::{Rule, TestCluster, TestTls};
use lexopt::prelude::*;
use rustls::CipherSuite;
use rustls::crypto::CryptoProvider;

const HELP: &str = "\
Runs the embedded broker until standard input ends. The input line `hang N` makes broker N accept requests
without responding to them, and `wake` makes all brokers respond again; `count` counts the batches that the
topics have got. After each input line the program prints a line with the result.

  --topic NAME:PARTITIONS   a topic; may be given more than once
  --nodes N                 how many brokers (default: 1)
  --sink                    acknowledge records and keep only their count
  --tls                     speak TLS 1.3 with AES-256-GCM and nothing else, with the certificate of
                            examples/tls_sasl, whose authority is authority.pem there";

// A published key.
const KEY: &str = include_str!("../../examples/tls_sasl/broker.key");
const CERTIFICATE: &str = include_str!("../../examples/tls_sasl/broker.pem");

fn main() -> Result<(), Box<dyn Error>> {
    let mut builder = TestCluster::builder();
    let mut topics = Vec::<(String, PartitionId)>::new();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("topic") => {
                let text = parser.value()?.string()?;
                let (name, partitions) =
                    text.split_once(':').ok_or("a topic is NAME:PARTITIONS")?;
                builder = builder.topic(name, partitions.parse()?);
                topics.push((name.to_owned(), partitions.parse()?));
            }
            Long("nodes") => builder = builder.nodes(parser.value()?.parse()?),
            Long("sink") => builder = builder.sink(),
            Long("tls") => {
                builder = builder.tls(TestTls::new(CERTIFICATE, KEY).crypto_provider(provider()));
            }
            Long("help") | Short('h') => {
                println!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let cluster = builder.start()?;
    println!("bootstrap.servers={}", cluster.bootstrap_servers());
    for line in std::io::stdin().lock().lines() {
        println!("{}", execute(&cluster, &topics, line?.trim())?);
    }
    Ok(())
}

/// *ring* with a single cipher suite, so that every client uses the same one.
fn provider() -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    let only = CipherSuite::TLS13_AES_256_GCM_SHA384;
    provider.cipher_suites.retain(|suite| suite.suite() == only);
    provider
}

fn execute(
    cluster: &TestCluster,
    topics: &[(String, PartitionId)],
    command: &str,
) -> Result<String, Box<dyn Error>> {
    if command == "count" {
        let partitions = topics
            .iter()
            .flat_map(|(topic, count)| (0..*count).map(move |partition| (topic, partition)));
        let batches: u64 = partitions
            .filter_map(|(topic, partition)| cluster.summary(topic, partition))
            .map(|summary| summary.batches)
            .sum();
        return Ok(format!("{batches} batches"));
    }
    if command == "wake" {
        cluster.clear_script();
        return Ok("all brokers respond".to_owned());
    }
    let node = command
        .strip_prefix("hang ")
        .and_then(|node| node.parse().ok())
        .filter(|node| cluster.node_ids().any(|known| known == *node));
    let Some(node) = node else {
        return Ok(format!(
            "unknown command: {command:?}; there are `hang N`, `wake` and `count`"
        ));
    };
    cluster.script(Rule::on_any().node(node).always().never_answer())?;
    Ok(format!("broker {node} no longer responds"))
}
