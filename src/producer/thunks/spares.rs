//! Spare vectors of completed batches, which later batches store their callbacks in.
//!
//! An application thread allocates the vector of a batch and the sender would free it. Memory that one thread allocates
//! and another frees is expensive: the allocator locks the arena of the first thread, and with glibc its free memory
//! grows to several MiB.

use std::fmt;

use super::ThunksAlike;

/// The emptied vector of a completed batch.
pub(crate) struct SpareVector(Box<dyn ThunksAlike>);

impl SpareVector {
    pub(super) fn new(emptied: Box<dyn ThunksAlike>) -> Self {
        debug_assert_eq!(emptied.len(), 0, "all callbacks were called");
        Self(emptied)
    }

    /// The memory that it takes among the spare vectors.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.allocated_bytes()
    }

    pub(super) fn into_inner(self) -> Box<dyn ThunksAlike> {
        self.0
    }
}

impl fmt::Debug for SpareVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpareVector")
            .field(&self.0.capacity())
            .finish()
    }
}

/// The spare vectors of a producer, the last one first: it is the most likely to be in a processor's cache.
#[derive(Debug, Default)]
pub(crate) struct SpareThunks {
    vectors: Vec<SpareVector>,
    /// The memory that they take.
    bytes: usize,
}

/// Upper bound of the memory of all spare vectors of a producer. They are not part of `buffer.memory`.
pub(super) const MAX_BYTES: usize = 512 << 10;

impl SpareThunks {
    pub(crate) fn take(&mut self) -> Option<SpareVector> {
        let vector = self.vectors.pop()?;
        self.bytes -= vector.bytes();
        Some(vector)
    }

    /// Keeps the vector; returns it if there are enough, to be dropped after the caller has released its lock.
    #[must_use]
    pub(crate) fn keep(&mut self, vector: SpareVector) -> Option<SpareVector> {
        let bytes = vector.bytes();
        // A piece of a split batch may leave a vector without room, which would spare no allocation.
        if vector.0.capacity() == 0 || bytes > MAX_BYTES - self.bytes {
            return Some(vector);
        }
        self.bytes += bytes;
        self.vectors.push(vector);
        None
    }
}
