//! SASL authentication, and the error for a wrong password.
//!
//! The broker is an embedded one, so no cluster is needed: `cargo run --example sasl --features testing`.
#![allow(clippy::print_stdout, reason = "the output of the example")]

use kafka_producer::testing::TestCluster;
use kafka_producer::{
    KafkaProducer, ProduceErrorKind, ProducerConfig, ProducerRecord, SecurityProtocol,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = TestCluster::builder()
        .topic("orders", 1)
        .sasl_user("alice", "s3cret")
        .start()?;
    // The same text as in the properties file of a Java producer. `from_properties_file` reads such a file.
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

    // The same configuration with builder methods, but with a wrong password. The error is returned at once, not after
    // a timeout.
    let config = ProducerConfig::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .security_protocol(SecurityProtocol::SaslPlaintext)
        .sasl_plain("alice", "guessed")
        .build()?;
    let producer = KafkaProducer::<str, str>::new(config)?;
    match producer.send(ProducerRecord::new("orders", "three"))?.get() {
        Err(error) if error.kind() == &ProduceErrorKind::Authentication => println!("{error}"),
        other => return Err(format!("expected a refusal, not {other:?}").into()),
    }
    // The producer keeps reconnecting, and recovers when the password is corrected.
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
