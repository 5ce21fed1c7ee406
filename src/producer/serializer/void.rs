//! Void serializer: always null.

use super::{Serialized, Serializer};
use crate::error::BoxError;
use crate::record::Headers;

/// Sends null: for producers whose records have no keys, or no values.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use kafka_producer::{KafkaProducer, ProducerConfig, StringSerializer, VoidSerializer};
///
/// let config = ProducerConfig::builder().bootstrap_servers("127.0.0.1:9092").build()?;
/// let producer = KafkaProducer::<(), str>::builder(config)
///     .key_serializer(VoidSerializer::new())
///     .value_serializer(StringSerializer::default())
///     .build()?;
/// # drop(producer);
/// # Ok(())
/// # }
/// ```
///
/// # Kafka
/// `org.apache.kafka.common.serialization.VoidSerializer`.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct VoidSerializer;

impl VoidSerializer {
    /// The Java class name, by which `key.serializer` and `value.serializer` select this serializer.
    pub const JAVA_CLASS: &'static str = "org.apache.kafka.common.serialization.VoidSerializer";

    /// Creates the serializer.
    pub const fn new() -> Self {
        Self
    }
}

impl Serializer<()> for VoidSerializer {
    fn serialize<'a>(
        &self,
        _topic: &str,
        _headers: &mut Headers,
        _data: &'a (),
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        Ok(None)
    }
}
