//! Errors that a test sets for calls: a call returns the error and has no other effect, until the error is removed.

use kafka_producer::testing::TransactionErrorBuilder;
use kafka_producer::{
    CloseError, FlushError, MetadataError, SendError, TransactionCall, TransactionError,
    TransactionErrorKind, TrySendReason,
};

use super::{Rig, TOPIC, record};

#[test]
fn a_send_with_a_set_error_sends_nothing() {
    let rig = Rig::new(true);
    let _written = rig.send("before");
    rig.mock.set_send_error(SendError::Closed);
    assert!(matches!(
        rig.producer.send(record("key")),
        Err(SendError::Closed)
    ));
    let refused = rig.producer.try_send(record("key")).unwrap_err();
    assert!(matches!(
        refused.reason(),
        TrySendReason::Call(SendError::Closed)
    ));
    rig.mock.set_send_error(None);
    let _written = rig.send("after");
    assert_eq!(rig.history(), ["before", "after"]);
}

#[test]
fn a_flush_with_a_set_error_completes_nothing() {
    let rig = Rig::new(false);
    let future = rig.send("key");
    rig.mock
        .set_flush_error(FlushError::TimedOut { batches: 1 });
    assert!(rig.producer.flush().is_err());
    assert!(!future.is_done());
    rig.mock.set_flush_error(None);
    rig.producer.flush().unwrap();
    assert!(future.is_done());
}

#[test]
fn a_close_with_a_set_error_closes_nothing() {
    let rig = Rig::new(true);
    rig.mock.set_close_error(CloseError::ThreadRunning);
    assert!(rig.producer.close().is_err());
    assert!(!rig.mock.closed());
    let Rig { producer, mock } = rig;
    drop(producer);
    assert!(mock.closed());
}

#[test]
fn partitions_for_returns_a_set_error() {
    let rig = Rig::new(true);
    let error = MetadataError::TopicAuthorization(TOPIC.into());
    rig.mock.set_partitions_for_error(error);
    assert!(rig.producer.partitions_for(TOPIC).is_err());
    rig.mock.set_partitions_for_error(None);
    assert!(rig.producer.partitions_for(TOPIC).is_ok());
}

fn error(call: TransactionCall) -> TransactionError {
    TransactionErrorBuilder::new(call, TransactionErrorKind::TimedOut).build()
}

#[test]
fn transactional_calls_with_a_set_error_change_nothing() {
    let rig = Rig::transactional(true);
    let (producer, mock) = (&rig.producer, &rig.mock);
    mock.set_init_transactions_error(error(TransactionCall::InitTransactions));
    assert_eq!(
        producer.init_transactions(),
        Err(error(TransactionCall::InitTransactions))
    );
    assert!(!mock.transaction_initialized());
    mock.set_init_transactions_error(None);
    producer.init_transactions().unwrap();
    mock.set_begin_transaction_error(error(TransactionCall::BeginTransaction));
    assert_eq!(
        producer.begin_transaction(),
        Err(error(TransactionCall::BeginTransaction))
    );
    mock.set_begin_transaction_error(None);
    producer.begin_transaction().unwrap();
    let offsets = || [(kafka_producer::TopicPartition::new(TOPIC, 0), 5.into())];
    mock.set_send_offsets_to_transaction_error(error(TransactionCall::SendOffsetsToTransaction));
    let outcome = producer.send_offsets_to_transaction(offsets(), "g");
    assert_eq!(
        outcome,
        Err(error(TransactionCall::SendOffsetsToTransaction))
    );
    assert!(!mock.sent_offsets());
    mock.set_commit_transaction_error(error(TransactionCall::CommitTransaction));
    mock.set_abort_transaction_error(error(TransactionCall::AbortTransaction));
    assert_eq!(
        producer.commit_transaction(),
        Err(error(TransactionCall::CommitTransaction))
    );
    assert_eq!(
        producer.abort_transaction(),
        Err(error(TransactionCall::AbortTransaction))
    );
    assert!(mock.transaction_in_flight());
    mock.set_abort_transaction_error(None);
    producer.abort_transaction().unwrap();
    assert!(mock.transaction_aborted());
}

/// Whichever error was set, the record is lost, so the transaction must not be committed.
#[test]
fn a_send_with_a_set_error_makes_its_transaction_abortable() {
    let out_of_range = SendError::PartitionOutOfRange {
        topic: TOPIC.into(),
        partition: 9,
        count: 1,
    };
    for error in [SendError::Closed, out_of_range] {
        for how in ["send", "try_send", "guard"] {
            let rig = Rig::initialized(true);
            let guard = rig.producer.transaction().unwrap();
            rig.mock.set_send_error(error.clone());
            match how {
                "send" => drop(rig.producer.send(record("key")).unwrap_err()),
                "try_send" => drop(rig.producer.try_send(record("key")).unwrap_err()),
                _ => drop(guard.send(record("key")).unwrap_err()),
            }
            rig.mock.set_send_error(None);
            let refused = guard.commit().unwrap_err();
            assert!(refused.is_abortable(), "{how}: {refused}");
            assert!(rig.mock.transaction_aborted(), "{how}");
            rig.producer.begin_transaction().unwrap();
            let _taken = rig.send("key");
            rig.producer.commit_transaction().unwrap();
        }
    }
}
