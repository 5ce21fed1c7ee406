//! A sparse index: maps positions in a list of thunks to indexes of records in the batch. Nearly always the two are
//! equal.

/// The record indexes of a list's entries, in order, stored as the gaps between them.
#[derive(Debug, Default)]
pub(super) struct SparseIndex(Vec<Gap>);

/// A gap: consecutive records that are not in the list.
#[derive(Debug, Clone, Copy)]
struct Gap {
    /// The position in the list before which the gap is.
    position: usize,
    count: u32,
}

impl SparseIndex {
    /// Adds a gap of `count` records before `position`, which is the end of the list.
    pub(super) fn leave_out(&mut self, position: usize, count: u32) {
        if count > 0 {
            self.0.push(Gap { position, count });
        }
    }

    /// The record indexes, in the order of the list. Infinite: the caller knows the list's length.
    pub(super) fn iter(&self) -> SparseIndexIter<'_> {
        SparseIndexIter::new(&self.0)
    }

    /// Splits the index of a list of `len` entries at the record of index `record`. Keeps the entries from there on,
    /// renumbered to start at zero; returns the number and the index of the entries before it.
    pub(super) fn take_front(&mut self, len: usize, record: u32) -> (usize, Self) {
        // The index is expanded and built anew, which is slow. Only the split of a batch does this, and splits are
        // rare.
        let all: Vec<u32> = self.iter().take(len).collect();
        let count = all.partition_point(|at| *at < record);
        let front = Self::of(all[..count].iter().copied());
        *self = Self::of(all[count..].iter().map(|at| at - record));
        (count, front)
    }

    fn of(records: impl Iterator<Item = u32>) -> Self {
        let (mut list, mut next) = (Self::default(), 0);
        for (position, record) in records.enumerate() {
            list.leave_out(position, record - next);
            next = record + 1;
        }
        list
    }
}

/// The iterator of [`SparseIndex::iter`]. Infinite.
#[derive(Default)]
pub(super) struct SparseIndexIter<'a> {
    gaps: &'a [Gap],
    position: usize,
    record: u32,
}

impl<'a> SparseIndexIter<'a> {
    fn new(gaps: &'a [Gap]) -> Self {
        let (position, record) = (0, 0);
        Self {
            gaps,
            position,
            record,
        }
    }
}

impl Iterator for SparseIndexIter<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        match self.gaps {
            // There is at most one gap before each position.
            [gap, rest @ ..] if gap.position == self.position => {
                self.record += gap.count;
                self.gaps = rest;
            }
            _ => {}
        }
        let record = self.record;
        self.position += 1;
        self.record += 1;
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_index_contains_the_given_records_and_splits_at_any_record(
            steps in proptest::collection::vec(0u32..3, 0..20),
            cut in 0u32..50,
        ) {
            let mut next = 0;
            let noted: Vec<u32> = steps
                .iter()
                .map(|skipped| {
                    next += skipped + 1;
                    next - 1
                })
                .collect();
            let mut index = SparseIndex::of(noted.iter().copied());
            let listed: Vec<u32> = index.iter().take(noted.len()).collect();
            prop_assert_eq!(&listed, &noted);
            let (count, front) = index.take_front(noted.len(), cut);
            let (before, after): (Vec<u32>, Vec<u32>) = noted.iter().partition(|record| **record < cut);
            prop_assert_eq!(front.iter().take(count).collect::<Vec<_>>(), before);
            let rest = index.iter().take(noted.len() - count).map(|record| record + cut);
            prop_assert_eq!(rest.collect::<Vec<_>>(), after);
        }
    }

    #[test]
    fn a_list_without_gaps_stores_nothing() {
        assert!(SparseIndex::of(0..100).0.is_empty());
    }
}
