//! A few numbers that are read often, without a lock, and written seldom.

use crate::planted::planted;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Numbers that belong together. A reader gets all of them from one write, or nothing; it waits for nobody and writes
/// nothing, so readers on several processors share the cache line. One thread writes at a time.
#[derive(Debug)]
pub(crate) struct SeqLock<const N: usize> {
    /// Odd while a thread writes; every write adds two.
    sequence: AtomicU64,
    numbers: [AtomicU64; N],
}

impl<const N: usize> SeqLock<N> {
    pub(crate) fn new(numbers: [u64; N]) -> Self {
        Self {
            sequence: AtomicU64::new(0),
            numbers: numbers.map(AtomicU64::new),
        }
    }

    /// The numbers; `None` if a thread is writing.
    #[inline]
    pub(crate) fn read(&self) -> Option<[u64; N]> {
        let before = self.sequence.load(Ordering::Acquire);
        // Acquire: a number of a later write was stored after the sequence became odd, so the second load sees that.
        let numbers = std::array::from_fn(|at| self.numbers[at].load(Ordering::Acquire));
        let after = self.sequence.load(Ordering::Relaxed);
        let is_whole = before == after || planted!(TornNumbersRead);
        (is_whole && before % 2 == 0).then_some(numbers)
    }

    /// Replaces the numbers by those that `change` makes of them. Does nothing if another thread is writing.
    pub(crate) fn try_write(&self, change: impl FnOnce([u64; N]) -> [u64; N]) {
        let before = self.sequence.load(Ordering::Relaxed);
        if before % 2 == 1 {
            return;
        }
        // Acquire: the numbers of the last write are read below.
        let begun = self.sequence.compare_exchange(
            before,
            before + 1,
            Ordering::Acquire,
            Ordering::Relaxed,
        );
        if begun.is_err() {
            return;
        }
        let numbers = std::array::from_fn(|at| self.numbers[at].load(Ordering::Relaxed));
        for (slot, number) in self.numbers.iter().zip(change(numbers)) {
            // Release: a reader that sees the number sees the odd sequence, too.
            slot.store(number, Ordering::Release);
        }
        self.sequence.store(before + 2, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_the_last_write_are_read() {
        let lock = SeqLock::new([1, 2]);
        assert_eq!(lock.read(), Some([1, 2]));
        lock.try_write(|[one, two]| [one + 10, two + 20]);
        assert_eq!(lock.read(), Some([11, 22]));
    }

    #[test]
    fn during_a_write_nothing_is_read_and_nothing_else_written() {
        let lock = SeqLock::new([1]);
        lock.try_write(|_| {
            assert_eq!(lock.read(), None);
            lock.try_write(|_| unreachable!("another write is under way"));
            [2]
        });
        assert_eq!(lock.read(), Some([2]));
    }
}
