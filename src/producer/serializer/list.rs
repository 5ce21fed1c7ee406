//! List serializer, and serializer of optional values.

use std::sync::Arc;

use super::{Serialized, Serializer};
use crate::config::PluginConfig;
use crate::error::BoxError;
use crate::record::Headers;
use crate::types::ClusterResourceListener;

/// First byte of the layout for entries of one size: the entries are written without their sizes.
const CONSTANT_SIZE: u8 = 0;
/// First byte of the layout for entries of any size: each entry is preceded by its size.
const VARIABLE_SIZE: u8 = 1;
/// The size of a null.
const NULL_SIZE: i32 = -1;

/// Sends `[T]` and `Vec<T>`. Each entry is serialized by the inner serializer; for entries that may be null, that is a
/// [`NullableSerializer`].
///
/// The layout begins with one byte: 0 if all entries have one size, else 1. If it is 0, the number and the indexes of
/// the nulls follow. Then come the number of entries, and the entries; if the first byte is 1, each is preceded by its
/// size (-1 for null). Numbers have 32 bits, most significant byte first.
///
/// ```
/// use kafka_producer::{Headers, IntegerSerializer, ListSerializer, Serializer};
///
/// let lists = ListSerializer::fixed(IntegerSerializer::new());
/// let bytes = lists.serialize("t", &mut Headers::new(), &[1, 2, 3][..])?.unwrap();
/// assert_eq!(bytes.len(), 1 + 4 + 4 + 3 * 4);
/// # Ok::<(), kafka_producer::BoxError>(())
/// ```
///
/// # Kafka
/// `org.apache.kafka.common.serialization.ListSerializer`. Differs: the constructor determines whether entries are of
/// one size (in Java the class of their serializer does), and `default.list.*.serde.inner`, which names a class that
/// serializes and deserializes, is not read.
#[derive(Debug, Clone, Copy)]
pub struct ListSerializer<S> {
    entries: S,
    is_fixed_size: bool,
}

impl<S> ListSerializer<S> {
    /// Lists of entries of any size: strings, bytes.
    pub const fn new(entries: S) -> Self {
        Self {
            entries,
            is_fixed_size: false,
        }
    }

    /// Lists of entries that are all of one size: numbers, UUIDs.
    pub const fn fixed(entries: S) -> Self {
        Self {
            entries,
            is_fixed_size: true,
        }
    }

    fn encode<T>(&self, topic: &str, headers: &mut Headers, list: &[T]) -> Result<Vec<u8>, BoxError>
    where
        S: Serializer<T>,
    {
        let entries: Vec<_> = list
            .iter()
            .map(|entry| self.entries.serialize(topic, headers, entry))
            .collect::<Result<_, _>>()?;
        let mut out = Vec::new();
        if self.is_fixed_size {
            // This layout stores no sizes, so a deviating entry could not be read back.
            check_sizes(&entries)?;
            out.push(CONSTANT_SIZE);
            put_places_of_nulls(&mut out, &entries)?;
        } else {
            out.push(VARIABLE_SIZE);
        }
        put_int(&mut out, entries.len())?;
        for entry in &entries {
            match entry {
                Some(bytes) if self.is_fixed_size => out.extend_from_slice(bytes),
                Some(bytes) => {
                    put_int(&mut out, bytes.len())?;
                    out.extend_from_slice(bytes);
                }
                // The index of a null is in the list of nulls above; the null itself has no bytes.
                None if self.is_fixed_size => {}
                None => out.extend_from_slice(&NULL_SIZE.to_be_bytes()),
            }
        }
        Ok(out)
    }
}

/// Checks that all entries have the same size: a reader separates the entries by it.
fn check_sizes(entries: &[Option<Serialized<'_>>]) -> Result<(), BoxError> {
    let mut sizes = entries
        .iter()
        .enumerate()
        .filter_map(|(at, entry)| Some((at, entry.as_ref()?.len())));
    let Some((_, expected)) = sizes.next() else {
        return Ok(());
    };
    match sizes.find(|(_, size)| *size != expected) {
        Some((at, size)) => Err(format!(
            "entry {at} of a list of entries of one size has {size} bytes and those before it \
             {expected}; use ListSerializer::new for entries of different sizes"
        )
        .into()),
        None => Ok(()),
    }
}

fn put_places_of_nulls(
    out: &mut Vec<u8>,
    entries: &[Option<Serialized<'_>>],
) -> Result<(), BoxError> {
    let nulls = || {
        entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.is_none())
    };
    put_int(out, nulls().count())?;
    nulls().try_for_each(|(at, _)| put_int(out, at))
}

fn put_int(out: &mut Vec<u8>, number: usize) -> Result<(), BoxError> {
    out.extend_from_slice(&i32::try_from(number)?.to_be_bytes());
    Ok(())
}

macro_rules! list_serializer {
    ($list:ty) => {
        impl<T, S: Serializer<T>> Serializer<$list> for ListSerializer<S> {
            fn configure(&mut self, config: &PluginConfig, is_key: bool) -> Result<(), BoxError> {
                self.entries.configure(config, is_key)
            }

            fn serialize<'a>(
                &self,
                topic: &str,
                headers: &mut Headers,
                data: &'a $list,
            ) -> Result<Option<Serialized<'a>>, BoxError> {
                Ok(Some(self.encode(topic, headers, data)?.into()))
            }

            fn close(&self) -> Result<(), BoxError> {
                self.entries.close()
            }

            fn cluster_listener(&self) -> Option<Arc<dyn ClusterResourceListener>> {
                self.entries.cluster_listener()
            }
        }
    };
}

list_serializer!([T]);
list_serializer!(Vec<T>);

/// Sends `Option<T>`: `Some` as the inner serializer sends a `T`, and `None` as it sends null.
///
/// Used for the entries of a [`ListSerializer`], and by a program whose keys or values are options already.
///
/// ```
/// use kafka_producer::{Headers, ListSerializer, NullableSerializer, Serializer, StringSerializer};
///
/// let lists = ListSerializer::new(NullableSerializer(StringSerializer::new()));
/// let list = [Some("tea".to_owned()), None];
/// assert!(lists.serialize("orders", &mut Headers::new(), &list[..])?.is_some());
/// # Ok::<(), kafka_producer::BoxError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[allow(
    clippy::exhaustive_structs,
    reason = "it is the serializer it holds, and no more"
)]
pub struct NullableSerializer<S>(
    /// The inner serializer.
    pub S,
);

impl<T, S: Serializer<T>> Serializer<Option<T>> for NullableSerializer<S> {
    fn configure(&mut self, config: &PluginConfig, is_key: bool) -> Result<(), BoxError> {
        self.0.configure(config, is_key)
    }

    fn serialize<'a>(
        &self,
        topic: &str,
        headers: &mut Headers,
        data: &'a Option<T>,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        match data {
            Some(data) => self.0.serialize(topic, headers, data),
            None => self.0.serialize_null(topic, headers),
        }
    }

    fn close(&self) -> Result<(), BoxError> {
        self.0.close()
    }

    fn cluster_listener(&self) -> Option<Arc<dyn ClusterResourceListener>> {
        self.0.cluster_listener()
    }
}
