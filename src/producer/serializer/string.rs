//! String serializer, with Java's standard character sets.

use super::prepared::{BorrowBytes, OfThisLibrary};
use super::{Serialized, Serializer};
use crate::config::PluginConfig;
use crate::error::BoxError;
use crate::record::Headers;

/// Sends `str` and `String` as UTF-8, without a copy. Another encoding is set by `key.serializer.encoding` or
/// `value.serializer.encoding`, or for both by `serializer.encoding`: `UTF-8`, `UTF-16` (with a byte order mark),
/// `UTF-16BE`, `UTF-16LE`, `ISO-8859-1` or `US-ASCII`, in upper or lower case. Characters that an encoding lacks become
/// `?`.
///
/// ```
/// use kafka_producer::{Headers, Serializer, StringSerializer};
///
/// let bytes = StringSerializer::new().serialize("orders", &mut Headers::new(), "tea")?;
/// assert_eq!(bytes.ok_or("not null")?.as_slice(), b"tea");
/// # Ok::<(), kafka_producer::BoxError>(())
/// ```
///
/// # Kafka
/// `org.apache.kafka.common.serialization.StringSerializer`. Differs: supports only the encodings that every Java
/// platform has; any other encoding is refused when the producer is built, not when a record is sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct StringSerializer {
    encoding: Encoding,
}

impl StringSerializer {
    /// The Java class name, by which `key.serializer` and `value.serializer` select this serializer.
    pub const JAVA_CLASS: &'static str = "org.apache.kafka.common.serialization.StringSerializer";

    /// A serializer for UTF-8; `configure` may set another encoding.
    pub const fn new() -> Self {
        Self {
            encoding: Encoding::Utf8,
        }
    }

    fn apply(&mut self, config: &PluginConfig, is_key: bool) -> Result<(), BoxError> {
        self.encoding = Encoding::configured(config, is_key)?;
        Ok(())
    }
}

impl Serializer<str> for StringSerializer {
    fn configure(&mut self, config: &PluginConfig, is_key: bool) -> Result<(), BoxError> {
        self.apply(config, is_key)
    }

    fn serialize<'a>(
        &self,
        _topic: &str,
        _headers: &mut Headers,
        data: &'a str,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        Ok(Some(self.encoding.encode(data)))
    }

    fn borrow_bytes(&self, _: OfThisLibrary) -> Option<BorrowBytes<str>> {
        (self.encoding == Encoding::Utf8).then_some(str::as_bytes)
    }
}

impl Serializer<String> for StringSerializer {
    fn configure(&mut self, config: &PluginConfig, is_key: bool) -> Result<(), BoxError> {
        self.apply(config, is_key)
    }

    fn serialize<'a>(
        &self,
        _topic: &str,
        _headers: &mut Headers,
        data: &'a String,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        Ok(Some(self.encoding.encode(data)))
    }

    fn borrow_bytes(&self, _: OfThisLibrary) -> Option<BorrowBytes<String>> {
        (self.encoding == Encoding::Utf8).then_some(String::as_bytes)
    }
}

/// The character sets that every Java platform has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Encoding {
    #[default]
    Utf8,
    /// Big-endian, after a byte order mark.
    Utf16,
    Utf16Be,
    Utf16Le,
    Latin1,
    Ascii,
}

impl Encoding {
    /// The encoding that the configuration names; the entry for keys or values takes precedence over the shared one.
    pub(super) fn configured(config: &PluginConfig, is_key: bool) -> Result<Self, BoxError> {
        let own = if is_key {
            "key.serializer.encoding"
        } else {
            "value.serializer.encoding"
        };
        for key in [own, "serializer.encoding"] {
            if let Some(name) = config.get(key) {
                return Self::named(name).ok_or_else(|| {
                    format!(
                        "{key}={name}: unsupported encoding; use UTF-8, UTF-16, UTF-16BE, UTF-16LE, \
                         ISO-8859-1 or US-ASCII"
                    )
                    .into()
                });
            }
        }
        Ok(Self::default())
    }

    /// The encoding with this Java name, or common alias; `None` if it is not supported.
    fn named(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Self::Utf8,
            "UTF-16" | "UTF16" | "UTF_16" => Self::Utf16,
            "UTF-16BE" | "UTF_16BE" => Self::Utf16Be,
            "UTF-16LE" | "UTF_16LE" => Self::Utf16Le,
            "ISO-8859-1" | "ISO8859-1" | "ISO8859_1" | "LATIN1" | "L1" => Self::Latin1,
            "US-ASCII" | "ASCII" | "ISO646-US" => Self::Ascii,
            _ => return None,
        })
    }

    pub(super) fn encode(self, text: &str) -> Serialized<'_> {
        match self {
            Self::Utf8 => text.into(),
            // Java writes no byte order mark for an empty string.
            Self::Utf16 if text.is_empty() => text.into(),
            Self::Utf16 => utf16(
                std::iter::once(0xfeff).chain(text.encode_utf16()),
                u16::to_be_bytes,
            ),
            Self::Utf16Be => utf16(text.encode_utf16(), u16::to_be_bytes),
            Self::Utf16Le => utf16(text.encode_utf16(), u16::to_le_bytes),
            // ASCII characters have the same bytes in both encodings, and in UTF-8.
            Self::Latin1 | Self::Ascii if text.is_ascii() => text.into(),
            Self::Latin1 => single_bytes(text, 0xff),
            Self::Ascii => single_bytes(text, 0x7f),
        }
    }
}

fn utf16<'a>(units: impl Iterator<Item = u16>, to_bytes: fn(u16) -> [u8; 2]) -> Serialized<'a> {
    units.flat_map(to_bytes).collect::<Vec<u8>>().into()
}

fn single_bytes<'a>(text: &str, last: u8) -> Serialized<'a> {
    let byte = |c: char| u8::try_from(u32::from(c)).ok().filter(|byte| *byte <= last);
    text.chars()
        .map(|c| byte(c).unwrap_or(b'?'))
        .collect::<Vec<u8>>()
        .into()
}
