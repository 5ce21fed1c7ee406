//! The consumer offsets of a `send_offsets_to_transaction` call.

use crate::types::topic_name::{self, Shown};
use crate::types::{ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition};

/// The offsets of a group, sorted by partition without duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OffsetsToCommit {
    pub(crate) group: ConsumerGroupMetadata,
    pub(crate) partitions: Vec<(TopicPartition, OffsetAndMetadata)>,
}

impl OffsetsToCommit {
    /// Sorts the offsets. If a partition is listed more than once, its last offset is used.
    pub(crate) fn new(
        group: ConsumerGroupMetadata,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
    ) -> Self {
        let mut partitions: Vec<_> = offsets.into_iter().collect();
        // The sort is stable, and `dedup_by` keeps the first of equal entries: after `reverse`, that is the entry
        // listed last.
        partitions.reverse();
        partitions.sort_by(|(a, _), (b, _)| a.cmp(b));
        partitions.dedup_by(|(a, _), (b, _)| a == b);
        Self { group, partitions }
    }

    /// Validates the offsets: returns the reason if no broker would accept them.
    pub(crate) fn fault(&self) -> Option<String> {
        let group = &self.group;
        if group.group_id().is_empty() {
            return Some("the group has no name".to_owned());
        }
        let texts = [
            ("the group's name", Some(&group.group_id)),
            ("the member's id", Some(&group.member_id)),
            (
                "the member's group.instance.id",
                group.group_instance_id.as_ref(),
            ),
        ];
        for (what, text) in texts {
            let bytes = text.map_or(0, |text| text.len());
            if bytes > STRING_BYTES_MAX {
                return Some(format!(
                    "{what} has {bytes} bytes; no request can carry more than {STRING_BYTES_MAX}"
                ));
            }
        }
        if !group.is_consistent() {
            return Some(format!(
                "generation {} of group {} is given without the member's id",
                group.generation_id,
                group.group_id()
            ));
        }
        let mut faults = self.partitions.iter();
        faults.find_map(|(name, offset)| fault_of(name, offset))
    }
}

/// The maximum length of a string in a request, in bytes.
const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// The fault of the offset of one partition, if it has one. A coordinator would refuse such an offset in every attempt,
/// as if the partition did not exist yet; or the request could not be encoded, which would fail all offsets of the
/// call.
fn fault_of(name: &TopicPartition, offset: &OffsetAndMetadata) -> Option<String> {
    if let Err(fault) = topic_name::check(name.topic()) {
        return Some(format!(
            "{:?} is no topic: {fault}",
            Shown(name.topic()).to_string()
        ));
    }
    if name.partition() < 0 {
        return Some(format!(
            "{} is no partition of {}",
            name.partition(),
            name.topic()
        ));
    }
    if offset.offset() < 0 {
        return Some(format!("{name}: {} is no offset", offset.offset()));
    }
    let metadata = offset.metadata.len();
    (metadata > STRING_BYTES_MAX).then(|| {
        format!("{name}: its metadata has {metadata} bytes; no request can carry more than {STRING_BYTES_MAX}")
    })
}
