//! Serializer from a closure.

use std::fmt;

use super::{Serialized, Serializer};
use crate::error::BoxError;
use crate::record::Headers;

/// Makes a serializer from a function that returns the bytes of the data.
///
/// ```
/// use kafka_producer::{Serializer, serialize_with};
///
/// struct Point { x: i32, y: i32 }
///
/// let points = serialize_with(|point: &Point| {
///     Ok::<_, std::convert::Infallible>(format!("{},{}", point.x, point.y).into_bytes())
/// });
/// let serializer: Box<dyn Serializer<Point>> = Box::new(points);
/// # drop(serializer);
/// ```
pub fn serialize_with<T, F, E>(function: F) -> FnSerializer<F>
where
    T: ?Sized,
    F: Fn(&T) -> Result<Vec<u8>, E> + Send + Sync,
    E: Into<BoxError>,
{
    FnSerializer(function)
}

/// The serializer that [`serialize_with`] returns.
#[derive(Clone, Copy)]
pub struct FnSerializer<F>(F);

impl<F> fmt::Debug for FnSerializer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnSerializer").finish_non_exhaustive()
    }
}

impl<T, F, E> Serializer<T> for FnSerializer<F>
where
    T: ?Sized,
    F: Fn(&T) -> Result<Vec<u8>, E> + Send + Sync,
    E: Into<BoxError>,
{
    fn serialize<'a>(
        &self,
        _topic: &str,
        _headers: &mut Headers,
        data: &'a T,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        (self.0)(data)
            .map(|bytes| Some(bytes.into()))
            .map_err(Into::into)
    }
}
