//! Record headers: key-value pairs sent along with a record, in insertion order; keys may repeat.

use std::borrow::Cow;
use std::fmt;
use std::slice;

use bytes::Bytes;

/// One header of a record: a key, and a value that may be null.
///
/// ```
/// use kafka_producer::Header;
///
/// let header = Header::new("trace", "abc");
/// assert_eq!((header.key(), header.value()), ("trace", Some(&b"abc"[..])));
/// assert_eq!(Header::null("trace").value(), None);
/// ```
///
/// # Kafka
/// `org.apache.kafka.common.header.Header`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Header {
    key: Cow<'static, str>,
    value: Option<Bytes>,
}

impl Header {
    /// A header with a value. Constant keys and values cost no allocation; borrowed ones that are not constant are
    /// copied by [`copied`](Self::copied).
    pub fn new(key: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
        }
    }

    /// A header with copies of a borrowed key and value, such as parts of a request.
    pub fn copied(key: &str, value: impl AsRef<[u8]>) -> Self {
        Self::new(key.to_owned(), Bytes::copy_from_slice(value.as_ref()))
    }

    /// A header whose value is null, which is not the same as an empty one.
    pub fn null(key: impl Into<Cow<'static, str>>) -> Self {
        Self {
            key: key.into(),
            value: None,
        }
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value; `None` for null.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    /// The value as shared bytes; `None` for null.
    pub fn shared_value(&self) -> Option<&Bytes> {
        self.value.as_ref()
    }
}

/// Error: the headers are read-only, because [`freeze`](Headers::freeze) was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadersFrozen;

impl fmt::Display for HeadersFrozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the headers are frozen; change a clone of them")
    }
}

impl std::error::Error for HeadersFrozen {}

/// The headers of a record, in the order they were added.
///
/// Empty headers own no memory. A clone can be changed even when the original is frozen. Two
/// collections are equal when they hold the same headers in the same order.
///
/// ```
/// # use kafka_producer::Headers;
/// let mut headers = Headers::new();
/// headers.add("trace", "abc")?;
/// headers.add("trace", "def")?;
/// assert_eq!(headers.last("trace").and_then(|h| h.value()), Some(&b"def"[..]));
/// # Ok::<(), kafka_producer::HeadersFrozen>(())
/// ```
///
/// # Kafka
/// `org.apache.kafka.common.header.internals.RecordHeaders`. Differs: iterators do not remove, so only
/// [`add`](Self::add), [`push`](Self::push) and [`remove`](Self::remove) can fail because the headers are frozen.
#[derive(Default)]
pub struct Headers {
    list: Vec<Header>,
    frozen: bool,
}

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self {
            list: Vec::new(),
            frozen: false,
        }
    }

    /// Appends a header. The same key may be added again.
    ///
    /// # Errors
    /// [`HeadersFrozen`] after [`freeze`](Self::freeze).
    pub fn add(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        value: impl Into<Bytes>,
    ) -> Result<(), HeadersFrozen> {
        self.push(Header::new(key, value))
    }

    /// Appends a header with copies of a borrowed key and value.
    ///
    /// # Errors
    /// [`HeadersFrozen`] after [`freeze`](Self::freeze).
    pub fn add_copied(&mut self, key: &str, value: impl AsRef<[u8]>) -> Result<(), HeadersFrozen> {
        self.push(Header::copied(key, value))
    }

    /// Appends a header that is already made.
    ///
    /// # Errors
    /// [`HeadersFrozen`] after [`freeze`](Self::freeze).
    pub fn push(&mut self, header: Header) -> Result<(), HeadersFrozen> {
        self.check_not_frozen()?;
        self.list.push(header);
        Ok(())
    }

    /// Removes every header with this key, and returns how many there were.
    ///
    /// # Errors
    /// [`HeadersFrozen`] after [`freeze`](Self::freeze).
    pub fn remove(&mut self, key: &str) -> Result<usize, HeadersFrozen> {
        self.check_not_frozen()?;
        let before = self.list.len();
        self.list.retain(|header| header.key != key);
        Ok(before - self.list.len())
    }

    /// The header with this key that was added last.
    pub fn last(&self, key: &str) -> Option<&Header> {
        self.list.iter().rfind(|header| header.key == key)
    }

    /// Whether dropping them is a no-op, so that the hot path may skip it.
    #[inline]
    pub(crate) fn owns_nothing(&self) -> bool {
        self.list.capacity() == 0
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[Header] {
        &self.list
    }

    /// All headers, in order.
    pub fn iter(&self) -> slice::Iter<'_, Header> {
        self.list.iter()
    }

    /// The headers with this key, in order.
    pub fn iter_for<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Header> {
        self.list.iter().filter(move |header| header.key == key)
    }

    /// How many headers there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are no headers.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Makes the headers read-only. The producer never calls this method: `send` takes the record, so its headers
    /// cannot be changed afterwards.
    ///
    /// # Kafka
    /// `RecordHeaders#setReadOnly`, which Kafka's producer calls in `send`.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    /// Whether the headers are read-only.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    fn check_not_frozen(&self) -> Result<(), HeadersFrozen> {
        if self.frozen {
            Err(HeadersFrozen)
        } else {
            Ok(())
        }
    }
}

impl Clone for Headers {
    fn clone(&self) -> Self {
        Self {
            list: self.list.clone(),
            frozen: false,
        }
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

impl From<Vec<Header>> for Headers {
    fn from(list: Vec<Header>) -> Self {
        Self {
            list,
            frozen: false,
        }
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Self {
        Self::from(headers.into_iter().collect::<Vec<_>>())
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests;
