//! Starts a real Apache Kafka on loopback ports, to try things against.
//!
//! ```text
//! cargo run --example local_kafka
//! cargo run --example local_kafka -- --version 3.0.0 --brokers 3 --topic orders:12 --topic clicks
//! ```
//! Needs `java`, `javac` and `mvn`. Runs until Ctrl-C, or until its standard input ends or says `stop`; the
//! brokers end with it and their data is gone.
// A command for people prints; it drives other programs in real time.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

// The tests' harness; this command uses some of it.
#[allow(dead_code, unused_imports)]
mod harness;

use std::error::Error;
use std::io::BufRead;

use harness::{Cluster, ClusterOptions};
use lexopt::prelude::{Long, Short, ValueExt};

const HELP: &str = "\
Starts a real Apache Kafka on loopback ports and runs until Ctrl-C or the end of its input.

  --version VERSION    which Kafka (3.0.0)
  --brokers COUNT      how many brokers (1)
  --topic NAME[:COUNT] creates a topic, with so many partitions (1); may be repeated;
                       without any, there is `quickstart` with 3
  --config KEY=VALUE   a line of server.properties; may be repeated";

struct Wishes {
    cluster: ClusterOptions,
    topics: Vec<(String, i32)>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(wishes) = parse(lexopt::Parser::from_env())? else {
        println!("{HELP}");
        return Ok(());
    };
    println!(
        "starting Kafka {}; the first time this downloads it",
        wishes.cluster.version
    );
    let cluster = Cluster::start(wishes.cluster)?;
    for (name, partitions) in &wishes.topics {
        cluster.create_topic(name, *partitions, &[])?;
        println!("created topic {name} with {partitions} partition(s)");
    }
    let servers = cluster.bootstrap_servers();
    println!("\nbootstrap.servers={servers}\n");
    if let Some((topic, _)) = wishes.topics.first() {
        println!(
            "Try:   cargo run --release --example quickstart -- --bootstrap-servers {servers} --topic {topic}"
        );
    }
    println!("Logs:  {}", cluster.folder().display());
    println!("Stop:  Ctrl-C");
    wait_for_the_end()
}

/// Returns when standard input ends or says `stop`. Ctrl-C ends this process at once, and the brokers
/// notice.
fn wait_for_the_end() -> Result<(), Box<dyn Error>> {
    for line in std::io::stdin().lock().lines() {
        if line?.trim() == "stop" {
            break;
        }
    }
    Ok(())
}

/// What the command line asks for; none if that is help.
fn parse(mut parser: lexopt::Parser) -> Result<Option<Wishes>, Box<dyn Error>> {
    let mut wishes = Wishes {
        cluster: ClusterOptions::default(),
        topics: Vec::new(),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("version") => wishes.cluster.version = parser.value()?.string()?,
            Long("brokers") => wishes.cluster.brokers = parser.value()?.parse()?,
            Long("topic") => wishes.topics.push(parse_topic(&parser.value()?.string()?)?),
            Long("config") => {
                let line = parser.value()?.string()?;
                let (key, value) = line.split_once('=').ok_or("--config takes KEY=VALUE")?;
                wishes.cluster = wishes.cluster.config(key, value);
            }
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    if wishes.cluster.brokers == 0 {
        return Err("--brokers takes a number from 1".into());
    }
    if wishes.topics.is_empty() {
        wishes.topics.push(("quickstart".to_owned(), 3));
    }
    Ok(Some(wishes))
}

fn parse_topic(text: &str) -> Result<(String, i32), Box<dyn Error>> {
    let Some((name, partitions)) = text.split_once(':') else {
        return Ok((text.to_owned(), 1));
    };
    let partitions = partitions
        .parse()
        .map_err(|_| format!("{text:?} is not NAME:PARTITIONS"))?;
    Ok((name.to_owned(), partitions))
}
