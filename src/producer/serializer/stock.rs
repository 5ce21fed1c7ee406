//! Stock serializers by Java class name, for `key.serializer` and `value.serializer`.

use bytes::Bytes;

use super::{
    ByteArraySerializer, ByteBufferSerializer, BytesSerializer, DoubleSerializer, FloatSerializer,
    IntegerSerializer, LongSerializer, Serializer, ShortSerializer, StringSerializer,
    VoidSerializer,
};

/// A type of key or value that a stock serializer can turn into bytes.
///
/// `key.serializer` and `value.serializer` name serializers by their Java class; for these types such a name selects a
/// serializer of this library. For other types, give the builder a serializer: see
/// [`KafkaProducer::builder`](crate::KafkaProducer::builder).
///
/// ```
/// use kafka_producer::{Headers, LongSerializer, Serializer, StringSerializer};
///
/// let mut headers = Headers::new();
/// let long = LongSerializer::new().serialize("orders", &mut headers, &258)?;
/// assert_eq!(long.as_deref(), Some(&[0, 0, 0, 0, 0, 0, 1, 2][..]));
/// let text = StringSerializer::new().serialize("orders", &mut headers, "tea")?;
/// assert_eq!(text.as_deref(), Some(&b"tea"[..]));
/// # Ok::<(), kafka_producer::BoxError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "no built-in serializer for `{Self}`",
    label = "no built-in serializer takes this type",
    note = "build the producer with a serializer for it: `KafkaProducer::builder(config)`, then \
            `.value_serializer(…)` or `.key_serializer(…)`, and `.stock_key_serializer()` or \
            `.stock_value_serializer()` for the other side",
    note = "a serializer is `serialize_with(function)`, `JsonSerializer` (feature `serde`), or a type of yours that \
            implements `Serializer<{Self}>`"
)]
pub trait StockSerialize {
    /// The Java classes that are supported for this type; the first is the default.
    const JAVA_CLASSES: &'static [&'static str];

    /// The serializer for one of [`JAVA_CLASSES`](Self::JAVA_CLASSES); `None` for any other name.
    fn stock_serializer(java_class: &str) -> Option<Box<dyn Serializer<Self>>>;
}

macro_rules! stock {
    ($($(#[$meta:meta])* $type:ty: $($class:path => $serializer:path),+;)*) => {$(
        $(#[$meta])*
        impl StockSerialize for $type {
            const JAVA_CLASSES: &'static [&'static str] =
                &[$(<$class>::JAVA_CLASS),+];

            fn stock_serializer(java_class: &str) -> Option<Box<dyn Serializer<Self>>> {
                match java_class {
                    $(<$class>::JAVA_CLASS => Some(Box::new(<$serializer>::new())),)+
                    _ => None,
                }
            }
        }
    )*};
}

// Java's three classes for bytes differ in the types that they take, not in the bytes that they send.
stock! {
    str: StringSerializer => StringSerializer;
    String: StringSerializer => StringSerializer;
    [u8]: ByteArraySerializer => ByteArraySerializer, BytesSerializer => ByteArraySerializer,
        ByteBufferSerializer => ByteArraySerializer;
    Vec<u8>: ByteArraySerializer => ByteArraySerializer, BytesSerializer => ByteArraySerializer,
        ByteBufferSerializer => ByteArraySerializer;
    Bytes: BytesSerializer => BytesSerializer, ByteBufferSerializer => ByteBufferSerializer,
        ByteArraySerializer => BytesSerializer;
    i16: ShortSerializer => ShortSerializer;
    i32: IntegerSerializer => IntegerSerializer;
    i64: LongSerializer => LongSerializer;
    f32: FloatSerializer => FloatSerializer;
    f64: DoubleSerializer => DoubleSerializer;
    (): VoidSerializer => VoidSerializer;
    #[cfg(feature = "uuid")]
    uuid::Uuid: super::UuidSerializer => super::UuidSerializer;
}
