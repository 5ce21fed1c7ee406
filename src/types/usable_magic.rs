//! Magic byte: the version of the record format, and the newest version that all connected brokers accept.

use std::sync::atomic::{AtomicU8, Ordering};

/// Magic byte: the version of the record format, as written in each batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Magic {
    /// Message set of Kafka before 0.10: no timestamps.
    V0 = 0,
    /// Message set of Kafka 0.10: timestamps, relative offsets.
    V1 = 1,
    /// Record batch of Kafka 0.11 and later: headers, producer ids, CRC-32C.
    V2 = 2,
}

/// Shared atomic cell: the network client stores the magic when API versions of brokers change, and the accumulator
/// loads it when it opens a batch.
///
/// # Kafka
/// `ApiVersions#maxUsableProduceMagic`.
#[derive(Debug)]
pub(crate) struct UsableMagic(AtomicU8);

impl UsableMagic {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(Magic::V2 as u8))
    }

    pub(crate) fn load(&self) -> Magic {
        match self.0.load(Ordering::Relaxed) {
            0 => Magic::V0,
            1 => Magic::V1,
            _ => Magic::V2,
        }
    }

    pub(crate) fn store(&self, magic: Magic) {
        self.0.store(magic as u8, Ordering::Relaxed);
    }
}

impl Default for UsableMagic {
    fn default() -> Self {
        Self::new()
    }
}
