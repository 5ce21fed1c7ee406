//! The service: orders come in, and go to Kafka.

use std::error::Error;

use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};

/// What the service tells whoever placed an order.
#[derive(Debug, PartialEq)]
pub(crate) enum Receipt {
    Accepted,
    Rejected,
    /// It may be in the log or not: somebody has to look.
    SetAside,
}

/// All it knows of Kafka is its producer.
pub(crate) struct OrderDesk(KafkaProducer<str, str>);

impl OrderDesk {
    pub(crate) fn new(servers: String) -> Result<Self, Box<dyn Error>> {
        let config = ProducerConfig::builder()
            .bootstrap_servers([servers])
            .build()?;
        Ok(Self(KafkaProducer::new(config)?))
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
