//! Values and keys: files of blocks of equal size, kept in memory.

use std::fs;

use crate::protocol::Setup;

/// Blocks of equal size, without gaps.
#[derive(Debug)]
pub struct Blocks {
    bytes: Vec<u8>,
    size: usize,
}

impl Blocks {
    fn read(path: &str, size: usize) -> Result<Self, String> {
        let bytes = fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))?;
        Self::new(bytes, size).map_err(|error| format!("{path}: {error}"))
    }

    /// Reads the values of a setup, and its keys if it has some.
    ///
    /// # Errors
    /// If a file cannot be read, or does not consist of whole blocks.
    pub fn of(setup: &Setup) -> Result<(Self, Option<Self>), String> {
        let values = Self::read(&setup.payloads, setup.payload_bytes)?;
        let keys = match &setup.keys {
            None => None,
            Some(path) => Some(Self::read(path, setup.key_bytes)?),
        };
        Ok((values, keys))
    }

    /// Splits `bytes` into blocks of `size` bytes.
    ///
    /// # Errors
    /// If the bytes are not whole blocks.
    pub fn new(bytes: Vec<u8>, size: usize) -> Result<Self, String> {
        if size == 0 || bytes.is_empty() || bytes.len() % size != 0 {
            let length = bytes.len();
            return Err(format!(
                "its {length} bytes are not one or more blocks of {size} bytes"
            ));
        }
        Ok(Self { bytes, size })
    }

    /// The number of blocks.
    pub fn count(&self) -> usize {
        self.bytes.len() / self.size
    }

    /// The size of a block in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The block with this number, modulo the number of blocks.
    pub fn get(&self, number: usize) -> &[u8] {
        let start = number % self.count() * self.size;
        &self.bytes[start..start + self.size]
    }

    /// An endless iterator over the blocks `first`, `first + step`, …, each modulo the number of blocks.
    pub(crate) fn every(&self, first: usize, step: usize) -> Cycle<'_> {
        let count = self.count();
        Cycle {
            blocks: self,
            at: first % count,
            step: step % count,
        }
    }
}

/// An endless iterator over blocks, without a division for each block.
#[derive(Debug)]
pub(crate) struct Cycle<'a> {
    blocks: &'a Blocks,
    at: usize,
    step: usize,
}

impl<'a> Cycle<'a> {
    pub(crate) fn next(&mut self) -> &'a [u8] {
        let start = self.at * self.blocks.size;
        self.at += self.step;
        if self.at >= self.blocks.count() {
            self.at -= self.blocks.count();
        }
        &self.blocks.bytes[start..start + self.blocks.size]
    }
}

#[cfg(test)]
mod tests {
    use super::Blocks;

    fn walk(first: usize, step: usize) -> Vec<u8> {
        let blocks = Blocks::new(vec![0, 0, 1, 1, 2, 2], 2).unwrap();
        let mut cycle = blocks.every(first, step);
        (0..5).map(|_| cycle.next()[1]).collect()
    }

    #[test]
    fn threads_take_turns_over_the_blocks() {
        assert_eq!(walk(0, 1), [0, 1, 2, 0, 1]);
        assert_eq!(walk(1, 2), [1, 0, 2, 1, 0]);
        assert_eq!(walk(4, 7), [1, 2, 0, 1, 2], "more threads than blocks");
    }

    #[test]
    fn a_truncated_file_is_rejected() {
        let error = Blocks::new(vec![0; 7], 2).unwrap_err();
        assert!(error.contains("7 bytes"), "{error}");
    }
}
