//! Why transactional requests are retried, for the errors of calls and records that time out meanwhile.

use super::Operation;
use crate::producer::transaction::request::{Lane, RetryReason};

/// The reasons of retries, at most one of each lane, oldest first.
#[derive(Debug, Default)]
pub(super) struct RetryReasons(Vec<LaneReason>);

#[derive(Debug)]
struct LaneReason {
    lane: Lane,
    why: RetryReason,
    /// Whether nothing was sent to the node of the request: its lookup or its connection failed.
    is_unsent: bool,
}

impl RetryReasons {
    /// Sets the reason of a lane.
    pub(super) fn set(&mut self, lane: Lane, why: RetryReason, is_unsent: bool) {
        self.clear(lane);
        self.0.push(LaneReason {
            lane,
            why,
            is_unsent,
        });
    }

    /// Forgets the reason of a lane: its last request is done.
    pub(super) fn clear(&mut self, lane: Lane) {
        self.0.retain(|reason| reason.lane != lane);
    }

    /// Forgets why nothing was sent to the node of a lane's request: now it is sent.
    pub(super) fn forget_unsent(&mut self, lane: Lane) {
        self.0
            .retain(|reason| reason.lane != lane || !reason.is_unsent);
    }

    /// Why a call with this operation takes so long: the reason of a retry, of its own requests if possible.
    pub(super) fn of_call(&self, operation: &Operation) -> Option<RetryReason> {
        let own = match operation {
            Operation::SendOffsets(_) => self.newest(&[Lane::Offsets, Lane::Producer]),
            Operation::Init | Operation::Commit | Operation::Abort => None,
        };
        own.or_else(|| self.0.last().map(|newest| newest.why.clone()))
    }

    /// Why a partition is not added to the transaction yet.
    pub(super) fn of_partitions(&self) -> Option<RetryReason> {
        let own = self.newest(&[Lane::Partitions, Lane::Producer]);
        own.or_else(|| {
            let other = self.newest(&[Lane::Offsets])?;
            let message = format!(
                "requests are sent one at a time, and another one is being retried: {}",
                other.message
            );
            Some(RetryReason::new(message))
        })
    }

    /// The newest reason of these lanes.
    fn newest(&self, lanes: &[Lane]) -> Option<RetryReason> {
        let mut reasons = self.0.iter().rev();
        let newest = reasons.find(|reason| lanes.contains(&reason.lane))?;
        Some(newest.why.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::producer::transaction::offsets::OffsetsToCommit;
    use crate::types::ConsumerGroupMetadata;

    const ALL: [Lane; 4] = [
        Lane::Producer,
        Lane::Batches,
        Lane::Partitions,
        Lane::Offsets,
    ];

    /// Reasons that were set in this order, each named after its lane.
    fn reasons(lanes: &[Lane]) -> RetryReasons {
        let mut reasons = RetryReasons::default();
        for lane in lanes {
            reasons.set(*lane, RetryReason::new(format!("{lane:?}")), false);
        }
        reasons
    }

    fn text(reason: Option<RetryReason>) -> String {
        reason.map_or_else(String::new, |reason| reason.message.to_string())
    }

    fn offsets() -> Operation {
        Operation::SendOffsets(Arc::new(OffsetsToCommit::new(
            ConsumerGroupMetadata::new("group"),
            [],
        )))
    }

    #[test]
    fn a_commit_takes_the_newest_reason_of_any_lane() {
        for lane in ALL {
            let others = ALL.into_iter().filter(|other| *other != lane);
            let order: Vec<Lane> = others.chain([lane]).collect();
            let newest = reasons(&order).of_call(&Operation::Commit);
            assert_eq!(text(newest), format!("{lane:?}"));
        }
    }

    #[test]
    fn offsets_take_a_reason_of_their_own_requests_before_a_newer_one_of_others() {
        let reasons = reasons(&[Lane::Offsets, Lane::Partitions]);
        assert_eq!(text(reasons.of_call(&offsets())), "Offsets");
        assert_eq!(text(reasons.of_call(&Operation::Abort)), "Partitions");
    }

    #[test]
    fn offsets_take_a_reason_of_others_if_there_is_none_of_their_own() {
        let reasons = reasons(&[Lane::Partitions]);
        assert_eq!(text(reasons.of_call(&offsets())), "Partitions");
    }

    #[test]
    fn partitions_that_wait_for_offsets_say_that_another_request_is_retried() {
        let reasons = reasons(&[Lane::Offsets]);
        let text = text(reasons.of_partitions());
        assert!(text.contains("another one"), "{text}");
        assert!(text.ends_with("Offsets"), "{text}");
    }

    #[test]
    fn a_request_that_is_done_leaves_the_reasons_of_other_lanes() {
        let mut reasons = reasons(&[Lane::Producer, Lane::Partitions]);
        reasons.clear(Lane::Partitions);
        assert_eq!(text(reasons.of_partitions()), "Producer");
        reasons.clear(Lane::Producer);
        assert_eq!(reasons.of_partitions(), None);
        assert_eq!(reasons.of_call(&Operation::Commit), None);
    }

    #[test]
    fn the_failed_lookups_of_a_coordinator_are_forgotten_once_it_gets_a_request() {
        let mut reasons = RetryReasons::default();
        reasons.set(Lane::Offsets, RetryReason::new("not found yet"), true);
        reasons.forget_unsent(Lane::Partitions);
        assert_eq!(text(reasons.of_call(&offsets())), "not found yet");
        reasons.forget_unsent(Lane::Offsets);
        assert_eq!(reasons.of_call(&offsets()), None);
        reasons.set(Lane::Offsets, RetryReason::new("it does not answer"), false);
        reasons.forget_unsent(Lane::Offsets);
        assert_eq!(text(reasons.of_call(&offsets())), "it does not answer");
    }
}
