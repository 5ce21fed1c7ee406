//! Void serializer: always null.

use super::{Serialized, Serializer};
use crate::error::BoxError;
use crate::record::Headers;

/// Sends null: for producers whose records have no keys, or no values.
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
