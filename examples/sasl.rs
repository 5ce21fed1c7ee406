//! A producer that says who it is, and what it is told when the password is wrong.
//!
//! The brokers are embedded ones, so that this runs with nothing else: `cargo run --example sasl --features testing`.
#![allow(clippy::print_stdout, reason = "it says what it shows")]

use kafka_producer::testing::TestCluster;
use kafka_producer::{
    KafkaProducer, ProduceErrorKind, ProducerConfig, ProducerRecord, SecurityProtocol,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = TestCluster::builder()
        .topic("orders", 1)
        .sasl_user("alice", "s3cret")
        .start()?;
    // As it stands in the file of a Java producer; a `.properties` file is read with `from_properties_file`.
    let file = format!(
        "bootstrap.servers={}\n\
         security.protocol=SASL_PLAINTEXT\n\
         sasl.mechanism=PLAIN\n\
         sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\\n  \
           username=\"alice\" password=\"s3cret\";\n",
        cluster.bootstrap_servers()
    );
    let producer = KafkaProducer::<str, str>::new(ProducerConfig::from_properties_str(&file)?)?;
    let metadata = producer
        .send(ProducerRecord::new("orders", "two of them"))?
        .get()?;
    println!("written to {metadata}");
    producer.close()?;

    // The same with methods, and a password that is wrong. It is told at once: nothing waits for a time-out.
    let config = ProducerConfig::builder()
        .bootstrap_servers([cluster.bootstrap_servers()])
        .security_protocol(SecurityProtocol::SaslPlaintext)
        .sasl_plain("alice", "guessed")
        .build()?;
    let producer = KafkaProducer::<str, str>::new(config)?;
    match producer.send(ProducerRecord::new("orders", "three"))?.get() {
        Err(error) if error.kind() == &ProduceErrorKind::Authentication => println!("{error}"),
        other => return Err(format!("expected a refusal, not {other:?}").into()),
    }
    // The producer goes on by itself when the cause is mended.
    cluster.set_sasl_user("alice", "guessed");
    loop {
        match producer.send(ProducerRecord::new("orders", "three"))?.get() {
            Ok(metadata) => break println!("written to {metadata}"),
            Err(error) if error.kind() == &ProduceErrorKind::Authentication => {}
            Err(error) => return Err(error.into()),
        }
    }
    producer.close()?;
    Ok(())
}
