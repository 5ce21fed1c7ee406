//! JSON values with serde.
//!
//! ```text
//! cargo run --example serde_serializer --features testing,serde
//! ```
//!
//! The feature `serde` has the serializer. For another format use `serialize_with`, if a function is enough, or
//! implement `Serializer`.
#![allow(clippy::print_stdout, reason = "the output of the example")]

use std::error::Error;

use kafka_producer::testing::TestCluster;
use kafka_producer::{JsonSerializer, KafkaProducer, ProducerConfig, ProducerRecord};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    customer: u64,
    articles: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = TestCluster::builder().topic("orders", 1).start()?;
    let config = ProducerConfig::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .build()?;
    let producer = KafkaProducer::<str, Order>::builder(config)
        .stock_key_serializer()
        .value_serializer(JsonSerializer::new())
        .build()?;

    let order = Order {
        customer: 7,
        articles: vec!["tea".to_owned(), "sugar".to_owned()],
    };
    // The value is borrowed, not copied into the record.
    let record = ProducerRecord::keyed("orders", "customer-7", &order)
        .with_header("content-type", "application/json");
    let metadata = producer.send(record)?.get()?;
    println!("written to {metadata}");
    println!("{}", serde_json::to_string(&metadata)?);
    producer.close()?;

    let records = cluster.records("orders", 0);
    let value = records[0].value.as_deref().ok_or("there is a value")?;
    println!("{}", String::from_utf8_lossy(value));
    assert_eq!(serde_json::from_slice::<Order>(value)?, order);
    Ok(())
}
