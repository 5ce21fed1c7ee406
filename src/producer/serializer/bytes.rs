//! Serializers of byte arrays: the data is sent unchanged.

use bytes::Bytes;

use super::prepared::{BorrowBytes, OfThisLibrary};
use super::{Serialized, Serializer};
use crate::error::BoxError;
use crate::record::Headers;

/// Sends bytes as they are: `[u8]`, `Vec<u8>`.
///
/// # Kafka
/// `org.apache.kafka.common.serialization.ByteArraySerializer`.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct ByteArraySerializer;

impl ByteArraySerializer {
    /// The Java class name, by which `key.serializer` and `value.serializer` select this serializer.
    pub const JAVA_CLASS: &'static str =
        "org.apache.kafka.common.serialization.ByteArraySerializer";

    /// Creates the serializer.
    pub const fn new() -> Self {
        Self
    }
}

impl Serializer<[u8]> for ByteArraySerializer {
    fn serialize<'a>(
        &self,
        _topic: &str,
        _headers: &mut Headers,
        data: &'a [u8],
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        Ok(Some(data.into()))
    }

    fn borrow_bytes(&self, _: OfThisLibrary) -> Option<BorrowBytes<[u8]>> {
        Some(|data| data)
    }
}

impl Serializer<Vec<u8>> for ByteArraySerializer {
    fn serialize<'a>(
        &self,
        _topic: &str,
        _headers: &mut Headers,
        data: &'a Vec<u8>,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        Ok(Some(data.as_slice().into()))
    }

    fn borrow_bytes(&self, _: OfThisLibrary) -> Option<BorrowBytes<Vec<u8>>> {
        Some(Vec::as_slice)
    }
}

/// Sends [`Bytes`] as they are.
///
/// # Kafka
/// `org.apache.kafka.common.serialization.BytesSerializer`.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct BytesSerializer;

impl BytesSerializer {
    /// The Java class name, by which `key.serializer` and `value.serializer` select this serializer.
    pub const JAVA_CLASS: &'static str = "org.apache.kafka.common.serialization.BytesSerializer";

    /// Creates the serializer.
    pub const fn new() -> Self {
        Self
    }
}

impl Serializer<Bytes> for BytesSerializer {
    fn serialize<'a>(
        &self,
        _topic: &str,
        _headers: &mut Headers,
        data: &'a Bytes,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        Ok(Some(data.as_ref().into()))
    }

    fn borrow_bytes(&self, _: OfThisLibrary) -> Option<BorrowBytes<Bytes>> {
        Some(|data| data)
    }
}

/// Sends [`Bytes`] as they are, like [`BytesSerializer`].
///
/// # Kafka
/// `org.apache.kafka.common.serialization.ByteBufferSerializer`, which sends a buffer from its start up to its limit,
/// whatever its position; `Bytes` has no position.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct ByteBufferSerializer;

impl ByteBufferSerializer {
    /// The Java class name, by which `key.serializer` and `value.serializer` select this serializer.
    pub const JAVA_CLASS: &'static str =
        "org.apache.kafka.common.serialization.ByteBufferSerializer";

    /// Creates the serializer.
    pub const fn new() -> Self {
        Self
    }
}

impl Serializer<Bytes> for ByteBufferSerializer {
    fn serialize<'a>(
        &self,
        _topic: &str,
        _headers: &mut Headers,
        data: &'a Bytes,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        Ok(Some(data.as_ref().into()))
    }

    fn borrow_bytes(&self, _: OfThisLibrary) -> Option<BorrowBytes<Bytes>> {
        Some(|data| data)
    }
}
