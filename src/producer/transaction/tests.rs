use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::request::{Lane, RetryReason};
use super::*;
use crate::client::kafka_client::Outcome;
use crate::clock::Instant;
use crate::error::{Delivery, ErrorCode, ProduceError, ProduceErrorParts};
use crate::producer::accumulator::{DrainGate, NextBatch};
use crate::producer::batch::{BatchFate, BatchSummary};
use crate::protocol::{InitProducerIdRequest, InitProducerIdResponse, Request, Response};
use crate::types::{Sequence, TopicPartition};

const NOW: Instant = Instant::from_nanos(1_000_000_000);

fn manager(epoch: i16) -> TransactionManager {
    let mut manager = TransactionManager::new(TransactionOptions {
        log: LogContext::for_tests(),
        retry_backoff: Duration::from_millis(100),
        transactional_id: None,
        transaction_timeout: Duration::from_secs(60),
        max_block: Duration::from_secs(60),
    });
    assert_eq!(next_request(&mut manager), NextRequest::ToAnyNode);
    let (id, request) = manager.begin_request(|_| None).expect("a request");
    assert!(matches!(request, Request::InitProducerId(_)));
    assert_eq!(
        next_request(&mut manager),
        NextRequest::Nothing,
        "one request at a time"
    );
    manager.handle_outcome(id, producer_id_response(7, epoch), NOW);
    assert!(manager.producer.is_valid() && manager.take_effects().is_empty());
    manager
}

/// A successful response to InitProducerId.
fn producer_id_response(producer_id: i64, producer_epoch: i16) -> Outcome {
    Outcome::Response(Response::InitProducerId(InitProducerIdResponse {
        throttle_time_ms: 0,
        error: ErrorCode::NoError,
        producer_id,
        producer_epoch,
    }))
}

/// The error of a batch that has expired.
fn expiry() -> ProduceError {
    let kind = ProduceErrorKind::DeliveryTimeout;
    ProduceErrorParts::new(kind, Delivery::MaybeWritten, "t".into(), "expired").build()
}

fn next_request(manager: &mut TransactionManager) -> NextRequest {
    let mut batches = BatchesStatus {
        wait: true,
        have_ended: &mut || false,
    };
    manager.next_request(&mut batches, NOW)
}

/// Resolves unresolved batches, and returns those that are renumbered.
fn resolve(manager: &mut TransactionManager) -> Vec<SequenceRewrite> {
    manager.resolve();
    let effects = manager.take_effects().into_iter();
    effects
        .map(|effect| match effect {
            Effect::Renumber(rewrite) => rewrite,
            other @ Effect::FailWaiting { .. } => panic!("{other:?}"),
        })
        .collect()
}

/// Numbers a batch of partition `index` as draining it would.
fn number(
    manager: &mut TransactionManager,
    index: EntryIndex,
    id: u64,
    count: u32,
) -> BatchSummary {
    let name = TopicPartition::new("t", index as i32);
    let producer = manager.producer;
    let partition = manager.partition(index, &name);
    if partition.producer() != producer && !partition.has_in_flight() {
        partition.restart(producer, |_, _| {});
    }
    let state = partition.assign(BatchId::new(id), count, NOW);
    partition.begin_attempt(BatchId::new(id));
    BatchSummary {
        id: BatchId::new(id),
        topic_partition: name,
        state,
        record_count: count,
        fate: BatchFate::NotWritten,
    }
}

fn sequence(batch: &BatchSummary) -> i32 {
    batch.state.base_sequence.as_i32()
}

/// Some comparisons of sequence numbers in Kafka ignore the wrap-around (PB-26).
///
/// Java: TransactionManagerTest#testSequenceNumberOverflow, #testDefaultSequenceNumber
#[test]
fn sequence_numbers_wrap_without_changing_the_order_of_batches() {
    let mut manager = manager(0);
    let large = number(&mut manager, 0, 0, i32::MAX as u32);
    let across = number(&mut manager, 0, 1, 10);
    let after = number(&mut manager, 0, 2, 1);
    assert_eq!([&large, &across, &after].map(sequence), [0, i32::MAX, 9]);
    manager.handle_completed(0, &large, 0, NOW);
    assert!(!manager.may_drain(0, NextBatch::Retried(after.id)));
    assert!(
        manager.may_drain(0, NextBatch::Retried(across.id)),
        "the older goes first"
    );
    manager.handle_completed(0, &across, 1, NOW);
    // The batch with the next expected number is out of order: there is certainly a gap.
    assert!(manager.may_retry(0, &after, ErrorCode::OutOfOrderSequenceNumber, -1));
    assert!(resolve(&mut manager).is_empty(), "it is still under way");
    manager.handle_returned(0, &after);
    let rewrites = resolve(&mut manager);
    assert_eq!(rewrites.len(), 1);
    assert_eq!(
        (rewrites[0].batch, rewrites[0].state.unwrap().producer.epoch),
        (after.id, 1)
    );
    assert_eq!(rewrites[0].state.unwrap().base_sequence, Sequence::ZERO);
}

/// If several batches expire in flight, the number after the last of them is unresolved (TM-47), in whichever order
/// they expire.
#[test]
fn the_number_after_the_last_expired_batch_is_unresolved_also_after_a_wrap() {
    let mut manager = manager(0);
    let _large = number(&mut manager, 0, 0, i32::MAX as u32);
    let across = number(&mut manager, 0, 1, 3);
    let last = number(&mut manager, 0, 2, 3);
    for batch in [&last, &across] {
        let fate = BatchFate::Unknown;
        let batch = BatchSummary {
            fate,
            ..batch.clone()
        };
        manager.handle_expired_in_flight(0, &batch, &expiry());
    }
    assert_eq!(
        manager.partitions[&0].unresolved(),
        Some(last.state.base_sequence.advance(3))
    );
}

/// The last acknowledged sequence number never moves backwards (TM-39).
#[test]
fn the_last_acknowledged_number_only_moves_forward() {
    let mut manager = manager(0);
    let batches = [0, 1, 2].map(|id| number(&mut manager, 0, id, 1));
    for at in [2, 0, 1] {
        manager.handle_completed(0, &batches[at], 10, NOW);
    }
    assert!(manager.partitions[&0].all_acknowledged());
}

/// An idempotent producer bumps its epoch after a gap, and renumbers the batches of the partition with the gap (TM-40).
/// The other partition adopts the epoch, and restarts at 0, when it has no batches in flight (TM-38).
#[test]
fn an_epoch_bump_renumbers_only_the_batches_of_partitions_with_a_gap() {
    let mut manager = manager(4);
    let failed = number(&mut manager, 0, 0, 2);
    let behind = [1, 2].map(|id| number(&mut manager, 0, id, 2));
    let other = number(&mut manager, 1, 3, 1);
    manager.handle_refused(0, &failed, ErrorCode::MessageTooLarge, None);
    assert!(
        !manager.may_drain(0, NextBatch::New),
        "nothing new before the new epoch"
    );
    assert!(resolve(&mut manager).is_empty(), "two are under way");
    for batch in &behind {
        manager.handle_returned(0, batch);
    }
    let rewrites = resolve(&mut manager);
    let renumbered: Vec<_> = rewrites
        .iter()
        .map(|r| (r.batch, r.state.unwrap().base_sequence.as_i32()))
        .collect();
    assert_eq!(renumbered, [(behind[0].id, 0), (behind[1].id, 2)]);
    assert_eq!(manager.producer(), ProducerIdAndEpoch::new(7, 5));
    assert!(
        !manager.may_drain(1, NextBatch::New),
        "its batch of the old epoch is in flight"
    );
    manager.handle_completed(1, &other, 0, NOW);
    assert!(manager.may_drain(1, NextBatch::New));
    assert_eq!(sequence(&number(&mut manager, 1, 4, 1)), 0);
    assert!(resolve(&mut manager).is_empty());
}

/// When all epochs are used up, another producer id is requested. Partitions keep their sequence state until they adopt
/// that id (TM-40, TM-52).
///
/// Java: TransactionManagerTest#testProducerIdReset, #testBatchFailureAfterProducerReset,
/// #testBatchCompletedAfterProducerReset
#[test]
fn another_id_restarts_a_partition_with_a_gap_at_once_and_others_after_their_batches() {
    let mut manager = manager(i16::MAX);
    let failed = number(&mut manager, 0, 0, 1);
    let behind = number(&mut manager, 0, 1, 1);
    let others = [2, 3].map(|id| number(&mut manager, 1, id, 3));
    manager.handle_returned(0, &behind);
    manager.handle_refused(0, &failed, ErrorCode::MessageTooLarge, None);
    assert!(resolve(&mut manager).is_empty());
    assert_eq!(next_request(&mut manager), NextRequest::ToAnyNode);
    let (id, request) = manager.begin_request(|_| None).expect("a request");
    assert!(matches!(request, Request::InitProducerId(it) if it.producer_id == -1));
    manager.handle_completed(1, &others[0], 0, NOW);
    manager.handle_outcome(id, producer_id_response(8, 0), NOW);
    let rewrites = resolve(&mut manager);
    let new = ProducerIdAndEpoch::new(8, 0);
    assert_eq!(manager.producer(), new);
    let rewritten: Vec<_> = rewrites
        .iter()
        .map(|it| (it.batch, it.state.map(|it| (it.producer, it.base_sequence))))
        .collect();
    assert_eq!(rewritten, [(behind.id, Some((new, Sequence::ZERO)))]);
    let old = ProducerIdAndEpoch::new(7, i16::MAX);
    assert_eq!(manager.partitions[&1].producer(), old);
    assert!(!manager.may_drain(1, NextBatch::New), "one is under way");
    manager.handle_completed(1, &others[1], 3, NOW);
    assert!(manager.may_drain(1, NextBatch::New));
    let next = number(&mut manager, 1, 4, 1);
    assert_eq!((next.producer(), sequence(&next)), (new, 0));
    assert!(!manager.partitions[&1].all_acknowledged());
}

/// A batch that expired in flight is unresolved (TM-47) until nothing is in flight (TM-48).
///
/// Java: TransactionManagerTest#testEpochBumpAfterLastInflightBatchFails
#[test]
fn a_batch_with_an_unknown_outcome_begins_a_new_epoch_when_the_last_batch_behind_it_fails() {
    let mut manager = manager(1);
    let expired = |batch: &BatchSummary| BatchSummary {
        fate: BatchFate::Unknown,
        ..batch.clone()
    };
    let batches = [0, 1, 2].map(|id| number(&mut manager, 0, id, 1));
    manager.handle_expired_in_flight(0, &expired(&batches[0]), &expiry());
    assert!(manager.is_disturbed(0));
    manager.handle_completed(0, &batches[1], 500, NOW);
    assert!(resolve(&mut manager).is_empty());
    assert!(manager.is_disturbed(0), "one is under way");
    assert_eq!(manager.producer().epoch, 1);
    manager.handle_expired_in_flight(0, &expired(&batches[2]), &expiry());
    assert!(resolve(&mut manager).is_empty());
    assert_eq!(manager.producer(), ProducerIdAndEpoch::new(7, 2));
    assert!(!manager.is_disturbed(0));
    assert_eq!(sequence(&number(&mut manager, 0, 3, 1)), 0);
}

#[test]
fn a_batch_that_a_later_one_has_overtaken_is_not_renumbered() {
    let mut manager = manager(0);
    let [first, second] = [0, 1].map(|id| number(&mut manager, 0, id, 1));
    manager.handle_completed(0, &second, 0, NOW);
    let code = ErrorCode::UnknownProducerId;
    assert!(manager.may_retry(0, &first, code, 0));
    manager.handle_returned(0, &first);
    let rewrites = resolve(&mut manager);
    assert_eq!(rewrites.len(), 1);
    assert_eq!((rewrites[0].batch, rewrites[0].state), (first.id, None));
}

/// After a fatal error, failures of batches have no further effect (TM-44).
///
/// Java: TransactionManagerTest#testNoFailedBatchHandlingWhenTxnManagerIsInFatalError
#[test]
fn a_fatal_error_is_kept_and_nothing_is_drained_after_it() {
    let mut manager = manager(0);
    let first = number(&mut manager, 0, 0, 1);
    let second = number(&mut manager, 0, 1, 1);
    manager.handle_refused(0, &first, ErrorCode::ProducerFenced, None);
    manager.handle_refused(0, &second, ErrorCode::ClusterAuthorizationFailed, None);
    assert_eq!(
        manager.fatal_error().map(|e| e.code),
        Some(ErrorCode::ProducerFenced)
    );
    assert!(!manager.may_drain(0, NextBatch::New));
    assert_eq!(next_request(&mut manager), NextRequest::Nothing);
    assert!(resolve(&mut manager).is_empty());
}

/// A batch is retried if its error is retriable (SE-15), and also if the broker has lost the producer's state and does
/// not return a log start offset (TM-46). Neither requires an epoch bump.
#[test]
fn errors_unrelated_to_sequence_numbers_are_retried_by_their_code() {
    let mut manager = manager(0);
    let batch = number(&mut manager, 0, 0, 1);
    for (code, expected) in [
        (ErrorCode::NotLeaderOrFollower, true),
        (ErrorCode::MessageTooLarge, false),
        (ErrorCode::DuplicateSequenceNumber, false),
        (ErrorCode::UnknownProducerId, true),
    ] {
        assert_eq!(manager.may_retry(0, &batch, code, -1), expected, "{code}");
    }
    assert!(
        resolve(&mut manager).is_empty(),
        "none of these asks for a new epoch"
    );
}

#[test]
fn an_offset_that_would_overflow_is_capped_at_the_maximum() {
    let mut manager = manager(0);
    let first = number(&mut manager, 0, 0, 5);
    let second = number(&mut manager, 0, 1, 5);
    manager.handle_completed(0, &first, i64::MAX, NOW);
    manager.handle_completed(0, &second, i64::MAX - 1, NOW);
    assert!(manager.may_drain(0, NextBatch::New));
}

#[test]
fn a_fatal_error_contains_the_original_message() {
    let mut manager = manager(0);
    let batch = number(&mut manager, 0, 0, 1);
    let code = ErrorCode::UnsupportedVersion;
    let why = "the broker does not support Produce requests";
    manager.handle_refused(0, &batch, code, Some(why));
    let message = manager
        .fatal_error()
        .map(|fatal| Arc::clone(&fatal.message));
    assert!(message.is_some_and(|message| message.contains(why)));
}

/// A request with a priority, and a number that identifies it.
#[derive(Debug)]
struct Numbered(Priority, i32);

impl RequestHandler for Numbered {
    fn destination(&self) -> Destination {
        Destination::AnyNode
    }

    fn priority(&self) -> Priority {
        self.0
    }

    fn request(&self, _manager: &TransactionManager) -> Request {
        Request::InitProducerId(InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: self.1,
            producer_id: -1,
            producer_epoch: -1,
        })
    }

    fn handle_response(
        &mut self,
        _response: Response,
        _manager: &mut TransactionManager,
        _now: Instant,
    ) -> RequestVerdict {
        RequestVerdict::Done
    }
}

/// Requests are sent by priority: coordinator lookups, producer ids, partitions and offsets, the end of the
/// transaction, and epoch bumps last (TM-9).
#[test]
fn requests_are_sent_by_priority_and_those_of_one_priority_in_the_order_of_creation() {
    let mut manager = manager(0);
    let in_order = [
        Priority::FindCoordinator,
        Priority::InitProducerId,
        Priority::AddPartitionsOrOffsets,
        Priority::EndTransaction,
        Priority::EpochBump,
    ];
    for (number, priority) in (0..).zip(in_order.iter().rev()) {
        manager.push_request(Box::new(Numbered(*priority, 10 * number)));
        manager.push_request(Box::new(Numbered(*priority, 10 * number + 1)));
    }
    // The first request fails and keeps its position in the queue, before the other one of its priority.
    assert_eq!(next_request(&mut manager), NextRequest::ToAnyNode);
    let (id, _) = manager.begin_request(|_| None).expect("a request");
    let gone = Outcome::Disconnected {
        handed_over: false,
        reason: "gone".into(),
    };
    manager.handle_outcome(id, gone, NOW);
    assert!(matches!(next_request(&mut manager), NextRequest::At(_)));
    let mut order = Vec::new();
    let later = NOW + manager.retry_backoff();
    let next = |manager: &mut TransactionManager| {
        let mut batches = BatchesStatus {
            wait: false,
            have_ended: &mut || true,
        };
        manager.next_request(&mut batches, later)
    };
    while next(&mut manager) == NextRequest::ToAnyNode {
        let (id, request) = manager.begin_request(|_| None).expect("a request");
        let Request::InitProducerId(it) = request else {
            panic!("{request:?}");
        };
        order.push(it.transaction_timeout_ms);
        manager.handle_outcome(id, producer_id_response(8, 0), later);
    }
    assert_eq!(order, [40, 41, 30, 31, 20, 21, 10, 11, 0, 1]);
}

/// A request of a lane that is held up: counts how often the queue looks at it.
#[derive(Debug)]
struct Looked(Lane, Arc<AtomicUsize>);

impl RequestHandler for Looked {
    fn destination(&self) -> Destination {
        Destination::AnyNode
    }

    fn priority(&self) -> Priority {
        Priority::AddPartitionsOrOffsets
    }

    fn lane(&self) -> Lane {
        self.0
    }

    fn is_needed(&self, _manager: &TransactionManager) -> bool {
        self.1.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn request(&self, manager: &TransactionManager) -> Request {
        Numbered(self.priority(), 0).request(manager)
    }

    fn handle_response(
        &mut self,
        _response: Response,
        _manager: &mut TransactionManager,
        _now: Instant,
    ) -> RequestVerdict {
        RequestVerdict::Retry {
            wait: Duration::from_secs(1),
            why: RetryReason::new("not yet"),
        }
    }
}

/// Regression: each step of the sender looked at every offsets request that waited for the first.
#[test]
fn requests_behind_one_that_is_held_up_cost_nothing_until_it_goes_on() {
    let mut manager = manager(0);
    let looks = Arc::new(AtomicUsize::new(0));
    let push = |manager: &mut TransactionManager, lane| {
        manager.push_request(Box::new(Looked(lane, Arc::clone(&looks))));
    };
    for _ in 0..1_000 {
        push(&mut manager, Lane::Offsets);
    }
    assert_eq!(next_request(&mut manager), NextRequest::ToAnyNode);
    let (id, _) = manager.begin_request(|_| None).expect("a request");
    manager.handle_outcome(id, producer_id_response(8, 0), NOW);
    looks.store(0, Ordering::Relaxed);
    assert!(matches!(next_request(&mut manager), NextRequest::At(_)));
    assert_eq!(looks.swap(0, Ordering::Relaxed), 1);
    // One of another lane is found behind all of them.
    push(&mut manager, Lane::Partitions);
    assert_eq!(next_request(&mut manager), NextRequest::ToAnyNode);
    assert_eq!(looks.load(Ordering::Relaxed), 2);
}
