//! UUID serializer: text form.

use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::string::Encoding;
use super::{Serialized, Serializer};
use crate::config::PluginConfig;
use crate::error::BoxError;
use crate::record::Headers;

/// Sends a [`Uuid`] as its text, 36 characters in lower case, in UTF-8. Another encoding is set by
/// `key.serializer.encoding` or `value.serializer.encoding`, or for both by `serializer.encoding`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use kafka_producer::{KafkaProducer, ProducerConfig, UuidSerializer};
/// use uuid::Uuid;
///
/// let config = ProducerConfig::builder().bootstrap_servers("127.0.0.1:9092").build()?;
/// let producer = KafkaProducer::<Uuid, str>::builder(config)
///     .key_serializer(UuidSerializer::new())
///     .stock_value_serializer()
///     .build()?;
/// # drop(producer);
/// # Ok(())
/// # }
/// ```
///
/// # Kafka
/// `org.apache.kafka.common.serialization.UUIDSerializer`.
#[derive(Debug, Clone, Copy, Default)]
pub struct UuidSerializer {
    encoding: Encoding,
}

impl UuidSerializer {
    /// The Java class name, by which `key.serializer` and `value.serializer` select this serializer.
    pub const JAVA_CLASS: &'static str = "org.apache.kafka.common.serialization.UUIDSerializer";

    /// A serializer for UTF-8; `configure` may set another encoding.
    pub const fn new() -> Self {
        Self {
            encoding: Encoding::Utf8,
        }
    }
}

impl Serializer<Uuid> for UuidSerializer {
    fn configure(&mut self, config: &PluginConfig, is_key: bool) -> Result<(), BoxError> {
        self.encoding = Encoding::configured(config, is_key)?;
        Ok(())
    }

    fn serialize<'a>(
        &self,
        _topic: &str,
        _headers: &mut Headers,
        data: &'a Uuid,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        let mut buffer = [0; Hyphenated::LENGTH];
        let text: &str = data.hyphenated().encode_lower(&mut buffer);
        Ok(Some(Serialized::Owned(self.encoding.encode(text).to_vec())))
    }
}
