use std::mem::{align_of, offset_of};

use super::*;

fn entry(index: EntryIndex) -> Arc<PartitionEntry> {
    let name = TopicPartition::new("t", index as i32);
    Arc::new(PartitionEntry::new(
        index,
        name,
        Arc::default(),
        QueueState::OutsideTransaction,
    ))
}

/// Java: TransactionManagerTest#testRaiseErrorWhenNoPartitionsPendingOnDrain
#[test]
fn a_queue_admits_records_while_its_partition_is_part_of_a_transaction() {
    let entry = entry(0);
    assert_eq!(entry.state(), QueueState::OutsideTransaction);
    let number = TransactionNumber(1);
    assert!(entry.enter_transaction(number));
    assert!(
        !entry.enter_transaction(number),
        "it is part of the transaction already"
    );
    assert_eq!(entry.state(), QueueState::Open(number));
    entry.leave_transaction();
    assert_eq!(entry.state(), QueueState::OutsideTransaction);
}

#[test]
fn a_closed_queue_stays_closed_when_transactions_begin_and_end() {
    let entry = entry(0);
    entry.close();
    assert!(!entry.enter_transaction(TransactionNumber(1)));
    entry.leave_transaction();
    assert_eq!(entry.state(), QueueState::Closed);
}

/// A thread may be delayed between `send` and its append. By then the queue may admit records of another transaction.
#[test]
fn a_queue_admits_a_record_only_during_the_records_own_transaction() {
    let (first, second) = (TransactionNumber(1), TransactionNumber(2));
    let headers: [crate::record::header::Header; 0] = [];
    let record = RecordParts {
        key: None,
        value: Some(b"v"),
        headers: &headers,
        timestamp_ms: 0,
    };
    let append = |entry: &PartitionEntry, of| {
        let none = None::<&mut AnyCallback>;
        entry.try_append(of, &record, record.payload_len(), none, &mut false)
    };
    let entry = entry(0);
    for (number, expected) in [(first, [true, false]), (second, [false, true])] {
        assert!(entry.enter_transaction(number));
        let ends = [first, second].map(|of| append(&entry, of));
        // An admitted record needs a batch, since the queue has none.
        let admitted = ends.map(|end| matches!(end, Append::NeedsBatch));
        assert_eq!(admitted, expected);
        entry.leave_transaction();
        for of in [first, second] {
            assert!(matches!(append(&entry, of), Append::OutsideTransaction));
        }
    }
    entry.close();
    assert!(matches!(append(&entry, second), Append::Closed));
}

/// Every `send` reads the entry's fields outside of `Contended`. The queue, its lock and the inbox flag are written for
/// every record or batch.
#[test]
fn fields_read_by_every_send_share_no_cache_line_with_fields_written_by_every_batch() {
    const LINE: usize = 64;
    assert_eq!(align_of::<PartitionEntry>() % LINE, 0);
    let read = offset_of!(PartitionEntry, index) / LINE;
    let written = offset_of!(PartitionEntry, contended);
    let lines = written / LINE..(written + size_of::<Contended>()).div_ceil(LINE);
    assert_eq!(written % LINE, 0);
    assert!(!lines.contains(&read), "{read} in {lines:?}");
}
