//! TLS and SCRAM, with the configuration of a Java producer.
//!
//! ```text
//! cargo run --example tls_sasl --features testing
//! cargo run --example tls_sasl --features testing -- client.properties orders
//! ```
//!
//! Without arguments it uses an embedded broker; with a properties file and a topic it uses your cluster. `cargo run
//! --example local_kafka -- --secure --topic orders` starts a Kafka broker that requires TLS and SCRAM, and writes such
//! a properties file.
#![allow(clippy::print_stdout, reason = "the output of the example")]

use std::error::Error;

use kafka_producer::testing::{TestCluster, TestTls};
use kafka_producer::{KafkaProducer, ProduceErrorKind, ProducerConfig, ProducerRecord};

// This key is public: it is for examples only, and its certificate is for 127.0.0.1.
const BROKER_KEY: &str = include_str!("broker.key");
const BROKER: &str = include_str!("broker.pem");
const AUTHORITY: &str = include_str!("authority.pem");

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    if let (Some(file), Some(topic)) = (arguments.next(), arguments.next()) {
        return send(ProducerConfig::from_properties_file(file)?, &topic);
    }
    let cluster = TestCluster::builder()
        .topic("orders", 1)
        .tls(TestTls::new(BROKER, BROKER_KEY))
        .sasl_user("alice", "alice-secret")
        .start()?;
    // The CA certificate can also be a file: `ssl.truststore.location=authority.pem`. If the brokers have certificates
    // of a public authority, omit the three trust store keys.
    let properties = format!(
        "bootstrap.servers={}\n\
         security.protocol=SASL_SSL\n\
         sasl.mechanism=SCRAM-SHA-512\n\
         sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\\n  \
           username=\"alice\" password=\"alice-secret\";\n\
         ssl.truststore.type=PEM\n\
         ssl.truststore.certificates={}\n",
        cluster.bootstrap_servers(),
        AUTHORITY.trim_end().replace('\n', "\\n"),
    );
    send(ProducerConfig::from_properties_str(&properties)?, "orders")?;

    // A client without the CA certificate rejects the broker before it sends any credentials.
    let without: Vec<&str> = properties
        .lines()
        .filter(|line| !line.starts_with("ssl.truststore"))
        .collect();
    let producer =
        KafkaProducer::<str, str>::new(ProducerConfig::from_properties_str(&without.join("\n"))?)?;
    match producer.send(ProducerRecord::new("orders", "three"))?.get() {
        Err(error) if error.kind() == &ProduceErrorKind::Authentication => println!("{error}"),
        other => return Err(format!("expected a refusal, not {other:?}").into()),
    }
    producer.close()?;
    Ok(())
}

fn send(config: ProducerConfig, topic: &str) -> Result<(), Box<dyn Error>> {
    let producer = KafkaProducer::<str, str>::new(config)?;
    let metadata = producer
        .send(ProducerRecord::new(topic, "two of them"))?
        .get()?;
    println!("written to {metadata}");
    producer.close()?;
    Ok(())
}
