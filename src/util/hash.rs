//! Hash maps with a fixed (unseeded) hash function: the iteration order is the same in every run, which deterministic
//! replay needs, and hashing a short string takes a few nanoseconds. There is no protection against collision attacks:
//! keys are topic names and node ids, chosen by the application and its cluster.

use std::hash::{BuildHasherDefault, Hasher};

/// A map with a fixed hash function.
#[allow(
    clippy::disallowed_types,
    reason = "with the fixed hasher it is allowed"
)]
pub(crate) type FixedHashMap<K, V> =
    std::collections::HashMap<K, V, BuildHasherDefault<FixedHasher>>;

/// A multiply-rotate hash over eight bytes at a time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FixedHasher(u64);

/// The golden ratio in 64 bits, odd: multiplication by it spreads low bits to high ones.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl FixedHasher {
    #[inline]
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(SPREAD);
    }
}

impl Hasher for FixedHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((word, after)) = rest.split_first_chunk() {
            self.add(u64::from_le_bytes(*word));
            rest = after;
        }
        // Reads of fixed size, which may overlap: a copy of variable size would be a function call.
        match (rest.first_chunk(), rest.last_chunk()) {
            (Some(first), Some(last)) => {
                let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
                self.add(u64::from(first) << 32 | u64::from(last));
            }
            _ => rest.iter().for_each(|byte| self.add(u64::from(*byte))),
        }
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.add(u64::from(value));
    }

    fn write_i32(&mut self, value: i32) {
        self.add(u64::from(value as u32));
    }

    fn write_u32(&mut self, value: u32) {
        self.add(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.add(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.add(value as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        // The table takes its index from the low bits and its tag from the high ones.
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_many_similar_names_is_found_in_the_map() {
        let mut map = FixedHashMap::default();
        for i in 0..10_000 {
            map.insert(format!("topic-{i}"), i);
        }
        for i in 0..10_000 {
            assert_eq!(map.get(format!("topic-{i}").as_str()), Some(&i));
        }
    }
}
