//! `ProducerRecord`: topic, partition, timestamp, key, value and headers of a record to be sent.

mod data;

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

pub use data::RecordData;

use crate::clock::{SystemTime, Timestamp};
use crate::error::RecordError;
use crate::record::{Header, Headers, HeadersFrozen};
use crate::types::PartitionId;

/// A record to be sent.
///
/// Topic, key and value are each borrowed or owned; borrowed data is copied once, into the batch. `K` and `V` are the
/// types that the producer's serializers accept; they may be unsized, as in `ProducerRecord<'_, str, [u8]>`.
///
/// `K` and `V` are usually inferred from the producer that sends the record.
///
/// ```
/// use kafka_producer::ProducerRecord;
///
/// let payload = vec![1, 2, 3];
/// let record: ProducerRecord<'_, str, [u8]> = ProducerRecord::new("clicks", &payload)
///     .with_key("user-7")
///     .with_header("source", "web");
/// assert_eq!(record.key(), Some("user-7"));
/// assert_eq!(record.value(), Some(&[1, 2, 3][..]));
///
/// // Owned data, to be sent from elsewhere later:
/// let later: ProducerRecord<'static, str, [u8]> = record.into_owned();
/// # drop((later, payload));
/// ```
///
/// # Kafka
/// `org.apache.kafka.clients.producer.ProducerRecord`. Differs: a negative partition or timestamp is refused when the
/// record is sent ([`validate`](Self::validate)), not when it is created.
pub struct ProducerRecord<'a, K: ?Sized + RecordData, V: ?Sized + RecordData> {
    pub(crate) topic: Cow<'a, str>,
    pub(crate) partition: Option<PartitionId>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<Field<'a, K>>,
    pub(crate) value: Option<Field<'a, V>>,
    pub(crate) headers: Headers,
}

impl<'a, K: ?Sized + RecordData, V: ?Sized + RecordData> ProducerRecord<'a, K, V> {
    /// A record with a value and no key.
    #[inline]
    pub fn new(topic: impl Into<Cow<'a, str>>, value: impl Into<Field<'a, V>>) -> Self {
        Self::bare(topic.into(), None, Some(value.into()))
    }

    /// A record with a key and a value.
    ///
    /// ```
    /// use kafka_producer::ProducerRecord;
    ///
    /// let record: ProducerRecord<'_, i64, String> = ProducerRecord::keyed("names", 7, "x".to_owned());
    /// assert_eq!(record.key(), Some(&7));
    /// ```
    #[inline]
    pub fn keyed(
        topic: impl Into<Cow<'a, str>>,
        key: impl Into<Field<'a, K>>,
        value: impl Into<Field<'a, V>>,
    ) -> Self {
        Self::bare(topic.into(), Some(key.into()), Some(value.into()))
    }

    /// A record with a key and a null value: in a compacted topic it deletes the key.
    ///
    /// ```
    /// use kafka_producer::ProducerRecord;
    ///
    /// let record: ProducerRecord<'_, str, str> = ProducerRecord::tombstone("customers", "7");
    /// assert_eq!(record.value(), None);
    /// ```
    pub fn tombstone(topic: impl Into<Cow<'a, str>>, key: impl Into<Field<'a, K>>) -> Self {
        Self::bare(topic.into(), Some(key.into()), None)
    }

    #[inline]
    fn bare(topic: Cow<'a, str>, key: Option<Field<'a, K>>, value: Option<Field<'a, V>>) -> Self {
        let headers = Headers::default();
        Self {
            topic,
            partition: None,
            timestamp: None,
            key,
            value,
            headers,
        }
    }

    /// The same record with a key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Field<'a, K>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The same record with the key that there is, or without one. A bare `None` needs a type: `None::<&str>`.
    ///
    /// ```
    /// use kafka_producer::ProducerRecord;
    ///
    /// let user: Option<String> = None;
    /// let record: ProducerRecord<'_, str, str> =
    ///     ProducerRecord::new("clicks", "home").with_optional_key(user.as_deref());
    /// assert_eq!(record.key(), None);
    /// ```
    #[must_use]
    pub fn with_optional_key(mut self, key: Option<impl Into<Field<'a, K>>>) -> Self {
        self.key = key.map(Into::into);
        self
    }

    /// The same record for a partition of the caller's choice; the partitioner is not called.
    #[must_use]
    pub fn with_partition(mut self, partition: PartitionId) -> Self {
        self.partition = Some(partition);
        self
    }

    /// The same record with a timestamp, in milliseconds since 1970. Without one, the record gets the time of the
    /// `send` call. In a topic with `message.timestamp.type=LogAppendTime` the broker replaces the timestamp.
    ///
    /// ```
    /// use kafka_producer::ProducerRecord;
    ///
    /// let record: ProducerRecord<'_, str, str> = ProducerRecord::new("orders", "tea")
    ///     .with_partition(2)
    ///     .with_timestamp(1_632_182_400_000)
    ///     .with_header("trace", "abc");
    /// assert_eq!((record.partition(), record.timestamp()), (Some(2), Some(1_632_182_400_000)));
    /// assert_eq!(record.headers().len(), 1);
    /// ```
    #[must_use]
    pub fn with_timestamp(mut self, timestamp_ms: i64) -> Self {
        self.timestamp = Some(timestamp_ms);
        self
    }

    /// The same record with a time as its [timestamp](Self::with_timestamp), rounded down to a millisecond. A time
    /// before 1970 is refused when the record is sent.
    #[must_use]
    pub fn with_system_time(self, time: SystemTime) -> Self {
        self.with_timestamp(Timestamp::from_system_time(time).as_millis())
    }

    /// The same record with one more header. Its key and value are constants, or owned by the record; see
    /// [`with_copied_header`](Self::with_copied_header) for others.
    ///
    /// Works even for a record that was sent before: its headers are then copied, and only the copy is changed.
    #[must_use]
    pub fn with_header(self, key: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) -> Self {
        self.with_one_more(Header::new(key, value))
    }

    /// As [`with_header`](Self::with_header), with copies of a borrowed key and value.
    ///
    /// ```
    /// use kafka_producer::ProducerRecord;
    ///
    /// /// A record with the headers of a request.
    /// fn record<'a>(body: &'a [u8], headers: &[(String, Vec<u8>)]) -> ProducerRecord<'a, str, [u8]> {
    ///     let record = ProducerRecord::new("requests", body);
    ///     headers.iter().fold(record, |record, (name, value)| record.with_copied_header(name, value))
    /// }
    /// # assert_eq!(record(b"", &[("a".to_owned(), vec![7])]).headers().len(), 1);
    /// ```
    #[must_use]
    pub fn with_copied_header(self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.with_one_more(Header::copied(key, value))
    }

    fn with_one_more(mut self, header: Header) -> Self {
        // Frozen headers (Java: `setReadOnly`) refuse changes; a copy does not.
        if let Err(HeadersFrozen) = self.headers.push(header.clone()) {
            self.headers = self.headers.iter().cloned().chain([header]).collect();
        }
        self
    }

    /// The same record with these headers, in place of those it had.
    #[must_use]
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition, if the caller chose one.
    pub fn partition(&self) -> Option<PartitionId> {
        self.partition
    }

    /// The timestamp in milliseconds since 1970, if the caller set one.
    pub fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }

    /// The key; `None` without a key.
    #[inline]
    pub fn key(&self) -> Option<&K> {
        self.key.as_deref()
    }

    /// The value; `None` is Kafka's null.
    #[inline]
    pub fn value(&self) -> Option<&V> {
        self.value.as_deref()
    }

    /// The headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The headers, mutable. Headers of a record that was sent are frozen and refuse changes; those of its clone do
    /// not.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// Replaces the topic.
    ///
    /// ```
    /// use kafka_producer::ProducerRecord;
    ///
    /// // As an interceptor changes a record.
    /// let mut record: ProducerRecord<'_, str, str> = ProducerRecord::keyed("orders", "7", "tea");
    /// record.set_topic("orders-test");
    /// record.set_partition(Some(0));
    /// record.set_value("sugar".to_owned());
    /// record.clear_key();
    /// assert_eq!((record.topic(), record.key(), record.value()), ("orders-test", None, Some("sugar")));
    /// ```
    pub fn set_topic(&mut self, topic: impl Into<Cow<'a, str>>) {
        self.topic = topic.into();
    }

    /// Chooses the partition; with `None` the partitioner chooses it.
    pub fn set_partition(&mut self, partition: Option<PartitionId>) {
        self.partition = partition;
    }

    /// Sets the timestamp in milliseconds since 1970; with `None` the record gets the time of the `send` call.
    pub fn set_timestamp(&mut self, timestamp_ms: Option<i64>) {
        self.timestamp = timestamp_ms;
    }

    /// Replaces the key.
    pub fn set_key(&mut self, key: impl Into<Field<'a, K>>) {
        self.key = Some(key.into());
    }

    /// Removes the key.
    pub fn clear_key(&mut self) {
        self.key = None;
    }

    /// Replaces the value.
    pub fn set_value(&mut self, value: impl Into<Field<'a, V>>) {
        self.value = Some(value.into());
    }

    /// Makes the value null.
    pub fn clear_value(&mut self) {
        self.value = None;
    }

    /// Checks the record without metadata. `send` does so itself, after the interceptors.
    ///
    /// # Errors
    /// The partition or the timestamp is negative.
    #[inline]
    pub fn validate(&self) -> Result<(), RecordError> {
        // Java's `ProducerRecord` constructor throws `IllegalArgumentException` for both.
        match (self.partition, self.timestamp) {
            (Some(partition), _) if partition < 0 => Err(RecordError::NegativePartition(partition)),
            (_, Some(timestamp)) if timestamp < 0 => Err(RecordError::NegativeTimestamp(timestamp)),
            _ => Ok(()),
        }
    }

    /// Whether dropping the record does nothing. If the compiler sees that the record is built from borrowed parts, it
    /// evaluates this at compile time, and leaves out the drop.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a call would need the record in memory"
    )]
    pub(crate) fn owns_nothing(&self) -> bool {
        #[inline(always)]
        fn is_free<T: ?Sized + RecordData>(field: Option<&Field<'_, T>>) -> bool {
            // An owned field is free, too, if its type has no destructor, such as an integer.
            !std::mem::needs_drop::<T::Owned>() || !matches!(field, Some(Field::Owned(_)))
        }
        matches!(self.topic, Cow::Borrowed(_))
            && is_free(self.key.as_ref())
            && is_free(self.value.as_ref())
            && self.headers.owns_nothing()
    }

    /// The same record with all parts owned; borrowed parts are copied.
    pub fn into_owned(self) -> ProducerRecord<'static, K, V>
    where
        K: ToOwned<Owned = <K as RecordData>::Owned> + 'static,
        V: ToOwned<Owned = <V as RecordData>::Owned> + 'static,
    {
        ProducerRecord {
            topic: Cow::Owned(self.topic.into_owned()),
            partition: self.partition,
            timestamp: self.timestamp,
            key: self.key.map(|key| Field::Owned(key.into_owned())),
            value: self.value.map(|value| Field::Owned(value.into_owned())),
            headers: self.headers,
        }
    }
}

/// Copies owned parts and borrows borrowed ones. The headers of the copy can be changed even when
/// those of the original are frozen.
impl<K, V> Clone for ProducerRecord<'_, K, V>
where
    K: ?Sized + RecordData<Owned: Clone>,
    V: ?Sized + RecordData<Owned: Clone>,
{
    fn clone(&self) -> Self {
        Self {
            topic: self.topic.clone(),
            partition: self.partition,
            timestamp: self.timestamp,
            key: self.key.clone(),
            value: self.value.clone(),
            headers: self.headers.clone(),
        }
    }
}

impl<K, V> fmt::Debug for ProducerRecord<'_, K, V>
where
    K: ?Sized + RecordData + fmt::Debug,
    V: ?Sized + RecordData + fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerRecord")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("timestamp", &self.timestamp)
            .field("key", &self.key())
            .field("value", &self.value())
            .field("headers", &self.headers)
            .finish()
    }
}

/// Equal if all parts are equal, whether borrowed or owned.
impl<K, V> PartialEq for ProducerRecord<'_, K, V>
where
    K: ?Sized + RecordData + PartialEq,
    V: ?Sized + RecordData + PartialEq,
{
    fn eq(&self, other: &Self) -> bool {
        self.topic == other.topic
            && self.partition == other.partition
            && self.timestamp == other.timestamp
            && self.key() == other.key()
            && self.value() == other.value()
            && self.headers == other.headers
    }
}

impl<K, V> Eq for ProducerRecord<'_, K, V>
where
    K: ?Sized + RecordData + Eq,
    V: ?Sized + RecordData + Eq,
{
}

/// A key or a value: borrowed from the caller, or owned by the record.
///
/// Like [`Cow`], but `T` need not be `Clone`, and with more conversions, so that a record's constructors accept a `&T`
/// (borrowed), a `T` (owned), and for `str` and slices also `String`, `&String`, `Vec<_>`, `&Vec<_>`, arrays and
/// references to arrays.
///
/// ```
/// use kafka_producer::Field;
///
/// let borrowed: Field<'_, str> = "tea".into();
/// let owned: Field<'static, [u8]> = vec![1, 2, 3].into();
/// assert_eq!((&*borrowed, &*owned), ("tea", &[1, 2, 3][..]));
/// ```
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "data is borrowed, or it is owned")]
pub enum Field<'a, T: ?Sized + RecordData> {
    /// Borrowed from the caller.
    Borrowed(&'a T),
    /// Owned by the record.
    Owned(T::Owned),
}

impl<T: ?Sized + RecordData> Field<'_, T> {
    /// The data, owned; copies it if it was borrowed.
    pub fn into_owned(self) -> <T as RecordData>::Owned
    where
        T: ToOwned<Owned = <T as RecordData>::Owned>,
    {
        match self {
            Self::Borrowed(data) => data.to_owned(),
            Self::Owned(data) => data,
        }
    }
}

impl<T: ?Sized + RecordData> Deref for Field<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self {
            Self::Borrowed(data) => data,
            Self::Owned(data) => data.borrow(),
        }
    }
}

impl<T: ?Sized + RecordData<Owned: Clone>> Clone for Field<'_, T> {
    fn clone(&self) -> Self {
        match self {
            Self::Borrowed(data) => Self::Borrowed(data),
            Self::Owned(data) => Self::Owned(data.clone()),
        }
    }
}

impl<'a, T: ?Sized + RecordData> From<&'a T> for Field<'a, T> {
    fn from(data: &'a T) -> Self {
        Self::Borrowed(data)
    }
}

impl<T> From<T> for Field<'_, T> {
    fn from(data: T) -> Self {
        Self::Owned(data)
    }
}

impl<'a, T> From<Cow<'a, T>> for Field<'a, T>
where
    T: ?Sized + RecordData + ToOwned<Owned = <T as RecordData>::Owned>,
{
    fn from(data: Cow<'a, T>) -> Self {
        match data {
            Cow::Borrowed(data) => Self::Borrowed(data),
            Cow::Owned(data) => Self::Owned(data),
        }
    }
}

impl From<String> for Field<'_, str> {
    fn from(data: String) -> Self {
        Self::Owned(data)
    }
}

impl<'a> From<&'a String> for Field<'a, str> {
    fn from(data: &'a String) -> Self {
        Self::Borrowed(data)
    }
}

impl<T> From<Vec<T>> for Field<'_, [T]> {
    fn from(data: Vec<T>) -> Self {
        Self::Owned(data)
    }
}

impl<'a, T> From<&'a Vec<T>> for Field<'a, [T]> {
    fn from(data: &'a Vec<T>) -> Self {
        Self::Borrowed(data)
    }
}

impl<T, const N: usize> From<[T; N]> for Field<'_, [T]> {
    fn from(data: [T; N]) -> Self {
        Self::Owned(data.into())
    }
}

impl<'a, T, const N: usize> From<&'a [T; N]> for Field<'a, [T]> {
    fn from(data: &'a [T; N]) -> Self {
        Self::Borrowed(data)
    }
}

/// A string's bytes as they are (UTF-8).
impl<'a> From<&'a str> for Field<'a, [u8]> {
    fn from(data: &'a str) -> Self {
        Self::Borrowed(data.as_bytes())
    }
}

/// A string's bytes as they are (UTF-8).
impl From<String> for Field<'_, [u8]> {
    fn from(data: String) -> Self {
        Self::Owned(data.into_bytes())
    }
}

#[cfg(test)]
mod tests;
