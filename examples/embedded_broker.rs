//! The embedded broker in a process of its own: for benches, and for trying things without Kafka.
//!
//! ```text
//! cargo run --release --example embedded_broker -- --sink --topic bench:12
//! ```
//!
//! Prints `bootstrap.servers=HOST:PORT` and runs until its standard input ends.
#![allow(clippy::print_stdout, reason = "it says where it listens")]

use std::error::Error;
use std::io::Read;

use kafka_producer::testing::TestCluster;
use lexopt::prelude::*;

const HELP: &str = "\
Runs the embedded broker until standard input ends.

  --topic NAME:PARTITIONS   a topic; may be given more than once
  --nodes N                 how many brokers (default: 1)
  --sink                    acknowledge records and keep only their count";

fn main() -> Result<(), Box<dyn Error>> {
    let mut builder = TestCluster::builder();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("topic") => {
                let text = parser.value()?.string()?;
                let (name, partitions) =
                    text.split_once(':').ok_or("a topic is NAME:PARTITIONS")?;
                builder = builder.topic(name, partitions.parse()?);
            }
            Long("nodes") => builder = builder.nodes(parser.value()?.parse()?),
            Long("sink") => builder = builder.sink(),
            Long("help") | Short('h') => {
                println!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let cluster = builder.start()?;
    println!("bootstrap.servers={}", cluster.bootstrap_servers());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
