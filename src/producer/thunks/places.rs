//! Which records of a batch those in a list are, when nearly always they are all of them.

/// The places in a batch of what lies in a list, in order: a gap for each time that some are left out.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Gap>);

/// Places are left out.
#[derive(Debug, Clone, Copy)]
struct Gap {
    /// Before what stands here in the list.
    position: usize,
    count: u32,
}

impl Places {
    /// Notes that `count` places are left out before what will stand at `position`, the end of the list.
    pub(super) fn leave_out(&mut self, position: usize, count: u32) {
        if count > 0 {
            self.0.push(Gap { position, count });
        }
    }

    /// The places, in order of the list, which is as long as whoever asks knows.
    pub(super) fn iter(&self) -> PlaceIter<'_> {
        PlaceIter::new(&self.0)
    }

    /// Divides the places of a list of `len` into those before `place` and the others, which are then
    /// counted from there. Returns those before, and how many they are.
    pub(super) fn take_front(&mut self, len: usize, place: u32) -> (usize, Self) {
        let all: Vec<u32> = self.iter().take(len).collect();
        let count = all.partition_point(|at| *at < place);
        let front = Self::of(all[..count].iter().copied());
        *self = Self::of(all[count..].iter().map(|at| at - place));
        (count, front)
    }

    fn of(places: impl Iterator<Item = u32>) -> Self {
        let (mut list, mut next) = (Self::default(), 0);
        for (position, place) in places.enumerate() {
            list.leave_out(position, place - next);
            next = place + 1;
        }
        list
    }
}

/// See [`Places::iter`]. Does not end.
#[derive(Default)]
pub(super) struct PlaceIter<'a> {
    gaps: &'a [Gap],
    position: usize,
    place: u32,
}

impl<'a> PlaceIter<'a> {
    fn new(gaps: &'a [Gap]) -> Self {
        let (position, place) = (0, 0);
        Self {
            gaps,
            position,
            place,
        }
    }
}

impl Iterator for PlaceIter<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        match self.gaps {
            [gap, rest @ ..] if gap.position == self.position => {
                self.place += gap.count;
                self.gaps = rest;
            }
            _ => {}
        }
        let place = self.place;
        self.position += 1;
        self.place += 1;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_are_those_that_were_noted_and_divide_at_any_place(
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
            let mut places = Places::of(noted.iter().copied());
            let listed: Vec<u32> = places.iter().take(noted.len()).collect();
            prop_assert_eq!(&listed, &noted);
            let (count, front) = places.take_front(noted.len(), cut);
            let (before, after): (Vec<u32>, Vec<u32>) = noted.iter().partition(|place| **place < cut);
            prop_assert_eq!(front.iter().take(count).collect::<Vec<_>>(), before);
            let rest = places.iter().take(noted.len() - count).map(|place| place + cut);
            prop_assert_eq!(rest.collect::<Vec<_>>(), after);
        }
    }

    #[test]
    fn a_list_without_gaps_notes_nothing() {
        assert!(Places::of(0..100).0.is_empty());
    }
}
