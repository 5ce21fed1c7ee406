//! Record formats: record batches (magic 2), message sets for brokers before 0.11 (magic 0 and 1), and headers.

#[cfg(any(test, feature = "testing"))]
pub(crate) mod batch;
pub(crate) mod builder;
pub(crate) mod format;
pub(crate) mod header;
pub(crate) mod legacy;
pub(crate) mod ratio;
pub(crate) mod split;

pub use header::{Header, Headers, HeadersFrozen};
