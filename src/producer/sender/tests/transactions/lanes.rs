//! A transactional request in back-off holds up only the requests that depend on it.

use super::super::calls::{producer_on, strings};
use super::*;
use crate::producer::transaction::MAX_OFFSET_COMMITS;
use crate::util::backoff::SHORTEST_BACKOFF;

const LOADING: ErrorCode = ErrorCode::CoordinatorLoadInProgress;

/// Begins a call, which does not end yet.
fn begin(tx: &Tx, operation: Operation) {
    let mut call = tx.stepped.producer.transaction_call(operation, None);
    assert_eq!(step(&mut call), None, "it has to wait");
}

/// The kind of the request that is sent although no back-off has ended.
fn sent_at_once(tx: &mut Tx) -> Option<ApiKey> {
    tx.rig().run();
    tx.asked().map(|(kind, _, _)| kind)
}

/// Regression: records for new partitions expired, and with them the transaction.
#[test]
fn offsets_that_are_retried_do_not_keep_partitions_from_being_added() {
    let mut tx = Tx::begun();
    begin(&tx, offsets(1));
    tx.answer(ApiKey::TxnOffsetCommit, LOADING);
    let record = tx.send(0, "v").expect("taken");
    assert_eq!(sent_at_once(&mut tx), Some(ApiKey::AddPartitionsToTxn));
    tx.settle();
    assert_eq!(offset(&record), Some(0));
    assert_eq!(tx.run_call(offsets(1)), Ok(()));
    assert_eq!(tx.run_call(Operation::Commit), Ok(()));
}

#[test]
fn a_lookup_of_the_group_coordinator_that_is_retried_holds_up_only_the_requests_to_it() {
    let mut tx = Tx::begun();
    begin(&tx, offsets(1));
    tx.answer(ApiKey::FindCoordinator, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(sent_at_once(&mut tx), None, "the lookup is in back-off");
    let record = tx.send(0, "v").expect("taken");
    assert_eq!(sent_at_once(&mut tx), Some(ApiKey::AddPartitionsToTxn));
    tx.settle();
    assert_eq!(offset(&record), Some(0));
    assert_eq!(tx.run_call(offsets(1)), Ok(()));
}

#[test]
fn partitions_that_are_retried_do_not_hold_up_offsets() {
    let mut tx = Tx::begun();
    tx.put(0, "v");
    tx.answer(
        ApiKey::AddPartitionsToTxn,
        ErrorCode::UnknownTopicOrPartition,
    );
    begin(&tx, offsets(1));
    assert_eq!(sent_at_once(&mut tx), Some(ApiKey::AddOffsetsToTxn));
    tx.settle();
    assert_eq!(tx.run_call(offsets(1)), Ok(()));
}

/// The coordinator would answer all of them with the same error.
#[test]
fn a_request_that_waits_for_the_end_of_the_previous_transaction_holds_up_all_others_of_its_own() {
    let mut tx = Tx::begun();
    tx.put(0, "v");
    tx.answer(
        ApiKey::AddPartitionsToTxn,
        ErrorCode::ConcurrentTransactions,
    );
    begin(&tx, offsets(1));
    assert_eq!(sent_at_once(&mut tx), None);
    tx.rig().advance(SHORTEST_BACKOFF);
    assert_eq!(sent_at_once(&mut tx), Some(ApiKey::AddPartitionsToTxn));
    tx.settle();
    assert_eq!(tx.run_call(offsets(1)), Ok(()));
}

#[test]
fn offsets_that_begin_a_transaction_wait_as_briefly_for_the_end_of_the_previous_one_as_partitions()
{
    let mut tx = Tx::begun();
    begin(&tx, offsets(1));
    tx.answer(ApiKey::AddOffsetsToTxn, ErrorCode::ConcurrentTransactions);
    assert_eq!(sent_at_once(&mut tx), None);
    tx.rig().advance(SHORTEST_BACKOFF);
    assert_eq!(sent_at_once(&mut tx), Some(ApiKey::AddOffsetsToTxn));
}

#[test]
fn a_group_coordinator_that_is_being_connected_to_does_not_keep_partitions_from_being_added() {
    let mut tx = Tx::begun();
    begin(&tx, offsets(1));
    tx.rig().client().delay_connection(GROUP_COORDINATOR, true);
    tx.answer(ApiKey::FindCoordinator, OK);
    assert_eq!(sent_at_once(&mut tx), None, "it is not connected yet");
    let record = tx.send(0, "v").expect("taken");
    assert_eq!(sent_at_once(&mut tx), Some(ApiKey::AddPartitionsToTxn));
    tx.settle();
    assert_eq!(offset(&record), Some(0));
    tx.rig().client().delay_connection(GROUP_COORDINATOR, false);
    tx.settle();
    assert_eq!(tx.run_call(offsets(1)), Ok(()));
}

/// Otherwise an idle producer would look up the group's coordinator for ever.
#[test]
fn the_lookup_of_a_coordinator_ends_with_the_requests_that_need_it() {
    let mut tx = Tx::begun();
    begin(&tx, offsets(1));
    tx.answer(ApiKey::FindCoordinator, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(tx.run_call(Operation::Abort), Ok(()));
    tx.rig().client().forget_sent();
    for _ in 0..5 {
        tx.pass_pauses();
        assert_eq!(tx.asked(), None);
    }
}

/// Offsets are committed one call after the other.
#[test]
fn offsets_wait_for_earlier_ones_that_are_retried() {
    let mut tx = Tx::begun();
    begin(&tx, offsets(1));
    tx.answer(ApiKey::TxnOffsetCommit, LOADING);
    begin(&tx, offsets(2));
    assert_eq!(sent_at_once(&mut tx), None);
    tx.until_asked(ApiKey::TxnOffsetCommit);
    assert_eq!(offsets_in_last_commit(&mut tx), [1]);
}

#[test]
fn a_commit_waits_for_offsets_that_are_retried() {
    let mut tx = Tx::begun();
    begin(&tx, offsets(1));
    tx.answer(ApiKey::TxnOffsetCommit, LOADING);
    begin(&tx, Operation::Commit);
    assert_eq!(sent_at_once(&mut tx), None);
    tx.until_asked(ApiKey::TxnOffsetCommit);
}

/// Regression: the later call returned the result of the earlier one and sent nothing, so the offsets of the call between
/// them were committed.
#[test]
fn offsets_that_others_have_replaced_since_their_call_timed_out_are_sent_again() {
    let mut tx = Tx::begun();
    begin(&tx, offsets(9));
    begin(&tx, offsets(10));
    tx.settle();
    assert_eq!(tx.run_call(offsets(10)), Ok(()));
    assert_eq!(tx.run_call(offsets(9)), Ok(()));
    assert_eq!(offsets_in_last_commit(&mut tx), [9]);
    assert_eq!(tx.run_call(Operation::Commit), Ok(()));
}

/// Regression: each call that timed out left its offsets in the queue, without a limit.
#[test]
fn a_call_beyond_the_limit_of_offset_commits_waits_for_the_oldest() {
    let mut tx = Tx::begun();
    let (another, _running) = producer_on(&tx.stepped.rig, strings());
    let limit = MAX_OFFSET_COMMITS as i64;
    for offset in 1..=limit {
        begin(&tx, offsets(offset));
    }
    let too_many = || offsets(limit + 1);
    let mut hasty = another.transaction_call(too_many(), Some(Duration::ZERO));
    let error = step(&mut hasty).expect("no time").expect_err("no room");
    assert_eq!(error.kind(), TransactionErrorKind::TimedOut);
    assert!(error.to_string().contains("it was not begun"), "{error}");
    let long = Some(Duration::from_secs(60));
    let mut patient = another.transaction_call(too_many(), long);
    assert_eq!(step(&mut patient), None);
    // The newest of those that were begun can be resumed all the same.
    begin(&tx, offsets(limit));

    let at = tx.until_asked(ApiKey::TxnOffsetCommit);
    assert_eq!(offsets_in_last_commit(&mut tx), [1]);
    tx.answer_at(at, OK);
    assert_eq!(step(&mut patient), None);
    // It is begun now, so the same call again finds it.
    let mut same = another.transaction_call(too_many(), Some(Duration::ZERO));
    let error = step(&mut same).expect("no time").expect_err("it goes on");
    assert!(!error.to_string().contains("it was not begun"), "{error}");
    let outcome = (0..20).find_map(|_| {
        tx.settle();
        step(&mut patient)
    });
    assert_eq!(outcome, Some(Ok(())));
    let kinds = tx.kinds().into_iter();
    let sent = kinds.filter(|it| *it == ApiKey::TxnOffsetCommit).count();
    assert_eq!(sent, MAX_OFFSET_COMMITS + 1);
    assert_eq!(offsets_in_last_commit(&mut tx), [limit + 1]);
    assert_eq!(tx.run_call(Operation::Commit), Ok(()));
}

#[test]
fn a_call_that_waits_for_room_fails_when_the_transaction_is_aborted() {
    let mut tx = Tx::begun();
    let (another, _running) = producer_on(&tx.stepped.rig, strings());
    for offset in 0..MAX_OFFSET_COMMITS as i64 {
        begin(&tx, offsets(offset));
    }
    let long = Some(Duration::from_secs(60));
    let mut waits = another.transaction_call(offsets(1_000), long);
    assert_eq!(step(&mut waits), None);
    assert_eq!(tx.run_call(Operation::Abort), Ok(()));
    let error = step(&mut waits)
        .expect("it has ended")
        .expect_err("aborted");
    assert_eq!(error.kind(), TransactionErrorKind::WrongState);
}

fn offsets_in_last_commit(tx: &mut Tx) -> Vec<i64> {
    let Request::TxnOffsetCommit(request) = tx.last(ApiKey::TxnOffsetCommit) else {
        unreachable!("of that kind");
    };
    let partitions = request.topics.iter().flat_map(|it| &it.partitions);
    partitions.map(|it| it.offset).collect()
}

/// Regression: the text named the producer "(producerId=-1, epoch=-1)".
#[test]
fn the_error_of_a_producer_that_is_fenced_during_an_epoch_bump_names_its_last_id() {
    let mut tx = Tx::begun();
    tx.put(0, "v");
    tx.answer(ApiKey::AddPartitionsToTxn, OK);
    let aborted = tx.try_call(Operation::Abort, |tx| {
        tx.acknowledge();
        tx.lose(ApiKey::EndTxn);
        tx.answer(ApiKey::EndTxn, OK);
        tx.answer(ApiKey::InitProducerId, ErrorCode::ProducerFenced);
    });
    let error = aborted.expect("it has ended").expect_err("fenced");
    assert!(error.is_fenced(), "{error}");
    let named = format!("the producer (producerId={PRODUCER_ID}, epoch=0) was fenced");
    assert!(error.to_string().contains(&named), "{error}");
}

#[test]
fn a_group_is_added_once_to_each_transaction() {
    let mut tx = Tx::begun();
    assert_eq!(tx.run_call(offsets(1)), Ok(()));
    begin(&tx, offsets(2));
    assert_eq!(sent_at_once(&mut tx), Some(ApiKey::TxnOffsetCommit));
    tx.settle();
    assert_eq!(tx.run_call(offsets(2)), Ok(()));
    assert_eq!(tx.run_call(Operation::Commit), Ok(()));
    tx.stepped
        .producer
        .begin_transaction()
        .expect("it is ready");
    begin(&tx, offsets(3));
    assert_eq!(sent_at_once(&mut tx), Some(ApiKey::AddOffsetsToTxn));
}

/// Regression: the offsets waited until the coordinator of the transaction was found, although only that of the group was
/// needed.
#[test]
fn offsets_of_a_group_that_is_added_do_not_wait_for_the_coordinator_of_the_transaction() {
    let mut tx = Tx::begun();
    assert_eq!(tx.run_call(offsets(1)), Ok(()));
    let record = tx.send(0, "v").expect("taken");
    tx.answer(ApiKey::AddPartitionsToTxn, ErrorCode::NotCoordinator);
    tx.answer(ApiKey::FindCoordinator, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(sent_at_once(&mut tx), None, "the lookup is in back-off");
    begin(&tx, offsets(2));
    assert_eq!(sent_at_once(&mut tx), Some(ApiKey::TxnOffsetCommit));
    // A group that is not added needs the coordinator of the transaction.
    tx.answer(ApiKey::TxnOffsetCommit, OK);
    begin(&tx, of_group("another"));
    assert_eq!(sent_at_once(&mut tx), None);
    tx.settle();
    assert_eq!(offset(&record), Some(0));
    assert_eq!(tx.run_call(of_group("another")), Ok(()));
    assert_eq!(tx.run_call(Operation::Commit), Ok(()));
}

fn of_group(group: &str) -> Operation {
    let offset = (TopicPartition::new("input", 0), OffsetAndMetadata::new(7));
    let group = ConsumerGroupMetadata::new(group);
    let offsets = crate::producer::transaction::OffsetsToCommit::new(group, [offset]);
    Operation::SendOffsets(Arc::new(offsets))
}

/// A lost answer does not say that the group was added.
#[test]
fn a_group_whose_addition_is_in_doubt_is_added_again() {
    let mut tx = Tx::begun();
    begin(&tx, offsets(1));
    tx.answer(ApiKey::AddOffsetsToTxn, LOADING);
    assert_eq!(sent_at_once(&mut tx), None);
    tx.until_asked(ApiKey::AddOffsetsToTxn);
}

/// Regression: the error named the failed lookup, although the coordinator had been found and did not answer.
#[test]
fn a_call_that_times_out_does_not_name_a_lookup_that_has_succeeded_since() {
    let mut tx = Tx::begun();
    begin(&tx, offsets(1));
    tx.answer(ApiKey::FindCoordinator, ErrorCode::CoordinatorNotAvailable);
    let again = |tx: &Tx| {
        let no_time = Some(Duration::ZERO);
        let mut call = tx.stepped.producer.transaction_call(offsets(1), no_time);
        step(&mut call)
            .expect("no time")
            .expect_err("it has no answer")
            .to_string()
    };
    let text = again(&tx);
    assert!(text.contains("COORDINATOR_NOT_AVAILABLE"), "{text}");
    tx.until_asked(ApiKey::TxnOffsetCommit);
    let text = again(&tx);
    assert!(!text.contains("COORDINATOR_NOT_AVAILABLE"), "{text}");
}
