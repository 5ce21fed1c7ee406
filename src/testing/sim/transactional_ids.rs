//! Which producer id and epoch belong to which transactional id.

use std::collections::BTreeMap;

use crate::error::ErrorCode;
use crate::types::ProducerIdAndEpoch;

/// The longest transaction a broker allows (`transaction.max.timeout.ms`).
const TRANSACTION_TIMEOUT_MS_MAX: i32 = 15 * 60 * 1000;
/// One epoch is kept back, for the coordinator to fence the last producer with.
const LAST_EPOCH: i16 = i16::MAX - 1;
const FIRST_PRODUCER_ID: i64 = 1000;
/// As many ids begin with another epoch than 0, if that is asked for.
const EARLY_IDS: i64 = 4;

/// What a coordinator keeps for one transactional id.
#[derive(Debug, Clone, Copy)]
struct Entry {
    now: ProducerIdAndEpoch,
    /// What it was before the last change that a producer asked for by naming what it had: should
    /// the answer be lost, the producer asks with this once more.
    before: ProducerIdAndEpoch,
}

/// Hands out producer ids.
///
/// # Kafka
/// `kafka.coordinator.transaction.TransactionCoordinator#handleInitProducerId`, as of 3.0.
#[derive(Debug)]
pub(crate) struct ProducerIds {
    next: i64,
    first_epoch: i16,
    by_transactional_id: BTreeMap<String, Entry>,
}

impl Default for ProducerIds {
    fn default() -> Self {
        Self {
            next: FIRST_PRODUCER_ID,
            first_epoch: 0,
            by_transactional_id: BTreeMap::new(),
        }
    }
}

impl ProducerIds {
    /// The first ids begin with this epoch. Brokers begin with 0; a producer that has used up its epochs, and gets another
    /// id, is in reach where they begin near the last.
    #[cfg(any(test, all(feature = "testing", feature = "_internals")))]
    pub(crate) fn begin_with(&mut self, epoch: i16) {
        self.first_epoch = epoch;
    }

    /// A producer id that nobody has, with the first epoch.
    pub(crate) fn fresh(&mut self) -> ProducerIdAndEpoch {
        let id = self.next;
        self.next += 1;
        let is_early = id < FIRST_PRODUCER_ID + EARLY_IDS;
        ProducerIdAndEpoch::new(id, if is_early { self.first_epoch } else { 0 })
    }

    /// The id for a producer that says what it has now: nothing, or `expected`.
    ///
    /// Without a transactional id what it has does not matter: it gets a fresh one.
    pub(crate) fn init(
        &mut self,
        transactional_id: Option<&str>,
        timeout_ms: i32,
        expected: Option<ProducerIdAndEpoch>,
    ) -> Result<ProducerIdAndEpoch, ErrorCode> {
        let Some(name) = transactional_id else {
            return Ok(self.fresh());
        };
        if name.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        if !(1..=TRANSACTION_TIMEOUT_MS_MAX).contains(&timeout_ms) {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        let entry = match self.by_transactional_id.get(name) {
            Some(entry) => self.next_of(*entry, expected)?,
            None => Entry {
                now: self.fresh(),
                before: ProducerIdAndEpoch::NONE,
            },
        };
        self.by_transactional_id.insert(name.to_owned(), entry);
        Ok(entry.now)
    }

    /// Fences whoever had the id before; a producer that is fenced itself is told so.
    fn next_of(
        &mut self,
        entry: Entry,
        expected: Option<ProducerIdAndEpoch>,
    ) -> Result<Entry, ErrorCode> {
        let Entry { now, before } = entry;
        if let Some(expected) = expected.filter(|expected| *expected != now) {
            // The same question a second time: the first answer did not reach it.
            return if expected == before {
                Ok(entry)
            } else {
                Err(ErrorCode::ProducerFenced)
            };
        }
        let next = if now.epoch >= LAST_EPOCH {
            self.fresh()
        } else {
            ProducerIdAndEpoch::new(now.id, now.epoch + 1)
        };
        let before = expected.unwrap_or(ProducerIdAndEpoch::NONE);
        Ok(Entry { now: next, before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: i32 = 60_000;

    /// Java: TransactionCoordinatorTest#shouldAcceptInitPidAndReturnNextPidWhenTransactionalIdIsNull
    #[test]
    fn without_transactional_id_every_request_gets_a_fresh_producer_id() {
        let mut ids = ProducerIds::default();
        let first = ids.init(None, i32::MAX, None).unwrap();
        let second = ids.init(None, i32::MAX, Some(first)).unwrap();
        assert_eq!((first.epoch, second.epoch), (0, 0));
        assert_ne!(first.id, second.id);
    }

    /// Java: TransactionCoordinatorTest#shouldIncrementEpochAndUpdateMetadataOnHandleInitPidWhenExistingEmptyTransaction
    #[test]
    fn the_next_producer_of_a_transactional_id_gets_the_next_epoch() {
        let mut ids = ProducerIds::default();
        let first = ids.init(Some("t"), TIMEOUT, None).unwrap();
        let second = ids.init(Some("t"), TIMEOUT, None).unwrap();
        assert_eq!(second, ProducerIdAndEpoch::new(first.id, first.epoch + 1));
        assert_ne!(ids.init(Some("other"), TIMEOUT, None).unwrap().id, first.id);
    }

    /// Java: TransactionCoordinatorTest#testInitProducerIdWithCurrentEpochProvided,
    /// #testInitProducerIdStaleCurrentEpochProvided
    #[test]
    fn a_bump_may_be_asked_for_twice_but_not_by_a_producer_that_was_fenced() {
        let mut ids = ProducerIds::default();
        let first = ids.init(Some("t"), TIMEOUT, None).unwrap();
        let second = ids.init(Some("t"), TIMEOUT, Some(first)).unwrap();
        assert_eq!(ids.init(Some("t"), TIMEOUT, Some(first)), Ok(second));
        let third = ids.init(Some("t"), TIMEOUT, Some(second)).unwrap();
        assert_eq!(third.epoch, 2);
        assert_eq!(
            ids.init(Some("t"), TIMEOUT, Some(first)),
            Err(ErrorCode::ProducerFenced)
        );
        // A new producer takes over: the old one's retry no longer counts.
        ids.init(Some("t"), TIMEOUT, None).unwrap();
        assert_eq!(
            ids.init(Some("t"), TIMEOUT, Some(second)),
            Err(ErrorCode::ProducerFenced)
        );
        assert_eq!(
            ids.init(Some("t"), TIMEOUT, Some(third)),
            Err(ErrorCode::ProducerFenced)
        );
    }

    /// Java: TransactionCoordinatorTest#shouldGenerateNewProducerIdIfEpochsExhausted,
    /// #testRetryInitProducerIdAfterProducerIdRotation
    #[test]
    fn an_exhausted_epoch_is_followed_by_another_producer_id() {
        let mut ids = ProducerIds::default();
        let first = ids.init(Some("t"), TIMEOUT, None).unwrap();
        let mut last = first;
        for _ in 0..LAST_EPOCH {
            last = ids.init(Some("t"), TIMEOUT, Some(last)).unwrap();
        }
        assert_eq!(last, ProducerIdAndEpoch::new(first.id, LAST_EPOCH));
        let next = ids.init(Some("t"), TIMEOUT, Some(last)).unwrap();
        assert_eq!(next.epoch, 0);
        assert_ne!(next.id, first.id);
        assert_eq!(ids.init(Some("t"), TIMEOUT, Some(last)), Ok(next));
    }

    /// Java: TransactionCoordinatorTest#shouldReturnInvalidRequestWhenTransactionalIdIsEmpty
    #[test]
    fn an_empty_transactional_id_and_an_endless_transaction_are_refused() {
        let mut ids = ProducerIds::default();
        assert_eq!(
            ids.init(Some(""), TIMEOUT, None),
            Err(ErrorCode::InvalidRequest)
        );
        for timeout in [0, -1, i32::MAX] {
            let refused = Err(ErrorCode::InvalidTransactionTimeout);
            assert_eq!(ids.init(Some("t"), timeout, None), refused);
        }
    }
}
