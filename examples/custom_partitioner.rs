//! A custom partitioner that chooses by the content of a record.
//!
//! ```text
//! cargo run --example custom_partitioner --features testing
//! ```
#![allow(clippy::print_stdout, reason = "the output of the example")]

use std::error::Error;

use kafka_producer::testing::TestCluster;
use kafka_producer::{
    BoxError, DefaultPartitioner, KafkaProducer, PartitionId, PartitionInput, Partitioner,
    ProducerConfig, ProducerRecord,
};

/// Alarms have the first partition to themselves, so that they do not wait behind other records. All other records are
/// distributed over the other partitions by Kafka's own partitioner.
struct AlarmsFirst {
    others: DefaultPartitioner,
}

const ALARMS: PartitionId = 0;

impl Partitioner<str, str> for AlarmsFirst {
    // Called concurrently on every thread that sends: it must be quick, and hold locks briefly.
    fn partition(&self, record: &PartitionInput<'_, str, str>) -> Result<PartitionId, BoxError> {
        if record.key() == Some("alarm") {
            return Ok(ALARMS);
        }
        let count = record.cluster().partition_count(record.topic());
        let count = PartitionId::try_from(count.unwrap_or(0))?;
        if count < 2 {
            return Err("the topic needs a partition beside that of alarms".into());
        }
        let choice = Partitioner::<str, str>::partition(&self.others, record)?;
        Ok(1 + choice % (count - 1))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = TestCluster::builder().topic("readings", 4).start()?;
    let config = ProducerConfig::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .build()?;
    let producer = KafkaProducer::<str, str>::builder(config)
        .stock_serializers()
        .partitioner(AlarmsFirst {
            others: DefaultPartitioner::new(),
        })
        .build()?;

    for number in 0..100 {
        let key = match number % 10 {
            0 => "alarm".to_owned(),
            sensor => format!("sensor-{sensor}"),
        };
        let record = ProducerRecord::keyed("readings", key, number.to_string());
        drop(producer.send(record)?);
    }
    producer.close()?;

    for partition in 0..4 {
        let records = cluster.records("readings", partition);
        println!("partition {partition}: {} records", records.len());
        let is_alarm = |key: Option<Vec<u8>>| key.as_deref() == Some(b"alarm");
        let alarms = records.into_iter().filter(|r| is_alarm(r.key.clone()));
        assert_eq!(alarms.count(), if partition == ALARMS { 10 } else { 0 });
    }
    assert_eq!(cluster.records("readings", ALARMS).len(), 10);
    Ok(())
}
