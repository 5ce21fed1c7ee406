//! Producer id, epoch and sequence numbers of an idempotent producer.

use std::fmt;

/// Producer id and epoch, assigned by a broker.
///
/// # Kafka
/// `org.apache.kafka.common.utils.ProducerIdAndEpoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProducerIdAndEpoch {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

impl ProducerIdAndEpoch {
    /// No producer id: none is assigned yet, or the producer is not idempotent.
    pub(crate) const NONE: Self = Self { id: -1, epoch: -1 };

    pub(crate) const fn new(id: i64, epoch: i16) -> Self {
        Self { id, epoch }
    }

    pub(crate) const fn is_valid(self) -> bool {
        self.id > Self::NONE.id
    }
}

impl fmt::Display for ProducerIdAndEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(producerId={}, epoch={})", self.id, self.epoch)
    }
}

/// Sequence number of a record, per producer id, epoch and partition. A number of 31 bits that wraps from `i32::MAX` to
/// 0, as in brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Sequence(i32);

impl Sequence {
    pub(crate) const ZERO: Self = Self(0);
    /// No sequence number: -1 on the wire.
    pub(crate) const NONE: Self = Self(-1);

    /// A sequence number from an integer that is not negative.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const fn new(number: i32) -> Self {
        debug_assert!(number >= 0);
        Self(number)
    }

    pub(crate) const fn as_i32(self) -> i32 {
        self.0
    }

    /// The sequence `count` records later, wrapping as the broker does.
    ///
    /// # Kafka
    /// `DefaultRecordBatch#incrementSequence`.
    #[must_use]
    pub(crate) const fn advance(self, count: u32) -> Self {
        Self(((self.0 as u32).wrapping_add(count) & 0x7fff_ffff) as i32)
    }

    /// The sequence `count` records earlier, wrapping as the broker does.
    ///
    /// # Kafka
    /// `DefaultRecordBatch#decrementSequence`.
    #[must_use]
    #[cfg(test)]
    pub(crate) const fn retreat(self, count: u32) -> Self {
        Self(((self.0 as u32).wrapping_sub(count) & 0x7fff_ffff) as i32)
    }

    /// Number of records from `earlier` to this one, counted forward across the wrap.
    pub(crate) const fn distance_from(self, earlier: Self) -> u32 {
        (self.0 as u32).wrapping_sub(earlier.0 as u32) & 0x7fff_ffff
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Java: TransactionManagerTest#testSequenceNumberOverflow, SenderTest#testSequenceNumberIncrement
    #[test]
    fn sequence_numbers_wrap_in_both_directions() {
        let last = Sequence::new(i32::MAX);
        assert_eq!(last.advance(1), Sequence::ZERO);
        assert_eq!(last.advance(100), Sequence::new(99));
        assert_eq!(Sequence::ZERO.retreat(1), last);
        assert_eq!(Sequence::new(99).retreat(100), last);
        assert_eq!(
            Sequence::new(2).distance_from(Sequence::new(i32::MAX - 1)),
            4
        );
    }
}
