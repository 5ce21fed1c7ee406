//! Output of a serializer: borrowed, inline, owned or shared bytes.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

/// Serialized data: borrowed, small enough to need no allocation, owned, or shared.
///
/// ```
/// use kafka_producer::Serialized;
///
/// let borrowed: Serialized<'_> = "tea".into();
/// let inline: Serialized<'_> = 7_u32.to_be_bytes().into();
/// let owned: Serialized<'_> = vec![0; 100].into();
/// assert_eq!((borrowed.len(), inline.as_slice(), owned.len()), (3, &[0, 0, 0, 7][..], 100));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Serialized<'a> {
    /// Part of the data itself.
    Borrowed(&'a [u8]),
    /// A few bytes, stored inline.
    Inline(InlineBytes),
    /// Newly allocated bytes.
    Owned(Vec<u8>),
    /// Bytes with a reference count.
    Shared(Bytes),
}

impl Serialized<'_> {
    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Inline(bytes) => bytes.as_slice(),
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are no bytes, which is not the same as null.
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }
}

impl Deref for Serialized<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Serialized<'_> {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

/// Equal if the bytes are equal, however they are stored.
impl PartialEq for Serialized<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Serialized<'_> {}

impl<'a> From<&'a [u8]> for Serialized<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Borrowed(bytes)
    }
}

/// The string's UTF-8 bytes.
impl<'a> From<&'a str> for Serialized<'a> {
    fn from(text: &'a str) -> Self {
        Self::Borrowed(text.as_bytes())
    }
}

impl From<Vec<u8>> for Serialized<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}

/// The string's UTF-8 bytes.
impl From<String> for Serialized<'_> {
    fn from(text: String) -> Self {
        Self::Owned(text.into_bytes())
    }
}

impl From<Bytes> for Serialized<'_> {
    fn from(bytes: Bytes) -> Self {
        Self::Shared(bytes)
    }
}

/// Stored inline up to [`InlineBytes::CAPACITY`] bytes, else allocated.
impl<const N: usize> From<[u8; N]> for Serialized<'_> {
    fn from(bytes: [u8; N]) -> Self {
        match InlineBytes::new(&bytes) {
            Some(inline) => Self::Inline(inline),
            None => Self::Owned(bytes.into()),
        }
    }
}

/// Up to [`CAPACITY`](Self::CAPACITY) bytes, stored without an allocation: enough for every number.
#[derive(Clone, Copy)]
pub struct InlineBytes {
    bytes: [u8; Self::CAPACITY],
    /// At most `CAPACITY`.
    len: u8,
}

impl InlineBytes {
    /// The maximum number of bytes.
    pub const CAPACITY: usize = 16;

    /// A copy of `bytes`; `None` if they are more than [`CAPACITY`](Self::CAPACITY).
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut copy = [0; Self::CAPACITY];
        copy.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self {
            bytes: copy,
            len: bytes.len() as u8,
        })
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for InlineBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl PartialEq for InlineBytes {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for InlineBytes {}
