//! Starts a real Apache Kafka on loopback ports, for interactive use.
//!
//! ```text
//! cargo run --example local_kafka
//! cargo run --example local_kafka -- --version 3.0.0 --brokers 3 --topic orders:12 --topic clicks
//! cargo run --example local_kafka -- --secure
//! ```
//! Needs `java`, `javac` and `mvn`. Runs until Ctrl-C, or until its standard input ends or has the line `stop`; the
//! brokers end with it. Their data is deleted then, or after Ctrl-C when the next cluster is started.
// A command for interactive use: it prints, and drives other programs in real time.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

// The harness of the tests, of which only a part is used here.
#[allow(dead_code, unused_imports)]
mod harness;

use std::error::Error;
use std::fs;
use std::io::{BufRead, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use harness::{Cluster, ClusterOptions};
use lexopt::prelude::{Long, Short, ValueExt};

const HELP: &str = "\
Starts a real Apache Kafka on loopback ports and runs until Ctrl-C or the end of its input.

  --version VERSION    which Kafka (3.0.0)
  --brokers COUNT      how many brokers (1)
  --topic NAME[:COUNT] creates a topic, with so many partitions (1); may be repeated;
                       without any, there is `quickstart` with 3
  --config KEY=VALUE   a line of server.properties; may be repeated
  --secure             a listener beside the plain one that asks for TLS and SCRAM, a user,
                       and a client's properties for it";

/// The additional listener of `--secure`, named after its protocol.
const SECURE: &str = "SASL_SSL";
const USER: &str = "alice";
const PASSWORD: &str = "alice-secret";
// A public test key: its certificate is for 127.0.0.1 only.
const BROKER_KEY: &str = include_str!("../../examples/tls_sasl/broker.key");
const BROKER: &str = include_str!("../../examples/tls_sasl/broker.pem");
const AUTHORITY: &str = include_str!("../../examples/tls_sasl/authority.pem");

struct Arguments {
    cluster: ClusterOptions,
    is_secure: bool,
    topics: Vec<(String, i32)>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(arguments) = parse(lexopt::Parser::from_env())? else {
        println!("{HELP}");
        return Ok(());
    };
    println!(
        "starting Kafka {}; the first time this downloads it",
        arguments.cluster.version
    );
    let options = if arguments.is_secure {
        secured(arguments.cluster)
    } else {
        arguments.cluster
    };
    let cluster = Cluster::start(options)?;
    for (name, partitions) in &arguments.topics {
        cluster.create_topic(name, *partitions, &[])?;
        println!("created topic {name} with {partitions} partition(s)");
    }
    let servers = cluster.bootstrap_servers();
    println!("\nbootstrap.servers={servers}\n");
    if let Some((topic, _)) = arguments.topics.first() {
        println!(
            "Try:   cargo run --release --example quickstart -- --bootstrap-servers {servers} --topic {topic}"
        );
    }
    if let (true, Some((topic, _))) = (arguments.is_secure, arguments.topics.first()) {
        let file = write_properties(&cluster)?;
        println!(
            "By TLS and SCRAM, with the properties in {0}:\n       \
             cargo run --example tls_sasl --features testing -- {0} {topic}",
            file.display()
        );
    }
    println!(
        "Read:  {} --bootstrap-server {servers} --from-beginning --topic …",
        cluster.console_consumer()
    );
    println!("Logs:  {}", cluster.folder().display());
    println!("Stop:  Ctrl-C");
    wait_for_the_end()
}

/// Adds the secure listener.
fn secured(options: ClusterOptions) -> ClusterOptions {
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    options
        .listener(SECURE)
        .identity("listener.name.sasl_ssl.", BROKER, BROKER_KEY, AUTHORITY)
        .config("sasl.enabled.mechanisms", "SCRAM-SHA-256,SCRAM-SHA-512")
        .config(
            "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config",
            scram,
        )
        .config(
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config",
            scram,
        )
}

/// Creates the user, and writes the client's properties; the files are deleted with the cluster.
fn write_properties(cluster: &Cluster) -> Result<PathBuf, Box<dyn Error>> {
    cluster.create_scram_user(USER, PASSWORD)?;
    let servers = cluster
        .bootstrap_servers_of(SECURE)
        .ok_or("the listener is not configured")?;
    let trusted = cluster.folder().join("authority.pem");
    fs::write(&trusted, AUTHORITY)?;
    let file = cluster.folder().join("client.properties");
    let text = format!(
        "bootstrap.servers={servers}\n\
         security.protocol={SECURE}\n\
         sasl.mechanism=SCRAM-SHA-512\n\
         sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\\n  \
           username=\"{USER}\" password=\"{PASSWORD}\";\n\
         ssl.truststore.type=PEM\n\
         ssl.truststore.location={}\n",
        trusted.display()
    );
    let mut options = fs::OpenOptions::new();
    let mut file_itself = options.write(true).create(true).mode(0o600).open(&file)?;
    file_itself.write_all(text.as_bytes())?;
    Ok(file)
}

/// Returns when standard input ends or has the line `stop`. Ctrl-C ends this process at once, and the brokers with it.
fn wait_for_the_end() -> Result<(), Box<dyn Error>> {
    for line in std::io::stdin().lock().lines() {
        if line?.trim() == "stop" {
            break;
        }
    }
    Ok(())
}

/// Parses the command line; `None` for help.
fn parse(mut parser: lexopt::Parser) -> Result<Option<Arguments>, Box<dyn Error>> {
    let mut arguments = Arguments {
        cluster: ClusterOptions::default(),
        is_secure: false,
        topics: Vec::new(),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("version") => arguments.cluster.version = parser.value()?.string()?,
            Long("brokers") => arguments.cluster.brokers = parser.value()?.parse()?,
            Long("topic") => arguments
                .topics
                .push(parse_topic(&parser.value()?.string()?)?),
            Long("config") => {
                let line = parser.value()?.string()?;
                let (key, value) = line.split_once('=').ok_or("--config takes KEY=VALUE")?;
                arguments.cluster = arguments.cluster.config(key, value);
            }
            Long("secure") => arguments.is_secure = true,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    if arguments.cluster.brokers == 0 {
        return Err("--brokers takes a number from 1".into());
    }
    if arguments.topics.is_empty() {
        arguments.topics.push(("quickstart".to_owned(), 3));
    }
    Ok(Some(arguments))
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
