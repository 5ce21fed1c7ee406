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
    /// The name that `key.serializer` and `value.serializer` have for it.
    pub const JAVA_CLASS: &'static str = "org.apache.kafka.common.serialization.VoidSerializer";

    /// A serializer.
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
