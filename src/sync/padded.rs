//! A value on cache lines of its own.

use std::ops::Deref;

/// Keeps a value that several threads write off the cache lines of its neighbours. Without it, a thread that only
/// reads a neighbour waits for the line each time (false sharing).
// Two lines: processors fetch neighbouring lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(T);

impl<T> Padded<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Padded<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}
