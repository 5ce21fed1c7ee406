//! JSON serializer: any type that serde can serialize.

use serde::Serialize;

use super::{Serialized, Serializer};
use crate::error::BoxError;
use crate::record::Headers;

/// Sends a value as JSON, in UTF-8 and without white space: any type that implements [`serde::Serialize`]. Needs the
/// feature `serde`.
///
/// A value that serde turns into JSON's null, such as `None`, is sent as the text `null`; a record without a value has
/// Kafka's null.
///
/// ```
/// use kafka_producer::testing::MockProducer;
/// use kafka_producer::{JsonSerializer, KafkaProducer, ProducerConfig, ProducerRecord};
///
/// #[derive(serde::Serialize)]
/// struct Order {
///     customer: u64,
///     items: Vec<String>,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = ProducerConfig::builder().build()?;
/// let builder = KafkaProducer::<str, Order>::builder(config)
///     .stock_key_serializer()
///     .value_serializer(JsonSerializer::new());
/// // In production: `builder.build()?`.
/// let (producer, mock) = MockProducer::builder().build_with(builder)?;
/// let order = Order { customer: 7, items: vec!["tea".to_owned()] };
/// producer.send(ProducerRecord::keyed("orders", "7", order))?.get()?;
/// assert_eq!(mock.history()[0].value_str(), Some(r#"{"customer":7,"items":["tea"]}"#));
/// # Ok(())
/// # }
/// ```
///
/// # Kafka
/// `org.apache.kafka.connect.json.JsonSerializer`, which serializes Jackson's trees.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct JsonSerializer;

impl JsonSerializer {
    /// Creates the serializer.
    pub const fn new() -> Self {
        Self
    }
}

impl<T: Serialize + ?Sized> Serializer<T> for JsonSerializer {
    fn serialize<'a>(
        &self,
        _topic: &str,
        _headers: &mut Headers,
        data: &'a T,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        Ok(Some(serde_json::to_vec(data)?.into()))
    }
}
