//! Trace hash: one number over all events of a run. Two runs of a seed that differ in one event differ in the hash.

use std::hash::{Hash, Hasher};

use crate::events::Event;

/// 64-bit FNV-1a over every field of every event, in order.
pub(crate) struct TraceHash(Fnv);

impl TraceHash {
    pub(crate) fn new() -> Self {
        Self(Fnv(0xcbf2_9ce4_8422_2325))
    }

    pub(crate) fn see(&mut self, event: &Event) {
        event.hash(&mut self.0);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.0
    }
}

struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
