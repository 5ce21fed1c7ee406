//! A serializer as the producer runs it: contained, or not at all where the data is its own bytes.

use super::{Serialized, Serializer};
use crate::error::BoxError;
use crate::record::Headers;

/// Stands where a serializer was taken away.
struct Taken;

impl<T: ?Sized> Serializer<T> for Taken {
    fn serialize<'a>(
        &self,
        _topic: &str,
        _headers: &mut Headers,
        _data: &'a T,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        Err("the producer is gone".into())
    }
}

/// From data to the bytes that it consists of.
pub(super) type BorrowBytes<T> = for<'a> fn(&'a T) -> &'a [u8];

/// Cannot be named outside of this library, so nobody else can override a method that takes one.
#[derive(Debug, Clone, Copy)]
#[allow(unnameable_types, reason = "that is its purpose")]
pub struct OfThisLibrary(());

/// A serializer that was configured.
pub(crate) struct PreparedSerializer<T: ?Sized> {
    serializer: Box<dyn Serializer<T>>,
    borrow_bytes: Option<BorrowBytes<T>>,
}

impl<T: ?Sized> PreparedSerializer<T> {
    pub(crate) fn new(serializer: Box<dyn Serializer<T>>) -> Self {
        Self {
            borrow_bytes: serializer.borrow_bytes(OfThisLibrary(())),
            serializer,
        }
    }

    /// The bytes without running any user code; `None` when that takes a serializer's run.
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

    /// Takes the serializer away; what is left refuses everything.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new(Box::new(Taken)))
    }

    pub(crate) fn as_serializer(&self) -> &dyn Serializer<T> {
        &*self.serializer
    }
}
