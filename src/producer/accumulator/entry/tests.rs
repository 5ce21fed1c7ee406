use std::mem::{align_of, offset_of};

use super::*;

fn entry(index: EntryIndex) -> Arc<PartitionEntry> {
    let name = TopicPartition::new("t", index as i32);
    Arc::new(PartitionEntry::new(
        index,
        name,
        Arc::default(),
        Door::OutsideTransaction,
    ))
}

/// Java: TransactionManagerTest#testRaiseErrorWhenNoPartitionsPendingOnDrain
#[test]
fn a_queue_takes_records_from_when_its_partition_enters_a_transaction_until_it_leaves_it() {
    let entry = entry(0);
    assert_eq!(entry.door(), Door::OutsideTransaction);
    let number = TransactionNumber(1);
    assert!(entry.enter_transaction(number));
    assert!(!entry.enter_transaction(number), "it is in it");
    assert_eq!(entry.door(), Door::Open(number));
    entry.leave_transaction();
    assert_eq!(entry.door(), Door::OutsideTransaction);
}

#[test]
fn a_closed_queue_stays_closed_when_transactions_begin_and_end() {
    let entry = entry(0);
    entry.close();
    assert!(!entry.enter_transaction(TransactionNumber(1)));
    entry.leave_transaction();
    assert_eq!(entry.door(), Door::Closed);
}

/// A record may be held up on its way, and reach the queue when that takes records of another transaction.
#[test]
fn a_record_is_let_in_by_the_door_of_its_own_transaction_alone() {
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
    for (door, is_let_in) in [(first, [true, false]), (second, [false, true])] {
        assert!(entry.enter_transaction(door));
        let ends = [first, second].map(|of| append(&entry, of));
        // An admitted record needs a batch, since the queue has none.
        let let_in = ends.map(|end| matches!(end, Append::NeedsBatch));
        assert_eq!(let_in, is_let_in);
        entry.leave_transaction();
        for of in [first, second] {
            assert!(matches!(append(&entry, of), Append::OutsideTransaction));
        }
    }
    entry.close();
    assert!(matches!(append(&entry, second), Append::Closed));
}

/// What stands before the queue is read by every send; the queue, its lock and the flag of the inbox are written for
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
