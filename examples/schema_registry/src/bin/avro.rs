//! Sends Avro values with the schema id of a registry, and reads them back as a consumer would.
//!
//! ```text
//! cargo run --manifest-path examples/schema_registry/Cargo.toml --bin avro
//! cargo run --manifest-path examples/schema_registry/Cargo.toml --bin avro -- http://127.0.0.1:8081
//! ```
//!
//! Without an address it starts a small registry of its own. The records go to an embedded broker.

use std::time::Duration;

use kafka_producer::testing::TestCluster;
use kafka_producer::{
    BoxError, KafkaProducer, ProducerConfig, ProducerRecord, SendError, StringSerializer,
};
use schema_registry::{
    ORDER_SCHEMA, Order, RegistryClient, RegistrySerializer, TestRegistry, avro_encoder, decode,
};

fn main() -> Result<(), BoxError> {
    let own;
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => {
            own = TestRegistry::start()?;
            own.url()
        }
    };
    let client = RegistryClient::new(&url, Duration::from_secs(2));

    // When the service is deployed: register the schema.
    let id = client.register("orders-value", ORDER_SCHEMA)?;
    println!("schema {id} is registered for the values of topic orders");

    // When the service starts: build the producer.
    let cluster = TestCluster::builder()
        .topic("orders", 1)
        .topic("bills", 1)
        .start()?;
    let config = ProducerConfig::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .build()?;
    let registry = client.clone();
    let look_up = move |subject: &str| Ok(registry.look_up(subject, ORDER_SCHEMA)?);
    let producer = KafkaProducer::<str, Order>::builder(config)
        .key_serializer(StringSerializer::default())
        .value_serializer(RegistrySerializer::new(look_up, avro_encoder()?))
        .build()?;

    let order = Order {
        customer: 7,
        articles: vec!["tea".to_owned(), "sugar".to_owned()],
    };
    let metadata = producer
        .send(ProducerRecord::keyed("orders", "customer-7", &order))?
        .get()?;
    println!("written to {metadata}");

    // No schema is registered for this topic: the record is not queued.
    match producer.send(ProducerRecord::keyed("bills", "customer-7", &order)) {
        Err(error @ SendError::Serialization { .. }) => println!("{error}"),
        other => return Err(format!("expected an error, not {other:?}").into()),
    }
    producer.close()?;

    // A consumer: fetches the schema by the id in the record.
    let records = cluster.records("orders", 0);
    let value = records[0].value.as_deref().ok_or("there is a value")?;
    let (head, encoded) = value.split_at_checked(5).ok_or("the value is too short")?;
    let id = u32::from_be_bytes(head[1..].try_into()?);
    let read = decode(&client.schema(id)?, encoded)?;
    println!("read with schema {id}: {read:?}");
    assert_eq!(read, order);
    Ok(())
}
