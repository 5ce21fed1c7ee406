//! Sends records and waits for their acknowledgement.
//!
//! ```text
//! cargo run --example send_and_wait --features testing
//! ```
//!
//! The embedded broker takes the place of your cluster.
#![allow(clippy::print_stdout, reason = "the output of the example")]

use std::error::Error;
use std::time::Duration;

use kafka_producer::testing::TestCluster;
use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = TestCluster::builder().topic("orders", 3).start()?;

    let config = ProducerConfig::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        // Upper bound of the time until a record is delivered or has failed, retries included.
        .delivery_timeout(Duration::from_secs(60))
        .request_timeout(Duration::from_secs(20))
        .build()?;
    let producer = KafkaProducer::<str, str>::new(config)?;

    // One record, and its result.
    let future = producer.send(ProducerRecord::keyed("orders", "customer-7", "two of them"))?;
    match future.get() {
        Ok(metadata) => println!("written to {metadata}"),
        Err(error) if error.may_be_written() => {
            println!("may be written, so check before sending again: {error}");
        }
        Err(error) => println!("not written, so it can be sent again: {error}"),
    }

    // Many records: send all, then wait. Waiting after each send would make every record a batch of its own.
    let futures = (0..1_000)
        .map(|number| {
            let (key, value) = (format!("customer-{number}"), format!("order {number}"));
            producer.send(ProducerRecord::keyed("orders", key, value))
        })
        .collect::<Result<Vec<_>, _>>()?;
    producer.flush()?;
    for future in &futures {
        future.get()?;
    }

    // A record may also have a partition, a timestamp, and headers.
    let record = ProducerRecord::new("orders", "by hand")
        .with_partition(2)
        .with_header("origin", "shop");
    println!("written to {}", producer.send(record)?.get()?);

    producer.close()?;
    println!("{} records are there", cluster.record_count("orders"));
    assert_eq!(cluster.record_count("orders"), 1_002);
    Ok(())
}
