//! Leader epochs: which answer about a partition is newer than another.
//!
//! An answer with an older epoch than was seen comes from a broker that has not heard the news, and is not
//! believed. But epochs may also go back for good, when a cluster is restored from a backup; then no newer
//! answer comes any more. So an older epoch is believed after all once every answer has had one for a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Deadline, Instant};
use crate::planted::planted;
use crate::types::PartitionId;

/// An older epoch is believed after as long, if all answers meanwhile had one; a broker that lags behind its
/// controller catches up sooner.
pub(super) const BELIEVED_AFTER: Duration = Duration::from_secs(10);
/// And after as many answers at least.
pub(super) const BELIEVED_AFTER_ANSWERS: u32 = 3;
/// As long as older epochs are not believed, metadata is asked for as often, so that the time is bounded.
pub(super) const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What an epoch says of the answer that it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is as new as what is known, or newer.
    Current,
    /// It is older than what is known, which has this epoch.
    Outdated(i32),
    /// The epochs have gone back for good, from this one.
    WentBack(i32),
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    epoch: i32,
    /// The answers since the last that was current.
    older: Option<Older>,
}

#[derive(Debug, Clone, Copy)]
struct Older {
    epoch: i32,
    since: Instant,
    answers: u32,
}

/// The newest leader epoch that was seen of each partition.
#[derive(Debug, Default)]
pub(super) struct LeaderEpochs {
    topics: BTreeMap<Arc<str>, BTreeMap<PartitionId, Seen>>,
}

impl LeaderEpochs {
    /// Takes the epoch that an answer has for a partition.
    pub(super) fn take(
        &mut self,
        topic: &Arc<str>,
        partition: PartitionId,
        epoch: i32,
        now: Instant,
    ) -> Verdict {
        let partitions = self.topics.entry(Arc::clone(topic)).or_default();
        let seen = partitions
            .entry(partition)
            .or_insert(Seen { epoch, older: None });
        if epoch >= seen.epoch {
            *seen = Seen { epoch, older: None };
            return Verdict::Current;
        }
        let older = match seen.older {
            // Epochs that go on from where they went back to.
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
            && older.answers >= BELIEVED_AFTER_ANSWERS
            && Deadline::after(older.since, BELIEVED_AFTER).is_over(now)
        {
            *seen = Seen { epoch, older: None };
            return Verdict::WentBack(known);
        }
        seen.older = Some(older);
        Verdict::Outdated(known)
    }

    /// What comes next for a partition is current, whatever its epoch.
    pub(super) fn forget(&mut self, topic: &str, partition: PartitionId) {
        if let Some(partitions) = self.topics.get_mut(topic) {
            partitions.remove(&partition);
        }
    }

    /// The same for all partitions of a topic.
    pub(super) fn forget_topic(&mut self, topic: &str) {
        self.topics.remove(topic);
    }

    /// The same for those above the first `count`, which the topic has not any more: when it grows again they are
    /// others.
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

    /// The same for all.
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
