//! Serializers of keys and values.

mod bytes;
mod closure;
#[cfg(feature = "serde")]
mod json;
mod list;
mod number;
mod prepared;
mod serialized;
mod stock;
mod string;
#[cfg(feature = "uuid")]
mod uuid;
mod void;

use std::sync::Arc;

pub use self::bytes::{ByteArraySerializer, ByteBufferSerializer, BytesSerializer};
pub use self::closure::{FnSerializer, serialize_with};
#[cfg(feature = "serde")]
pub use self::json::JsonSerializer;
pub use self::list::{ListSerializer, NullableSerializer};
pub use self::number::{
    DoubleSerializer, FloatSerializer, IntegerSerializer, LongSerializer, ShortSerializer,
};
pub(crate) use self::prepared::PreparedSerializer;
use self::prepared::{BorrowBytes, OfThisLibrary};
pub use self::serialized::{InlineBytes, Serialized};
pub use self::stock::StockSerialize;
pub use self::string::StringSerializer;
#[cfg(feature = "uuid")]
pub use self::uuid::UuidSerializer;
pub use self::void::VoidSerializer;
use crate::config::PluginConfig;
use crate::error::BoxError;
use crate::record::Headers;
use crate::types::ClusterResourceListener;

/// Serializer of keys or values of one type: turns them into bytes.
///
/// The result may borrow from the data, so byte slices and strings are copied only once, into the batch.
///
/// ```
/// use kafka_producer::{BoxError, Headers, Serialized, Serializer};
///
/// struct Celsius(f32);
/// struct Tenths;
///
/// impl Serializer<Celsius> for Tenths {
///     fn serialize<'a>(
///         &self,
///         _topic: &str,
///         headers: &mut Headers,
///         data: &'a Celsius,
///     ) -> Result<Option<Serialized<'a>>, BoxError> {
///         headers.add("unit", "0.1 °C")?;
///         Ok(Some(((data.0 * 10.0) as i16).to_be_bytes().into()))
///     }
/// }
///
/// let mut headers = Headers::new();
/// let bytes = Tenths.serialize("weather", &mut headers, &Celsius(21.5))?;
/// assert_eq!(bytes.unwrap().as_slice(), [0, 215]);
/// # Ok::<(), BoxError>(())
/// ```
///
/// A function can be a serializer, too: see [`serialize_with`].
///
/// # Threads
/// Called on the threads that send, possibly on several at the same time. A panic is caught, and the call of `send`
/// fails. Inside a serializer, calls that would wait for the producer are refused ([`Misuse`](crate::Misuse)).
/// # Kafka
/// `org.apache.kafka.common.serialization.Serializer`. Differs: a null is passed to
/// [`serialize_null`](Self::serialize_null).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not implement `Serializer<{T}>`",
    note = "`serialize_with(|value: &{T}| …)` makes one of a function that returns `Result<Vec<u8>, _>`"
)]
pub trait Serializer<T: ?Sized>: Send + Sync {
    /// Configures the serializer from the producer's configuration. Called once, before any other method, for a
    /// serializer that was not given as an instance. `is_key` is true if it serializes keys, and false if it serializes
    /// values.
    ///
    /// # Errors
    /// The configuration is invalid; the producer is not built.
    fn configure(&mut self, config: &PluginConfig, is_key: bool) -> Result<(), BoxError> {
        let _ = (config, is_key);
        Ok(())
    }

    /// The bytes for `data`; `None` is Kafka's null. May add headers to the record.
    ///
    /// # Errors
    /// The data cannot be serialized: the record is not sent, and `send` returns the error as
    /// [`SendError::Serialization`](crate::SendError::Serialization).
    fn serialize<'a>(
        &self,
        topic: &str,
        headers: &mut Headers,
        data: &'a T,
    ) -> Result<Option<Serialized<'a>>, BoxError>;

    /// The bytes for a key or value that is null; by default null, too.
    ///
    /// # Errors
    /// As [`serialize`](Self::serialize).
    fn serialize_null(
        &self,
        topic: &str,
        headers: &mut Headers,
    ) -> Result<Option<Serialized<'static>>, BoxError> {
        let _ = (topic, headers);
        Ok(None)
    }

    /// Closes the serializer: the producer is being closed, or could not be built.
    ///
    /// # Errors
    /// Reported by the producer's `close`; the producer is closed all the same.
    fn close(&self) -> Result<(), BoxError> {
        Ok(())
    }

    /// A cluster resource listener, if the serializer is to be notified of the cluster id.
    ///
    /// # Kafka
    /// A serializer that implements `ClusterResourceListener`.
    fn cluster_listener(&self) -> Option<Arc<dyn ClusterResourceListener>> {
        None
    }

    /// Zero-copy fast path: a function that borrows the bytes of the data, if they are sent unchanged. Cannot be
    /// overridden outside of this library, because panics of the function are not caught.
    #[doc(hidden)]
    fn borrow_bytes(&self, _: OfThisLibrary) -> Option<BorrowBytes<T>> {
        None
    }
}

impl<T: ?Sized, S: Serializer<T> + ?Sized> Serializer<T> for Box<S> {
    fn configure(&mut self, config: &PluginConfig, is_key: bool) -> Result<(), BoxError> {
        (**self).configure(config, is_key)
    }

    fn serialize<'a>(
        &self,
        topic: &str,
        headers: &mut Headers,
        data: &'a T,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        (**self).serialize(topic, headers, data)
    }

    fn serialize_null(
        &self,
        topic: &str,
        headers: &mut Headers,
    ) -> Result<Option<Serialized<'static>>, BoxError> {
        (**self).serialize_null(topic, headers)
    }

    fn close(&self) -> Result<(), BoxError> {
        (**self).close()
    }

    fn cluster_listener(&self) -> Option<Arc<dyn ClusterResourceListener>> {
        (**self).cluster_listener()
    }

    fn borrow_bytes(&self, of_this_library: OfThisLibrary) -> Option<BorrowBytes<T>> {
        (**self).borrow_bytes(of_this_library)
    }
}

#[cfg(test)]
mod tests;
