//! Transactions, fencing, and producers that are closed.
//!
//! `MockProducerTest#shouldThrowOnFlushProducerIfProducerIsClosed` has no counterpart: here flushing a closed producer
//! is not an error.

use kafka_producer::{
    ErrorCode, FutureRecordMetadata, SendError, TopicPartition, TransactionError,
    TransactionErrorKind,
};

use super::{Rig, TOPIC, record};

fn send_offsets(rig: &Rig) -> Result<(), TransactionError> {
    let offsets = [(TopicPartition::new(TOPIC, 0), 5.into())];
    rig.producer.send_offsets_to_transaction(offsets, "group")
}

/// The results of the transactional calls, by name.
fn each_call(rig: &Rig) -> [(&'static str, Result<(), TransactionError>); 4] {
    [
        ("begin", rig.producer.begin_transaction()),
        ("offsets", send_offsets(rig)),
        ("commit", rig.producer.commit_transaction()),
        ("abort", rig.producer.abort_transaction()),
    ]
}

/// Java: MockProducerTest#shouldInitTransactions,
/// #shouldThrowOnInitTransactionIfProducerAlreadyInitializedForTransactions
#[test]
fn a_producer_is_initialized_once() {
    let rig = Rig::transactional(true);
    assert!(!rig.mock.transaction_initialized());
    rig.producer.init_transactions().unwrap();
    assert!(rig.mock.transaction_initialized());
    let error = rig.producer.init_transactions().unwrap_err();
    assert_eq!(error.kind(), TransactionErrorKind::WrongState);
}

/// Java: MockProducerTest#shouldThrowOnBeginTransactionIfTransactionsNotInitialized,
/// #shouldThrowOnSendOffsetsToTransactionIfTransactionsNotInitialized, #shouldThrowOnCommitIfTransactionsNotInitialized,
/// #shouldThrowOnAbortIfTransactionsNotInitialized, #shouldThrowFenceProducerIfTransactionsNotInitialized
#[test]
fn every_call_of_an_uninitialized_producer_is_rejected() {
    let rig = Rig::transactional(true);
    for (call, outcome) in each_call(&rig) {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), TransactionErrorKind::WrongState, "{call}");
    }
    let error = rig.mock.fence_producer().unwrap_err();
    assert_eq!(error.kind(), TransactionErrorKind::WrongState);
    assert!(
        rig.producer.init_transactions().is_ok(),
        "nothing has changed"
    );
    assert!(
        Rig::new(true).mock.fence_producer().is_err(),
        "it has no id"
    );
}

/// Java: MockProducerTest#shouldBeginTransactions, #shouldThrowOnBeginTransactionsIfTransactionInflight
#[test]
fn a_transaction_is_begun_when_none_is_open() {
    let rig = Rig::initialized(true);
    assert!(!rig.mock.transaction_in_flight());
    rig.producer.begin_transaction().unwrap();
    assert!(rig.mock.transaction_in_flight());
    let error = rig.producer.begin_transaction().unwrap_err();
    assert_eq!(error.kind(), TransactionErrorKind::WrongState);
    assert!(rig.mock.transaction_in_flight());
}

/// Java: MockProducerTest#shouldThrowOnSendOffsetsToTransactionTransactionIfNoTransactionGotStarted,
/// #shouldThrowOnCommitTransactionIfNoTransactionGotStarted, #shouldThrowOnAbortTransactionIfNoTransactionGotStarted
#[test]
fn without_a_transaction_offsets_commit_and_abort_are_rejected() {
    let rig = Rig::initialized(true);
    let calls = each_call(&Rig::initialized(true));
    assert!(calls[0].1.is_ok(), "begun");
    let outcomes = [
        send_offsets(&rig),
        rig.producer.commit_transaction(),
        rig.producer.abort_transaction(),
    ];
    for outcome in outcomes {
        assert_eq!(
            outcome.unwrap_err().kind(),
            TransactionErrorKind::WrongState
        );
    }
    let refused = rig.producer.send(record("key")).unwrap_err();
    assert!(matches!(refused, SendError::Transaction(_)), "{refused}");
}

/// Java: MockProducerTest#shouldCommitEmptyTransaction
#[test]
fn a_transaction_without_records_is_committed() {
    let rig = Rig::begun(true);
    rig.producer.commit_transaction().unwrap();
    assert!(!rig.mock.transaction_in_flight());
    assert!(rig.mock.transaction_committed() && !rig.mock.transaction_aborted());
}

/// Java: MockProducerTest#shouldAbortEmptyTransaction
#[test]
fn a_transaction_without_records_is_aborted() {
    let rig = Rig::begun(true);
    rig.producer.abort_transaction().unwrap();
    assert!(!rig.mock.transaction_in_flight());
    assert!(rig.mock.transaction_aborted() && !rig.mock.transaction_committed());
    rig.producer.begin_transaction().unwrap();
    assert!(
        !rig.mock.transaction_aborted(),
        "of that nothing is known yet"
    );
}

/// Java: MockProducerTest#shouldCountCommittedTransaction, #shouldNotCountAbortedTransaction
#[test]
fn committed_transactions_are_counted() {
    let rig = Rig::begun(true);
    assert_eq!(rig.mock.commit_count(), 0);
    rig.producer.commit_transaction().unwrap();
    assert_eq!(rig.mock.commit_count(), 1);
    rig.producer.begin_transaction().unwrap();
    rig.producer.abort_transaction().unwrap();
    assert_eq!(rig.mock.commit_count(), 1);
    rig.producer.begin_transaction().unwrap();
    let _written = rig.send("key");
    rig.producer.commit_transaction().unwrap();
    assert_eq!(rig.mock.commit_count(), 2);
}

/// Java: MockProducerTest#shouldThrowOnBeginTransactionsIfProducerGotFenced, #shouldThrowOnSendIfProducerGotFenced,
/// #shouldThrowOnSendOffsetsToTransactionByGroupIdIfProducerGotFenced,
/// #shouldThrowOnSendOffsetsToTransactionByGroupMetadataIfProducerGotFenced,
/// #shouldThrowOnCommitTransactionIfProducerGotFenced, #shouldThrowOnAbortTransactionIfProducerGotFenced
#[test]
fn a_producer_that_is_fenced_fails_in_every_call() {
    for (rig, is_open) in [(Rig::initialized(true), false), (Rig::begun(true), true)] {
        rig.mock.fence_producer().unwrap();
        for (call, outcome) in each_call(&rig) {
            let error = outcome.unwrap_err();
            assert!(error.is_fenced() && error.is_fatal(), "{call}: {error}");
            assert_eq!(error.code(), Some(ErrorCode::ProducerFenced));
        }
        let Err(SendError::Transaction(error)) = rig.producer.send(record("key")) else {
            panic!("it was sent")
        };
        assert!(error.is_fenced(), "{error}");
        assert!(rig.mock.fence_producer().unwrap_err().is_fenced());
        assert_eq!(rig.mock.transaction_in_flight(), is_open);
        assert!(rig.mock.history().is_empty());
        rig.producer.close().unwrap();
    }
}

/// Java: MockProducerTest#shouldPublishMessagesOnlyAfterCommitIfTransactionsAreEnabled
#[test]
fn records_are_in_the_history_when_their_transaction_is_committed() {
    let rig = Rig::begun(true);
    let _written = [rig.send("key1"), rig.send("key2")];
    assert!(rig.history().is_empty());
    assert_eq!(rig.mock.uncommitted_records().len(), 2);
    rig.producer.commit_transaction().unwrap();
    assert_eq!(rig.history(), ["key1", "key2"]);
    assert!(rig.mock.uncommitted_records().is_empty());
}

/// Java: MockProducerTest#shouldFlushOnCommitForNonAutoCompleteIfTransactionsAreEnabled,
/// #shouldThrowOnAbortForNonAutoCompleteIfTransactionsAreEnabled
#[test]
fn the_end_of_a_transaction_completes_incomplete_records() {
    for commits in [true, false] {
        let rig = Rig::begun(false);
        let futures = [rig.send("key1"), rig.send("key2")];
        assert!(futures.iter().all(|future| !future.is_done()));
        if commits {
            rig.producer.commit_transaction().unwrap();
        } else {
            rig.producer.abort_transaction().unwrap();
        }
        assert!(futures.iter().all(FutureRecordMetadata::is_done));
        assert_eq!(rig.history().len(), if commits { 2 } else { 0 });
    }
}

/// Java: MockProducerTest#shouldDropMessagesOnAbortIfTransactionsAreEnabled
#[test]
fn records_of_an_aborted_transaction_are_dropped() {
    let rig = Rig::begun(true);
    let _written = [rig.send("key1"), rig.send("key2")];
    rig.producer.abort_transaction().unwrap();
    assert!(rig.history().is_empty() && rig.mock.uncommitted_records().is_empty());
    rig.producer.begin_transaction().unwrap();
    rig.producer.commit_transaction().unwrap();
    assert!(rig.history().is_empty());
}

/// Java: MockProducerTest#shouldPreserveCommittedMessagesOnAbortIfTransactionsAreEnabled
#[test]
fn committed_records_stay_when_the_next_transaction_is_aborted() {
    let rig = Rig::begun(true);
    let _written = [rig.send("key1"), rig.send("key2")];
    rig.producer.commit_transaction().unwrap();
    rig.producer.begin_transaction().unwrap();
    rig.producer.abort_transaction().unwrap();
    assert_eq!(rig.history(), ["key1", "key2"]);
}

/// Java: MockProducerTest#shouldThrowOnInitTransactionIfProducerIsClosed, #shouldThrowOnSendIfProducerIsClosed,
/// #shouldThrowOnBeginTransactionIfProducerIsClosed, #shouldThrowSendOffsetsToTransactionByGroupIdIfProducerIsClosed,
/// #shouldThrowSendOffsetsToTransactionByGroupMetadataIfProducerIsClosed,
/// #shouldThrowOnCommitTransactionIfProducerIsClosed, #shouldThrowOnAbortTransactionIfProducerIsClosed,
/// #shouldThrowOnFenceProducerIfProducerIsClosed
#[test]
fn a_closed_producer_rejects_every_call() {
    let rig = Rig::transactional(true);
    assert!(!rig.mock.closed());
    rig.producer.close().unwrap();
    assert!(rig.mock.closed());
    let init = ("init", rig.producer.init_transactions());
    let fence = ("fence", rig.mock.fence_producer());
    for (call, outcome) in each_call(&rig).into_iter().chain([init, fence]) {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), TransactionErrorKind::Closed, "{call}");
    }
    let refused = rig.producer.send(record("key")).unwrap_err();
    assert!(matches!(refused, SendError::Closed), "{refused}");
    assert!(rig.producer.flush().is_ok());
}

#[test]
fn a_failed_record_makes_its_transaction_abortable_and_does_not_affect_the_next() {
    let rig = Rig::begun(false);
    let future = rig.send("key1");
    assert!(rig.mock.error_next(ErrorCode::MessageTooLarge));
    assert!(future.get().is_err());
    let error = rig.producer.commit_transaction().unwrap_err();
    assert!(error.is_abortable(), "{error}");
    assert!(rig.mock.transaction_in_flight());
    rig.producer.abort_transaction().unwrap();
    rig.producer.begin_transaction().unwrap();
    let _waiting = rig.send("key2");
    rig.producer.commit_transaction().unwrap();
    assert_eq!(rig.history(), ["key2"]);
    assert_eq!(rig.mock.commit_count(), 1);
}

#[test]
fn a_record_with_a_fencing_error_fences_the_producer() {
    let rig = Rig::begun(false);
    let future = rig.send("key1");
    assert!(rig.mock.error_next(ErrorCode::ProducerFenced));
    assert_eq!(
        future.get().unwrap_err().code(),
        Some(ErrorCode::ProducerFenced)
    );
    assert!(rig.producer.commit_transaction().unwrap_err().is_fenced());
}

#[test]
fn a_dropped_transaction_is_aborted() {
    let rig = Rig::initialized(true);
    let outcome = rig.producer.run_transaction(|transaction| {
        transaction.send(record("key1"))?;
        Err::<(), _>(SendError::Closed)
    });
    assert!(outcome.is_err() && rig.mock.transaction_aborted());
    let sent = rig
        .producer
        .run_transaction(|transaction| transaction.send(record("key2")));
    assert!(sent.is_ok());
    assert_eq!(rig.history(), ["key2"]);
}
