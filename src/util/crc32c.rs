//! CRC-32C (Castagnoli), the checksum of record batches in format v2.

use crc_fast::{CrcAlgorithm, Digest};

/// A checksum of bytes that lie in several places.
#[derive(Debug)]
pub(crate) struct Crc32c(Digest);

impl Crc32c {
    pub(crate) fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc32Iscsi))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes so far.
    pub(crate) fn finish(&self) -> u32 {
        // The library has one type for all widths.
        self.0.finalize() as u32
    }
}

/// The checksum of these bytes.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of RFC 3720's polynomial, as catalogues of checksums list it.
    const CHECK: u32 = 0xE306_9283;

    #[test]
    fn the_checksum_is_that_of_the_catalogues_in_one_part_and_in_several() {
        let bytes = b"123456789";
        assert_eq!(crc32c(bytes), CHECK);
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            let mut parts = Crc32c::new();
            parts.update(head);
            parts.update(tail);
            assert_eq!(parts.finish(), CHECK, "split at {at}");
        }
    }

    /// Long inputs take other instructions than short ones.
    #[test]
    fn inputs_of_all_lengths_have_the_checksum_of_their_bytes_one_by_one() {
        let bytes: Vec<u8> = (0..40_000_u32)
            .map(|i| (i.wrapping_mul(31) >> 3) as u8)
            .collect();
        for length in (0..600).chain([1_023, 4_096, 16_384, 40_000]) {
            let whole = crc32c(&bytes[..length]);
            let mut single = Crc32c::new();
            for byte in &bytes[..length] {
                single.update(std::slice::from_ref(byte));
            }
            assert_eq!(single.finish(), whole, "{length} bytes");
        }
    }
}
