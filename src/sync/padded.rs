//! A value on cache lines of its own.

use std::ops::Deref;

/// A value that several threads write, separated from its neighbours. If they were on one cache line, a thread that only
/// reads a neighbour would wait for the line each time (false sharing).
#[derive(Debug, Default)]
#[repr(align(64))]
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
