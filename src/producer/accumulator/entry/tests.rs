use std::mem::{align_of, offset_of};
use std::thread;

use super::*;

fn entry(index: EntryIndex) -> Arc<PartitionEntry> {
    let name = TopicPartition::new("t", index as i32);
    Arc::new(PartitionEntry::new(index, name, Arc::default(), false))
}

#[test]
fn the_next_transaction_begins_without_any_partition_of_the_one_before() {
    let entries = [0, 1].map(entry);
    let first = TransactionNumber::FIRST;
    assert!(entries.iter().all(|it| !it.is_in_transaction(first)));
    entries[0].add_to_transaction(first);
    let is_in = |number| [0, 1].map(|at: usize| entries[at].is_in_transaction(number));
    assert_eq!(is_in(first), [true, false]);
    let second = first.next();
    assert_ne!(first, second);
    assert_eq!(is_in(second), [false, false]);
    entries[1].add_to_transaction(second);
    assert_eq!(is_in(second), [false, true]);
    assert_eq!(is_in(second.next()), [false, false]);
}

/// Neither the lock of the queue is taken nor waited for.
#[test]
fn whether_a_partition_is_in_a_transaction_can_be_told_while_its_queue_is_locked() {
    let entry = entry(0);
    entry.add_to_transaction(TransactionNumber::FIRST);
    let queue = entry.contended.queue.lock();
    let told = thread::scope(|scope| {
        let asks = scope.spawn(|| entry.is_in_transaction(TransactionNumber::FIRST));
        asks.join().expect("no panic")
    });
    assert!(told);
    drop(queue);
}

/// Nor does it stand on a cache line that is written for every record or batch: the queue, its lock, the flag of the
/// inbox, and the counts of those who hold the entry, which stand before it.
#[test]
fn what_every_send_may_read_is_apart_from_what_every_batch_writes() {
    const LINE: usize = 64;
    assert_eq!(align_of::<PartitionEntry>() % LINE, 0);
    let read = offset_of!(PartitionEntry, transaction) / LINE;
    let written = offset_of!(PartitionEntry, contended);
    let lines = written / LINE..(written + size_of::<Contended>()).div_ceil(LINE);
    assert_eq!(written % LINE, 0);
    assert!(!lines.contains(&read), "{read} in {lines:?}");
}
