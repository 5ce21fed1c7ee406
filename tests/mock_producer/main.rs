//! The mock producer, through its public interface. Counterparts of Kafka's `MockProducerTest` name its tests. Two of
//! its 57 tests have no counterpart, see [`records`] and [`transactions`].
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests: they fail by panicking, and share with threads"
)]

mod json;
mod offsets;
mod records;
mod set_errors;
mod threads;
mod transactions;
mod waiting;

use kafka_producer::testing::MockProducer;
use kafka_producer::{FutureRecordMetadata, KafkaProducer, ProducerRecord};

const TOPIC: &str = "topic";

type Producer = KafkaProducer<str, str>;

/// A producer with its controller.
struct Rig {
    producer: Producer,
    mock: MockProducer,
}

impl Rig {
    fn new(auto_complete: bool) -> Self {
        let builder = MockProducer::builder().auto_complete(auto_complete);
        let (producer, mock) = builder.build().unwrap();
        Self { producer, mock }
    }

    /// A transactional producer that is not initialized.
    fn transactional(auto_complete: bool) -> Self {
        let builder = MockProducer::builder().auto_complete(auto_complete);
        let (producer, mock) = builder.transactional_id("tx").build().unwrap();
        Self { producer, mock }
    }

    fn initialized(auto_complete: bool) -> Self {
        let rig = Self::transactional(auto_complete);
        rig.producer.init_transactions().unwrap();
        rig
    }

    fn begun(auto_complete: bool) -> Self {
        let rig = Self::initialized(auto_complete);
        rig.producer.begin_transaction().unwrap();
        rig
    }

    fn send(&self, key: &str) -> FutureRecordMetadata {
        self.producer.send(record(key)).unwrap()
    }

    /// The keys of the records in the history.
    fn history(&self) -> Vec<String> {
        let history = self.mock.history();
        let keys = history
            .iter()
            .map(|record| record.key_str().unwrap().to_owned());
        keys.collect()
    }
}

fn record(key: &str) -> ProducerRecord<'_, str, str> {
    ProducerRecord::keyed(TOPIC, key, "value")
}
