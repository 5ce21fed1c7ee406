//! The types that keys and values may have.

use std::borrow::Borrow;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::path::{Path, PathBuf};

/// A type of keys or values, and the type that owns one.
///
/// Every sized type is one, and owns itself: there is nothing to implement for types of your own, and they need not be
/// `Clone`. An unsized type needs an owner: `String` for `str`, `Vec` for slices, and likewise for C strings and the types
/// of file names. For any other use a `Box`, or implement the trait.
///
/// ```
/// use kafka_producer::{ProducerRecord, RecordData};
///
/// /// The size of a record's value, whatever its type.
/// fn size<V: ?Sized + RecordData>(record: &ProducerRecord<'_, str, V>) -> usize {
///     record.value().map_or(0, size_of_val)
/// }
///
/// struct Order(u64); // not `Clone`
/// assert_eq!(size(&ProducerRecord::new("orders", Order(7))), 8);
/// assert_eq!(size(&ProducerRecord::<str, str>::new("orders", "tea")), 3);
/// ```
pub trait RecordData {
    /// The type that owns the data of a record that borrows nothing.
    type Owned: Borrow<Self>;
}

impl<T> RecordData for T {
    type Owned = T;
}

impl<T> RecordData for [T] {
    type Owned = Vec<T>;
}

impl RecordData for str {
    type Owned = String;
}

impl RecordData for CStr {
    type Owned = CString;
}

impl RecordData for OsStr {
    type Owned = OsString;
}

impl RecordData for Path {
    type Owned = PathBuf;
}
