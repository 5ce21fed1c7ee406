//! The service under test: it receives orders, and sends them to Kafka.

use std::error::Error;

use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};

/// The service's response to an order.
#[derive(Debug, PartialEq)]
pub(crate) enum Receipt {
    Accepted,
    Rejected,
    /// The record may or may not be in the log: the operator has to check.
    SetAside,
}

/// The service. Its only dependency is a producer.
pub(crate) struct OrderDesk(KafkaProducer<str, str>);

impl OrderDesk {
    pub(crate) fn new(servers: String) -> Result<Self, Box<dyn Error>> {
        let config = ProducerConfig::builder()
            .bootstrap_servers([servers])
            .build()?;
        Ok(Self::with(KafkaProducer::new(config)?))
    }

    /// A service with this producer, for example that of a test.
    pub(crate) fn with(producer: KafkaProducer<str, str>) -> Self {
        Self(producer)
    }

    pub(crate) fn place(&self, order: &str) -> Result<Receipt, Box<dyn Error>> {
        let future = self.0.send(ProducerRecord::new("orders", order))?;
        Ok(match future.get() {
            Ok(_) => Receipt::Accepted,
            Err(error) if error.may_be_written() => Receipt::SetAside,
            Err(_) => Receipt::Rejected,
        })
    }
}
