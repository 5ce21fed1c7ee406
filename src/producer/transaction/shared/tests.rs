use super::*;
use crate::error::TransactionErrorKind::{Abortable, WrongState};
use crate::producer::transaction::{OffsetsToCommit, end_request};
use crate::types::ConsumerGroupMetadata;

/// A producer with an open transaction, and the number of that transaction.
fn begun() -> (Arc<Transactions>, TransactionNumber) {
    let inbox = Arc::new(RequestInbox::new());
    let transactions = Arc::new(Transactions::new("id".into(), inbox));
    let init = ask(&transactions, None, Operation::Init).expect("it is the first call");
    transactions.initialized();
    transactions.clear_pending(&init);
    let number = transactions.begin().expect("it is ready");
    (transactions, number)
}

fn ask(
    transactions: &Transactions,
    of: Option<TransactionNumber>,
    operation: Operation,
) -> Result<Arc<TransactionResult>, TransactionFailure> {
    match transactions.ask(of, operation, |_| end_request(&"id".into(), false))? {
        AskedOperation::Pending(result) => Ok(result),
        AskedOperation::TooMany(_) => panic!("there are few"),
    }
}

/// Aborts the open transaction, and begins the next.
fn go_on_to_next(transactions: &Transactions) {
    let abort = ask(transactions, None, Operation::Abort).expect("it is open");
    transactions.ended(false);
    transactions.clear_pending(&abort);
    transactions.begin().expect("it is ready");
}

fn offsets() -> Operation {
    let group = ConsumerGroupMetadata::new("group");
    Operation::SendOffsets(Arc::new(OffsetsToCommit::new(group, [])))
}

/// A thread may have checked its transaction, and be delayed until another thread has ended that transaction and begun
/// the next.
#[test]
fn a_delayed_call_of_one_transaction_does_not_affect_the_next() {
    type Act = fn(&Transactions, TransactionNumber) -> Result<(), TransactionFailure>;
    let acts: [(&str, Act); 8] = [
        ("commit", |it, of| {
            ask(it, Some(of), Operation::Commit).map(drop)
        }),
        ("abort", |it, of| {
            ask(it, Some(of), Operation::Abort).map(drop)
        }),
        ("offsets", |it, of| ask(it, Some(of), offsets()).map(drop)),
        ("no offsets", |it, of| it.check_offsets(Some(of))),
        ("send", Transactions::check_send),
        ("enter", |it, of| {
            let name = TopicPartition::new("t", 0);
            it.enter(of, &PartitionEntry::for_test(name)).map(drop)
        }),
        ("end", |it, of| it.end_of(of).map(drop)),
        ("make_abortable", |it, of| {
            it.make_abortable(of, &TransactionFailure::new(Abortable, None, "late"));
            it.check_send(of)
        }),
    ];
    for (what, act) in acts {
        let (transactions, number) = begun();
        let others = Arc::clone(&transactions);
        held_up::once(move || go_on_to_next(&others));
        let error = act(&transactions, number).expect_err(what);
        assert_eq!(error.kind, WrongState, "{what}: {error}");
        let next = transactions.newest();
        assert_ne!(next, number);
        assert_eq!(transactions.check_send(next), Ok(()), "{what}");
        assert!(transactions.take_news().partitions.is_empty(), "{what}");
    }
}

/// While the producer is being closed, a call may resume an operation that was begun before. A guard resumes operations
/// of its own transaction only.
#[test]
fn a_guard_does_not_resume_a_call_of_the_next_transaction() {
    let (transactions, number) = begun();
    go_on_to_next(&transactions);
    let commit = ask(&transactions, None, Operation::Commit).expect("it is open");
    let begun = |of| transactions.begun_before(of, &Operation::Commit);
    assert!(begun(Some(number)).is_none());
    assert!(begun(Some(transactions.newest())).is_some_and(|it| Arc::ptr_eq(&it, &commit)));
    assert!(begun(None).is_some());
}

/// A commit covers the records that are part of the transaction when the commit is called. A record whose `send` has
/// not returned by then is not one of them, whatever its outcome.
#[test]
fn a_refused_record_fails_its_transaction_only_while_that_is_open() {
    let failure = TransactionFailure::new(Abortable, None, "a record was not taken");
    let (transactions, number) = begun();
    transactions.make_abortable(number, &failure);
    assert_eq!(
        transactions.state(),
        TransactionManagerState::AbortableError
    );
    let (transactions, number) = begun();
    let commit = ask(&transactions, None, Operation::Commit).expect("it is open");
    transactions.make_abortable(number, &failure);
    assert_eq!(transactions.state(), TransactionManagerState::Committing);
    transactions.ended(false);
    assert_eq!(commit.get(), Some(&Ok(())));
    assert_eq!(
        transactions.end_of(number),
        Ok(Some(TransactionEnd::Committed))
    );
}

/// Ends the open transaction, and returns the result from its call.
fn end_with(transactions: &Transactions, operation: Operation) {
    let ending = ask(transactions, None, operation).expect("it is open");
    transactions.ended(false);
    transactions.clear_pending(&ending);
}

/// Whether the error of a refused call of a guard reports that the guard's transaction may be committed.
fn is_said_to_be_committed(transactions: &Transactions, of: TransactionNumber) -> bool {
    let refused = ask(transactions, Some(of), Operation::Abort).expect_err("it has ended");
    refused.may_be_committed
}

#[test]
fn a_transaction_begun_after_the_last_commit_is_not_reported_as_committed() {
    let (transactions, committed) = begun();
    end_with(&transactions, Operation::Commit);
    assert!(is_said_to_be_committed(&transactions, committed));
    let aborted = transactions.begin().expect("it is ready");
    assert!(is_said_to_be_committed(&transactions, committed));
    end_with(&transactions, Operation::Abort);
    assert!(!is_said_to_be_committed(&transactions, aborted));
    let open = transactions.begin().expect("it is ready");
    assert!(is_said_to_be_committed(&transactions, committed));
    assert!(!is_said_to_be_committed(&transactions, aborted));
    let failure = TransactionFailure::new(Abortable, None, "a record was not taken");
    transactions.make_abortable(open, &failure);
    let refused = ask(&transactions, Some(open), Operation::Commit).expect_err("it is abortable");
    assert!(!refused.may_be_committed);
}

/// The commit call returns after the epoch bump that follows the commit. If the bump fails, the call's error must
/// report that the transaction may be committed.
#[test]
fn a_commit_whose_epoch_bump_fails_reports_that_the_transaction_may_be_committed() {
    for (operation, is_committed) in [(Operation::Commit, true), (Operation::Abort, false)] {
        let (transactions, _) = begun();
        let ending = ask(&transactions, None, operation).expect("it is open");
        transactions.ended(true);
        let kind = TransactionErrorKind::Fatal;
        transactions.fail_for_good(TransactionFailure::new(kind, None, "refused"), false);
        let outcome = ending.get().expect("it has ended").clone();
        let failure = outcome.expect_err("the producer has failed");
        assert_eq!(failure.may_be_committed, is_committed);
    }
}

/// A `send` that began before the first transaction, or after a commit, belongs to no transaction. An interceptor may
/// delay it until the next transaction has begun.
#[test]
fn a_record_that_was_sent_outside_any_transaction_is_refused_without_a_word_of_a_commit() {
    let (transactions, committed) = begun();
    let before_the_first = transactions.check_send(TransactionNumber::NONE);
    end_with(&transactions, Operation::Commit);
    transactions.begin().expect("it is ready");
    for refused in [before_the_first, transactions.check_send(committed)] {
        let failure = refused.expect_err("another transaction is open");
        assert_eq!(failure.kind, WrongState);
        assert!(!failure.may_be_committed);
        assert!(
            failure.message.contains("not part of it"),
            "{}",
            failure.message
        );
    }
}
