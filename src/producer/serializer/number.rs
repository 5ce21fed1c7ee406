//! Serializers of numbers, big-endian.

use super::{Serialized, Serializer};
use crate::error::BoxError;
use crate::record::Headers;

/// Canonical NaN of a double on the wire (Java: `Double#doubleToLongBits`).
const CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;

macro_rules! number_serializer {
    ($(#[$doc:meta])* $name:ident($number:ty) = $class:literal, $bytes:expr) => {
        $(#[$doc])*
        ///
        /// # Kafka
        #[doc = concat!("`", $class, "`.")]
        #[derive(Debug, Clone, Copy, Default)]
        #[non_exhaustive]
        pub struct $name;

        impl $name {
            /// The Java class name, by which `key.serializer` and `value.serializer` select this serializer.
            pub const JAVA_CLASS: &'static str = $class;

            /// Creates the serializer.
            pub const fn new() -> Self {
                Self
            }
        }

        impl Serializer<$number> for $name {
            fn serialize<'a>(
                &self,
                _topic: &str,
                _headers: &mut Headers,
                data: &'a $number,
            ) -> Result<Option<Serialized<'a>>, BoxError> {
                let to_bytes: fn($number) -> _ = $bytes;
                Ok(Some(to_bytes(*data).into()))
            }
        }
    };
}

number_serializer! {
    /// Sends an `i16` as two bytes.
    ShortSerializer(i16) = "org.apache.kafka.common.serialization.ShortSerializer", i16::to_be_bytes
}

number_serializer! {
    /// Sends an `i32` as four bytes.
    IntegerSerializer(i32) = "org.apache.kafka.common.serialization.IntegerSerializer",
    i32::to_be_bytes
}

number_serializer! {
    /// Sends an `i64` as eight bytes.
    LongSerializer(i64) = "org.apache.kafka.common.serialization.LongSerializer", i64::to_be_bytes
}

number_serializer! {
    /// Sends an `f32` as its four IEEE 754 bytes, those of a NaN unchanged.
    FloatSerializer(f32) = "org.apache.kafka.common.serialization.FloatSerializer", f32::to_be_bytes
}

number_serializer! {
    /// Sends an `f64` as its eight IEEE 754 bytes; every NaN is sent as the canonical NaN.
    DoubleSerializer(f64) = "org.apache.kafka.common.serialization.DoubleSerializer",
    |number| if number.is_nan() { CANONICAL_NAN } else { number.to_bits() }.to_be_bytes()
}
