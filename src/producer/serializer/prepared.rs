//! Configured serializer inside the producer, with a zero-copy path for data whose own bytes are sent.

use super::{Serialized, Serializer};
use crate::error::BoxError;
use crate::record::Headers;

/// Placeholder of a serializer that was moved out.
struct TakenSerializer;

impl<T: ?Sized> Serializer<T> for TakenSerializer {
    fn serialize<'a>(
        &self,
        _topic: &str,
        _headers: &mut Headers,
        _data: &'a T,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        Err("the producer is gone".into())
    }
}

/// Borrows the bytes of the data.
pub(super) type BorrowBytes<T> = for<'a> fn(&'a T) -> &'a [u8];

/// Sealing token: it cannot be named outside of this library, so no one else can override a method that takes it.
#[derive(Debug, Clone, Copy)]
#[allow(unnameable_types, reason = "that is its purpose")]
pub struct OfThisLibrary(());

/// A configured serializer.
pub(crate) struct PreparedSerializer<T: ?Sized> {
    serializer: Box<dyn Serializer<T>>,
    borrow_bytes: Option<BorrowBytes<T>>,
}

impl<T: ?Sized> PreparedSerializer<T> {
    pub(crate) fn new(serializer: Box<dyn Serializer<T>>) -> Self {
        Self {
            // Determined once, after `configure`: the encoding decides whether a string's own bytes are sent.
            borrow_bytes: serializer.borrow_bytes(OfThisLibrary(())),
            serializer,
        }
    }

    /// Zero-copy path: borrows the bytes without running user code; `None` if the serializer must run.
    #[inline]
    #[allow(clippy::option_option, reason = "the inner one is Kafka's null")]
    pub(crate) fn borrow<'a>(&self, data: Option<&'a T>) -> Option<Option<&'a [u8]>> {
        self.borrow_bytes.map(|bytes| data.map(bytes))
    }

    /// Runs the serializer, which may be user code and panic.
    pub(crate) fn serialize<'a>(
        &self,
        topic: &str,
        headers: &mut Headers,
        data: Option<&'a T>,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        match data {
            Some(data) => self.serializer.serialize(topic, headers, data),
            None => self.serializer.serialize_null(topic, headers),
        }
    }

    /// Moves the serializer out, and leaves a placeholder that always fails.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new(Box::new(TakenSerializer)))
    }

    pub(crate) fn as_serializer(&self) -> &dyn Serializer<T> {
        &*self.serializer
    }
}
