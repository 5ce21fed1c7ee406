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
    /// The name that `key.serializer` and `value.serializer` have for it.
    pub const JAVA_CLASS: &'static str =
        "org.apache.kafka.common.serialization.ByteArraySerializer";

    /// A serializer.
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
    /// The name that `key.serializer` and `value.serializer` have for it.
    pub const JAVA_CLASS: &'static str = "org.apache.kafka.common.serialization.BytesSerializer";

    /// A serializer.
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

/// Sends [`Bytes`] as they are: all of them, from the first to the last.
///
/// # Kafka
/// `org.apache.kafka.common.serialization.ByteBufferSerializer`, which sends a buffer from its start
/// up to its limit wherever its position is; `Bytes` has no position.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct ByteBufferSerializer;

impl ByteBufferSerializer {
    /// The name that `key.serializer` and `value.serializer` have for it.
    pub const JAVA_CLASS: &'static str =
        "org.apache.kafka.common.serialization.ByteBufferSerializer";

    /// A serializer.
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
