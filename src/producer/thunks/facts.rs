//! What a record's metadata need besides its batch's outcome, and how that is kept small.

use crate::producer::produce_request_result::BatchOutcome;
use crate::producer::record_metadata::{RecordFacts, RecordMetadata};
use crate::record::builder::RecordParts;
use crate::types::TopicPartition;

use super::Answer;

impl RecordFacts {
    /// What the batch's outcome means for this record, at that place in the batch (PB-17).
    #[inline]
    pub(crate) fn answer(
        &self,
        index: u32,
        partition: &TopicPartition,
        outcome: &BatchOutcome,
    ) -> Answer {
        let (base_offset, log_append_time_ms) = outcome.for_record(index).map_err(Clone::clone)?;
        let facts = self.at(log_append_time_ms);
        Ok(RecordMetadata::new(
            partition.clone(),
            base_offset,
            index,
            facts,
        ))
    }
}

/// Facts as they are kept with a callback.
pub(super) trait Unpack {
    fn unpack(self, first_timestamp_ms: i64) -> RecordFacts;
}

impl Unpack for RecordFacts {
    fn unpack(self, _first_timestamp_ms: i64) -> Self {
        self
    }
}

/// The facts of nearly every record, in half the memory: there may be as many as `buffer.memory` holds
/// records.
///
/// Its timestamp counts from that of the batch's first record, and lies within 24 days of it; its key and
/// its value have less than 32 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PackedFacts {
    since_first_ms: i32,
    key_size: i16,
    value_size: i16,
}

impl PackedFacts {
    /// `None` for a record that is larger, or further away in time.
    #[inline]
    pub(super) fn new(record: &RecordParts<'_>, first_timestamp_ms: i64) -> Option<Self> {
        let facts = RecordFacts::new(record);
        // What wraps around here does so again on the way back.
        let since_first_ms = facts.timestamp_ms.wrapping_sub(first_timestamp_ms);
        Some(Self {
            since_first_ms: i32::try_from(since_first_ms).ok()?,
            key_size: i16::try_from(facts.key_size).ok()?,
            value_size: i16::try_from(facts.value_size).ok()?,
        })
    }
}

impl Unpack for PackedFacts {
    #[inline]
    fn unpack(self, first_timestamp_ms: i64) -> RecordFacts {
        RecordFacts {
            timestamp_ms: first_timestamp_ms.wrapping_add(i64::from(self.since_first_ms)),
            key_size: i32::from(self.key_size),
            value_size: i32::from(self.value_size),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>, at: i64) -> RecordParts<'a> {
        RecordParts {
            key,
            value,
            headers: &[],
            timestamp_ms: at,
        }
    }

    fn packed(record: &RecordParts<'_>, first: i64) -> Option<RecordFacts> {
        PackedFacts::new(record, first).map(|facts| facts.unpack(first))
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(
            key in proptest::option::of(0_usize..70_000),
            value in proptest::option::of(0_usize..70_000),
            first in any::<i64>(),
            distance in prop_oneof![any::<i64>(), -3_000_000_000..3_000_000_000_i64],
        ) {
            let bytes = vec![0; 70_000];
            let at = first.wrapping_add(distance);
            let record = record(key.map(|n| &bytes[..n]), value.map(|n| &bytes[..n]), at);
            let fits = key.is_none_or(|n| n < 32_768)
                && value.is_none_or(|n| n < 32_768)
                && i32::try_from(distance).is_ok();
            let expected = fits.then(|| RecordFacts::new(&record));
            prop_assert_eq!(packed(&record, first), expected);
        }
    }

    #[test]
    fn the_largest_that_fits_is_packed_and_the_next_is_not() {
        let bytes = vec![0; 1 << 16];
        let fits = |key: usize, value: usize, at: i64| {
            let record = record(Some(&bytes[..key]), Some(&bytes[..value]), at);
            let back = packed(&record, 0);
            assert!(back.is_none_or(|back| back == RecordFacts::new(&record)));
            back.is_some()
        };
        assert!(fits(32_767, 32_767, i32::MAX.into()));
        assert!(fits(0, 0, i32::MIN.into()));
        assert!(!fits(32_768, 0, 0));
        assert!(!fits(0, 65_535, 0));
        assert!(!fits(0, 0, i64::from(i32::MAX) + 1));
        assert!(!fits(0, 0, i64::from(i32::MIN) - 1));
    }
}
