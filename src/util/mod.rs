//! Small helpers that do not depend on the crate's other modules.

pub(crate) mod backoff;
pub(crate) mod crc32c;
pub(crate) mod foreign_text;
pub(crate) mod hash;
pub(crate) mod log;
pub(crate) mod murmur2;
pub(crate) mod panic;
pub(crate) mod process;
pub(crate) mod secret_text;
pub(crate) mod shared_map;
pub(crate) mod varint;
pub(crate) mod wipe;
