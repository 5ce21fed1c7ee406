//! Records and record batches.

#[cfg(any(test, feature = "testing"))]
pub(crate) mod batch;
pub(crate) mod builder;
pub(crate) mod format;
pub(crate) mod header;
#[allow(
    dead_code,
    unused_imports,
    reason = "the batches that become message sets come next"
)]
pub(crate) mod legacy;
pub(crate) mod split;

pub use header::{Header, Headers, HeadersFrozen};
