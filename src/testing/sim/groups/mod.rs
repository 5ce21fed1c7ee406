//! Consumer groups as far as producers use them: offsets committed in transactions, and group membership.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::ErrorCode;
use crate::testing::transaction::CommittedOffset;
use crate::types::{ProducerIdAndEpoch, TopicPartition};

/// Maximum size of the metadata of an offset (`offset.metadata.max.bytes`).
const METADATA_BYTES_MAX: usize = 4096;

/// The member that a consumer claims to be (KIP-447).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupMember {
    pub(crate) generation: i32,
    pub(crate) member_id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
}

impl GroupMember {
    fn says_nothing(&self) -> bool {
        self.generation < 0 && self.member_id.is_empty() && self.instance_id.is_none()
    }
}

/// The members of a group: member ids, with the static instance id if one is configured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Membership {
    pub(crate) generation: i32,
    pub(crate) members: BTreeMap<Arc<str>, Option<Arc<str>>>,
}

impl Membership {
    /// # Kafka
    /// `GroupCoordinator#validateOffsetCommit`, `#validateCurrentMember`.
    fn check(&self, given: &GroupMember) -> Result<(), ErrorCode> {
        if let Some(instance) = &given.instance_id {
            let mut members = self.members.iter();
            let named = members.find(|(_, name)| name.as_ref() == Some(instance));
            match named {
                None => return Err(ErrorCode::UnknownMemberId),
                Some((id, _)) if *id != given.member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if !self.members.contains_key(&given.member_id) {
            return Err(ErrorCode::UnknownMemberId);
        }
        if given.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        Ok(())
    }
}

/// Offsets by partition.
pub(crate) type OffsetsByPartition = BTreeMap<TopicPartition, CommittedOffset>;

#[derive(Debug, Default)]
struct SimGroup {
    committed: OffsetsByPartition,
    /// Offsets of open transactions, by producer id.
    pending: BTreeMap<i64, OffsetsByPartition>,
    /// The last known epoch of each producer.
    epochs: BTreeMap<i64, i16>,
    /// `None` if any consumer is accepted as a member.
    membership: Option<Membership>,
}

/// All consumer groups.
///
/// # Kafka
/// `kafka.coordinator.group.GroupCoordinator`, as of 3.0. Differs: a group without configured members accepts every
/// consumer as a member.
#[derive(Debug, Default)]
pub(crate) struct SimGroups {
    by_name: BTreeMap<Arc<str>, SimGroup>,
}

impl SimGroups {
    /// Sets the members of a group.
    pub(crate) fn set_members(&mut self, group: &Arc<str>, members: Membership) {
        self.group(group).membership = Some(members);
    }

    /// Stores offsets of an open transaction. Returns the result for each partition.
    ///
    /// # Kafka
    /// `GroupCoordinator#handleTxnCommitOffsets`. It is not checked whether the group was added to the transaction.
    pub(crate) fn commit_in_transaction(
        &mut self,
        group: &Arc<str>,
        producer: ProducerIdAndEpoch,
        member: &GroupMember,
        offsets: impl IntoIterator<Item = (TopicPartition, CommittedOffset)>,
    ) -> Vec<(TopicPartition, Result<(), ErrorCode>)> {
        let group = self.group(group);
        let admitted = group.admit(producer, member);
        let take = |(partition, offset): (TopicPartition, CommittedOffset)| {
            let taken = admitted.and_then(|()| {
                if offset.metadata.len() > METADATA_BYTES_MAX {
                    return Err(ErrorCode::OffsetMetadataTooLarge);
                }
                let pending = group.pending.entry(producer.id).or_default();
                pending.insert(partition.clone(), offset);
                Ok(())
            });
            (partition, taken)
        };
        offsets.into_iter().map(take).collect()
    }

    /// Ends a producer's transaction. Returns the offsets that this commits.
    pub(crate) fn end_transaction(
        &mut self,
        group: &Arc<str>,
        producer: ProducerIdAndEpoch,
        committed: bool,
    ) -> OffsetsByPartition {
        let group = self.group(group);
        group.epochs.insert(producer.id, producer.epoch);
        let mut offsets = group.pending.remove(&producer.id).unwrap_or_default();
        if !committed {
            offsets.clear();
        }
        group.committed.extend(offsets.clone());
        offsets
    }

    /// The committed offsets of a group.
    pub(crate) fn committed(&self, group: &str) -> OffsetsByPartition {
        let group = self.by_name.get(group);
        group.map_or_else(OffsetsByPartition::default, |group| group.committed.clone())
    }

    /// The offsets of open transactions, by producer id.
    pub(crate) fn pending(&self, group: &str) -> BTreeMap<i64, OffsetsByPartition> {
        let group = self.by_name.get(group);
        group.map_or_else(BTreeMap::new, |group| group.pending.clone())
    }

    fn group(&mut self, name: &Arc<str>) -> &mut SimGroup {
        self.by_name.entry(Arc::clone(name)).or_default()
    }
}

impl SimGroup {
    fn admit(
        &mut self,
        producer: ProducerIdAndEpoch,
        member: &GroupMember,
    ) -> Result<(), ErrorCode> {
        if let Some(membership) = &self.membership {
            if !member.says_nothing() {
                membership.check(member)?;
            }
        }
        let last = self.epochs.entry(producer.id).or_insert(producer.epoch);
        if producer.epoch < *last {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        *last = producer.epoch;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
