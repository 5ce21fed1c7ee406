//! Records whose `send` is delayed until the transaction that they were sent in has ended.

use super::super::calls::{producer_on, strings};
use super::*;

/// Ends the open transaction, and begins the next.
fn go_on_to_next(tx: &mut Tx, ends_by: Operation) {
    assert_eq!(tx.run_call(ends_by), Ok(()));
    tx.stepped
        .producer
        .begin_transaction()
        .expect("it is ready");
    tx.rig().client().forget_sent();
}

/// The send fails, since its transaction has ended, and the transaction that is open now is not affected.
fn is_refused(tx: &mut Tx, sent: Option<Result<FutureRecordMetadata, SendError>>) {
    match sent.expect("it need not wait") {
        Err(SendError::Transaction(error)) => {
            assert_eq!(error.kind(), TransactionErrorKind::WrongState, "{error}");
        }
        other => panic!("it is no part of this transaction: {other:?}"),
    }
    assert_eq!(tx.run_call(Operation::Commit), Ok(()));
    assert!(!tx.kinds().contains(&ApiKey::Produce), "nothing was sent");
}

const ENDS: [Operation; 2] = [Operation::Commit, Operation::Abort];

/// The next transaction does not contain the partition.
#[test]
fn a_record_that_waits_for_its_topic_until_the_next_transaction_is_refused() {
    for ends_by in ENDS {
        let mut tx = Tx::begun();
        let (producer, _running) = producer_on(&tx.stepped.rig, strings());
        let record = ProducerRecord::new("new", "v").with_partition(0);
        let mut send = producer.send_call(&record, Headers::new(), None);
        assert!(step(&mut send).is_none());
        go_on_to_next(&mut tx, ends_by);
        tx.rig()
            .show(vec![topic(TOPIC, &[0, 0]), topic("new", &[0])]);
        let sent = step(&mut send);
        is_refused(&mut tx, sent);
    }
}

#[test]
fn a_record_that_waits_for_memory_until_the_next_transaction_is_refused_and_returns_the_memory() {
    for ends_by in ENDS {
        let mut tx = Tx::of(|setup| {
            setup.batch_size = 100;
            setup.memory = 100;
        })
        .initialized();
        let (producer, _running) = producer_on(&tx.stepped.rig, strings());
        tx.stepped
            .producer
            .begin_transaction()
            .expect("it is ready");
        tx.put(0, "v");
        let record = ProducerRecord::new(TOPIC, "late").with_partition(1);
        let mut send = producer.send_call(&record, Headers::new(), None);
        assert!(step(&mut send).is_none());
        go_on_to_next(&mut tx, ends_by);
        // The next transaction contains the partition, too, and has written a record to it.
        tx.put(1, "next");
        tx.settle();
        tx.rig().client().forget_sent();
        let sent = step(&mut send);
        is_refused(&mut tx, sent);
        drop(send);
        assert_eq!(tx.stepped.rig.pool.available_bytes(), 100);
    }
}

/// The `send` of a record times out after the record's transaction has ended.
#[test]
fn a_record_that_fails_during_the_next_transaction_does_not_affect_it() {
    for ends_by in ENDS {
        let mut tx = Tx::begun();
        let (producer, _running) = producer_on(&tx.stepped.rig, strings());
        let record = ProducerRecord::new("new", "v").with_partition(0);
        let mut send = producer.send_call(&record, Headers::new(), None);
        assert!(step(&mut send).is_none());
        go_on_to_next(&mut tx, ends_by);
        tx.rig().advance(MAX_BLOCK);
        drop(step(&mut send).expect("its time is up"));
        assert_eq!(tx.run_call(Operation::Commit), Ok(()));
    }
}
