//! Rate limit of retry warnings, per partition: one line for the first retry with each error code, and one when a batch
//! is acknowledged again, with the number of retries. All other retries are logged at level debug.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Instant;
use crate::error::ErrorCode;
use crate::producer::accumulator::EntryIndex;

/// The partitions with retries since their last acknowledged batch.
// Bound: one entry per partition, with each error code once.
#[derive(Debug, Default)]
pub(super) struct RetryLog {
    troubled: BTreeMap<EntryIndex, Trouble>,
}

#[derive(Debug)]
struct Trouble {
    /// The time of the first retry.
    since: Instant,
    retries: u64,
    /// The error codes of failed attempts, each once.
    codes: Vec<ErrorCode>,
}

/// The retries of a partition that has recovered, and the time from the first of them to the recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecoveredPartition {
    pub(super) retries: u64,
    pub(super) lasted: Duration,
}

impl RetryLog {
    /// Notes a retry; returns true for the partition's first retry with this code since its last acknowledged batch.
    pub(super) fn retried(&mut self, index: EntryIndex, code: ErrorCode, now: Instant) -> bool {
        let trouble = self.troubled.entry(index).or_insert_with(|| Trouble {
            since: now,
            retries: 0,
            codes: Vec::new(),
        });
        trouble.retries += 1;
        let is_news = !trouble.codes.contains(&code);
        if is_news {
            trouble.codes.push(code);
        }
        is_news
    }

    /// Notes an acknowledged batch; returns the recovery if the partition had retries.
    #[inline]
    pub(super) fn acknowledged(
        &mut self,
        index: EntryIndex,
        now: Instant,
    ) -> Option<RecoveredPartition> {
        // Called for every acknowledged batch, so it avoids the lookup while no partition has retries.
        if self.troubled.is_empty() {
            return None;
        }
        let trouble = self.troubled.remove(&index)?;
        Some(RecoveredPartition {
            retries: trouble.retries,
            lasted: now - trouble.since,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_retry_with_each_code_is_reported_until_a_batch_is_acknowledged() {
        let mut log = RetryLog::default();
        let start = Instant::from_nanos(7);
        let later = start + Duration::from_secs(3);
        assert_eq!(log.acknowledged(0, start), None);
        let codes = [ErrorCode::NotEnoughReplicas, ErrorCode::NotLeaderOrFollower];
        for code in codes {
            assert!(log.retried(0, code, start));
        }
        for code in codes {
            assert!(!log.retried(0, code, later));
        }
        assert!(log.retried(1, codes[0], later), "another partition's");
        let recovery = RecoveredPartition {
            retries: 4,
            lasted: Duration::from_secs(3),
        };
        assert_eq!(log.acknowledged(0, later), Some(recovery));
        assert_eq!(log.acknowledged(0, later), None);
        assert!(log.retried(0, codes[0], later));
    }
}
