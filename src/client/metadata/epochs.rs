//! Leader epochs: which of two metadata responses about a partition is newer (KIP-320).
//!
//! A response with a lower epoch than an earlier response comes from a broker whose metadata is stale, and is ignored.
//! But epochs can also decrease permanently, when a cluster is restored from a backup: its responses would be ignored
//! for ever. So a lower epoch is accepted once all responses have had a lower epoch for some time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Deadline, Instant};
use crate::planted::planted;
use crate::types::PartitionId;

/// How long all responses must have had a lower epoch before it is accepted. A broker that lags behind its controller
/// catches up sooner.
pub(super) const STALE_EPOCH_ACCEPTED_AFTER: Duration = Duration::from_secs(10);
/// Least number of responses with a lower epoch before it is accepted.
pub(super) const STALE_EPOCH_ACCEPTED_AFTER_RESPONSES: u32 = 3;
/// Interval of metadata updates while a lower epoch is ignored, so that the time until it is accepted is bounded.
pub(super) const STALE_EPOCH_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Verdict on a partition in a response, by its leader epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EpochVerdict {
    /// The epoch is not lower than the newest known one: use the response.
    Current,
    /// The epoch is stale: keep the cached partition, which has this epoch.
    Outdated(i32),
    /// The epoch decreased permanently, from this one: use the response.
    WentBack(i32),
}

/// The newest epoch of a partition.
#[derive(Debug, Clone, Copy)]
struct KnownEpoch {
    epoch: i32,
    /// The responses with lower epochs since the last current one.
    older: Option<Older>,
}

/// A run of responses with lower epochs.
#[derive(Debug, Clone, Copy)]
struct Older {
    epoch: i32,
    since: Instant,
    answers: u32,
}

/// The newest leader epoch of each partition.
#[derive(Debug, Default)]
pub(super) struct LeaderEpochs {
    topics: BTreeMap<Arc<str>, BTreeMap<PartitionId, KnownEpoch>>,
}

impl LeaderEpochs {
    /// Compares the epoch of a partition in a response with the newest known epoch. An accepted epoch replaces the
    /// known one.
    pub(super) fn observe(
        &mut self,
        topic: &Arc<str>,
        partition: PartitionId,
        epoch: i32,
        now: Instant,
    ) -> EpochVerdict {
        let partitions = self.topics.entry(Arc::clone(topic)).or_default();
        let seen = partitions
            .entry(partition)
            .or_insert(KnownEpoch { epoch, older: None });
        if epoch >= seen.epoch {
            *seen = KnownEpoch { epoch, older: None };
            return EpochVerdict::Current;
        }
        let older = match seen.older {
            // The epochs do not decrease further, as in a restored cluster. A still lower epoch starts the run again,
            // since the responses may come from two stale brokers in turn.
            Some(older) if epoch >= older.epoch => Older {
                epoch,
                answers: older.answers.saturating_add(1),
                ..older
            },
            _ => Older {
                epoch,
                since: now,
                answers: 1,
            },
        };
        let known = seen.epoch;
        if !planted!(OlderEpochNeverBelieved)
            && older.answers >= STALE_EPOCH_ACCEPTED_AFTER_RESPONSES
            && Deadline::after(older.since, STALE_EPOCH_ACCEPTED_AFTER).is_over(now)
        {
            *seen = KnownEpoch { epoch, older: None };
            return EpochVerdict::WentBack(known);
        }
        seen.older = Some(older);
        EpochVerdict::Outdated(known)
    }

    /// Removes a partition's epoch: the next one is current, whatever it is.
    pub(super) fn forget(&mut self, topic: &str, partition: PartitionId) {
        if let Some(partitions) = self.topics.get_mut(topic) {
            partitions.remove(&partition);
        }
    }

    /// Removes the epochs of all partitions of a topic.
    pub(super) fn forget_topic(&mut self, topic: &str) {
        self.topics.remove(topic);
    }

    /// Removes the epochs of partitions from number `count` on, which the topic no longer has: if it grows again, they
    /// are new partitions.
    pub(super) fn forget_beyond(&mut self, topic: &str, count: usize) {
        let Some(partitions) = self.topics.get_mut(topic) else {
            return;
        };
        if partitions.len() > count {
            partitions.retain(|partition, _| {
                usize::try_from(*partition).is_ok_and(|partition| partition < count)
            });
        }
    }

    /// Removes the epochs of all topics.
    pub(super) fn clear(&mut self) {
        self.topics.clear();
    }

    pub(super) fn retain(&mut self, mut retain: impl FnMut(&str) -> bool) {
        self.topics.retain(|topic, _| retain(topic));
    }

    #[cfg(test)]
    pub(super) fn of(&self, topic: &str, partition: PartitionId) -> Option<i32> {
        self.topics
            .get(topic)?
            .get(&partition)
            .map(|seen| seen.epoch)
    }
}
