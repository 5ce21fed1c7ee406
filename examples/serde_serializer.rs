//! JSON values with serde.
//!
//! ```text
//! cargo run --example serde_serializer --features testing
//! ```
//!
//! If a serializer is just a function, use `serialize_with`. The serializer of this example also adds a header with the
//! content type.
#![allow(clippy::print_stdout, reason = "the output of the example")]

use std::error::Error;

use kafka_producer::testing::TestCluster;
use kafka_producer::{
    BoxError, Headers, KafkaProducer, ProducerConfig, ProducerRecord, Serialized, Serializer,
    StringSerializer,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    customer: u64,
    articles: Vec<String>,
}

/// Serializes any serde type.
struct Json;

impl<T: Serialize + ?Sized> Serializer<T> for Json {
    fn serialize<'a>(
        &self,
        _topic: &str,
        headers: &mut Headers,
        data: &'a T,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        headers.add("content-type", "application/json")?;
        Ok(Some(serde_json::to_vec(data)?.into()))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = TestCluster::builder().topic("orders", 1).start()?;
    let config = ProducerConfig::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .build()?;
    let producer = KafkaProducer::<str, Order>::builder(config)
        .key_serializer(StringSerializer::default())
        .value_serializer(Json)
        .build()?;

    let order = Order {
        customer: 7,
        articles: vec!["tea".to_owned(), "sugar".to_owned()],
    };
    // The value is borrowed, not copied into the record.
    let future = producer.send(ProducerRecord::keyed("orders", "customer-7", &order))?;
    println!("written to {}", future.get()?);
    producer.close()?;

    let records = cluster.records("orders", 0);
    let value = records[0].value.as_deref().ok_or("there is a value")?;
    println!("{}", String::from_utf8_lossy(value));
    assert_eq!(serde_json::from_slice::<Order>(value)?, order);
    Ok(())
}
