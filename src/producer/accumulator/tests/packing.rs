//! Batches that are compressed, or written in an old format: when they are closed, and the state of their queue while a
//! thread packs them.

use proptest::prelude::*;

use super::*;
use crate::compress::decompress;
use crate::producer::batch::{EncodedBatch, SealedBatch};
use crate::record::batch::RecordBatch;
use crate::record::legacy::restage;

const CODECS: [CompressionType; 4] = [
    CompressionType::Gzip,
    CompressionType::Snappy,
    CompressionType::Lz4,
    CompressionType::Zstd,
];

/// A compressible value, different for each number.
fn value(number: usize) -> String {
    format!("{{\"id\":{number},\"name\":\"a name that comes again\",\"flag\":true}}")
}

fn entry_of(fixture: &Fixture) -> Arc<PartitionEntry> {
    Arc::clone(fixture.accumulator.partition(&fixture.topic(), 0).unwrap())
}

fn pop(entry: &PartitionEntry) -> Option<Box<SealedBatch>> {
    match entry.pop(|_| true) {
        entry::Popped::Batch { batch, .. } => Some(SealedBatch::seal(batch)),
        _ => None,
    }
}

/// The values of a batch's records, decoded from the bytes that are sent.
fn values(batch: &SealedBatch) -> Vec<String> {
    let EncodedBatch { head, body } = batch.encode(Magic::V2).unwrap();
    let whole = [&head.expect("format v2")[..], &body].concat();
    let read = RecordBatch::parse(&Bytes::from(whole)).unwrap();
    assert_eq!(read.attributes().codec(), batch.codec().id());
    let plain = decompress(batch.codec(), Magic::V2, read.payload(), 1 << 24).unwrap();
    let records = read.records_in(&plain).unwrap();
    records
        .map(|record| String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap())
        .collect()
}

/// Fills one batch and opens the next; returns the number of records in the first.
fn fill_one(fixture: &Fixture, numbers: &mut std::ops::RangeFrom<usize>) -> usize {
    let before = fixture.accumulator.queued_batches();
    let first = numbers.start;
    while fixture.accumulator.queued_batches() < before + 2 {
        let _future = append(fixture, 0, &value(numbers.next().unwrap()));
    }
    numbers.start - first - 1
}

/// The size of a compressed batch is estimated from its uncompressed size and the compression ratio of earlier batches,
/// plus a twentieth (PB-5). The ratio starts at 1 (PB-6), so the first batch is filled like an uncompressed one. The
/// better the ratio becomes, the more records fit into a batch before it is closed (RA-3).
#[test]
fn a_batch_contains_its_records_and_a_better_ratio_admits_more_of_them() {
    for codec in CODECS {
        let fixture = fixture_with(2000, MS(1000), codec, Magic::V2);
        fixture.cluster(&[0]);
        let entry = entry_of(&fixture);
        let mut numbers = 0..;
        let first = fill_one(&fixture, &mut numbers);
        let plain = value(1).len() + 7;
        // The first estimate: 61 bytes of header, and the uncompressed records plus a twentieth.
        assert_eq!(first, ((2000 - 61) * 20 / 21) / plain, "{codec}");
        let mut taken = 0;
        let mut largest = 0;
        let mut counts = Vec::new();
        for _ in 0..200 {
            let _ = fill_one(&fixture, &mut numbers);
            while fixture.accumulator.queued_batches() > 1 {
                let batch = pop(&entry).unwrap();
                let expected: Vec<_> = (taken..taken + batch.record_count() as usize)
                    .map(value)
                    .collect();
                assert_eq!(values(&batch), expected, "{codec}");
                taken += expected.len();
                largest = largest.max(batch.size_bytes());
                counts.push(expected.len());
            }
        }
        assert!(counts.last() > counts.first(), "{codec}: {counts:?}");
        assert!(largest <= 2000 * 105 / 100, "{codec}: {largest}");
        assert!(entry.ratio().load() < 0.5, "{codec}");
    }
}

#[test]
fn memory_beyond_the_first_lease_is_counted_and_returned() {
    let fixture = fixture_with(2000, MS(1000), CompressionType::Gzip, Magic::V2);
    fixture.cluster(&[0]);
    let entry = entry_of(&fixture);
    let total = fixture.accumulator.pool().total_bytes();
    entry.ratio().update(0.1);
    for _ in 0..300 {
        entry.ratio().update(0.1);
    }
    let mut numbers = 0..;
    // The batch may have 2,000 bytes after compression. With an estimated ratio of a tenth, all 100 records fit.
    for _ in 0..100 {
        let _future = append(&fixture, 0, &value(numbers.next().unwrap()));
    }
    assert_eq!(fixture.accumulator.queued_batches(), 1);
    let leased = total - fixture.accumulator.pool().available_bytes();
    assert!(leased >= 100 * value(10).len(), "{leased}");
    assert_eq!(leased % 2000, 0, "in steps of batch.size");
    let batch = pop(&entry).unwrap();
    assert_eq!(values(&batch).len(), 100);
    let leased = total - fixture.accumulator.pool().available_bytes();
    assert_eq!(leased, 2000, "a compressed batch keeps one step");
    drop(batch);
    assert_eq!(fixture.accumulator.pool().available_bytes(), total);
}

#[test]
fn a_batch_is_closed_when_no_more_memory_is_available_at_once() {
    let fixture = fixture_with(2000, MS(1000), CompressionType::Gzip, Magic::V2);
    fixture.cluster(&[0]);
    let entry = entry_of(&fixture);
    for _ in 0..300 {
        entry.ratio().update(0.1);
    }
    let _future = append(&fixture, 0, &value(0));
    let pool = fixture.accumulator.pool();
    let rest = pool.try_allocate(pool.available_bytes()).unwrap();
    let mut appended = 1;
    while matches!(try_append(&fixture, 0, &value(appended)), Append::Done(_)) {
        appended += 1;
        assert!(appended < 100, "there is no memory for so many");
    }
    drop(rest);
    assert_eq!(values(&pop(&entry).unwrap()).len(), appended);
}

/// Records that compression does not shrink need more memory than their leases for a moment; all of it is returned.
#[test]
fn records_that_compression_enlarges_are_sent_all_the_same() {
    for codec in CODECS {
        let fixture = fixture_with(500, MS(1000), codec, Magic::V2);
        fixture.cluster(&[0]);
        let mut random = fastrand::Rng::with_seed(1);
        let noise: String = (0..420).map(|_| random.alphanumeric()).collect();
        let _future = append(&fixture, 0, &noise);
        let batch = pop(&entry_of(&fixture)).unwrap();
        assert_eq!(values(&batch), [noise]);
        drop(batch);
        let pool = fixture.accumulator.pool();
        assert_eq!(pool.available_bytes(), pool.total_bytes(), "{codec}");
    }
}

#[test]
fn the_sender_sees_no_batch_behind_one_that_is_being_packed() {
    let fixture = fixture_with(2000, MS(1000), CompressionType::Lz4, Magic::V2);
    fixture.cluster(&[0]);
    let entry = entry_of(&fixture);
    let mut sent = 0;
    // The same as `RecordAccumulator::try_append`, up to the moment at which the queue's lock is released.
    let mut filled = false;
    while !filled {
        let text = value(sent);
        let record = RecordParts {
            key: None,
            value: Some(text.as_bytes()),
            headers: &[],
            timestamp_ms: 0,
        };
        let payload = record.payload_len();
        match entry.try_append::<AnyCallback>(AnyTransaction, &record, payload, None, &mut filled) {
            Append::Done(_) => sent += 1,
            Append::NeedsBatch if !filled => {
                let _future = append(&fixture, 0, &text);
                sent += 1;
            }
            other => assert!(matches!(other, Append::NeedsBatch), "{other:?}"),
        }
    }
    let away = entry.take_away(&fixture.accumulator.packing).unwrap();
    assert!(fixture.accumulator.is_packing());
    let _behind = append(&fixture, 0, "behind");
    assert!(entry.head().is_none());
    assert!(pop(&entry).is_none(), "no batch overtakes it");
    assert!(entry.pop_older(Instant::from_nanos(u64::MAX)).is_none());
    let (batch, counted) = away;
    entry.put_back(batch.packed());
    drop(counted);
    assert!(!fixture.accumulator.is_packing());
    assert!(entry.head().unwrap().is_full);
    assert_eq!(values(&pop(&entry).unwrap()).len(), sent);
    assert_eq!(values(&pop(&entry).unwrap()), ["behind"]);
}

#[test]
fn records_of_many_threads_are_in_their_partition_once_and_in_each_threads_order() {
    const THREADS: usize = 4;
    const EACH: usize = 3000;
    let fixture = fixture_with(2000, MS(1000), CompressionType::Snappy, Magic::V2);
    fixture.cluster(&[0]);
    let entry = entry_of(&fixture);
    let mut read: Vec<String> = Vec::new();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let fixture = &fixture;
            scope.spawn(move || {
                for number in 0..EACH {
                    let text = format!("{thread} {}", value(number));
                    while !matches!(try_append(fixture, 0, &text), Append::Done(_)) {
                        std::thread::yield_now();
                    }
                }
            });
        }
        while read.len() < THREADS * EACH {
            match pop(&entry) {
                Some(batch) => read.extend(values(&batch)),
                None => std::thread::yield_now(),
            }
        }
    });
    for thread in 0..THREADS {
        let prefix = format!("{thread} ");
        let own: Vec<_> = read
            .iter()
            .filter_map(|v| v.strip_prefix(&prefix))
            .collect();
        let expected: Vec<_> = (0..EACH).map(value).collect();
        assert_eq!(own, expected);
    }
}

/// `batch.size` limits the size of the records in the format in which they are sent (RA-7, PB-3).
#[test]
fn message_sets_of_the_old_formats_contain_their_records_and_keep_the_size_limit() {
    for magic in [Magic::V0, Magic::V1] {
        for codec in [
            CompressionType::None,
            CompressionType::Gzip,
            CompressionType::Lz4,
        ] {
            let fixture = fixture_with(1000, MS(1000), codec, magic);
            fixture.cluster(&[0]);
            let mut numbers = 0..;
            let count = fill_one(&fixture, &mut numbers);
            let batch = pop(&entry_of(&fixture)).unwrap();
            let EncodedBatch { head, body } = batch.encode(Magic::V2).unwrap();
            assert_eq!((head, batch.size_bytes()), (None, body.len()));
            assert!(body.len() <= 1000, "{magic:?} {codec}: {}", body.len());
            let (facts, _) = restage(&body, 1 << 20).unwrap();
            assert_eq!(facts.record_count as usize, count, "{magic:?} {codec}");
            assert_eq!(batch.record_count() as usize, count);
            if codec == CompressionType::None {
                let overhead = if magic == Magic::V0 { 26 } else { 34 };
                assert_eq!(count, 1000 / (overhead + value(1).len()));
            }
        }
    }
}

proptest! {
    /// `batch.size` limits the bytes that are sent, in each format (PB-2, PB-3).
    #[test]
    fn a_plain_batch_is_larger_than_its_limit_only_for_a_single_record(
        sizes in proptest::collection::vec(prop_oneof![0..60usize, 0..700usize], 1..60),
        limit in 100..2000usize,
        magic in prop_oneof![Just(Magic::V0), Just(Magic::V1), Just(Magic::V2)],
    ) {
        let fixture = fixture_with(limit, MS(1000), CompressionType::None, magic);
        fixture.cluster(&[0]);
        for size in &sizes {
            let _future = append(&fixture, 0, &"x".repeat(*size));
        }
        let entry = entry_of(&fixture);
        let mut records = 0;
        while let Some(batch) = pop(&entry) {
            let EncodedBatch { head, body } = batch.encode(Magic::V2).unwrap();
            let bytes = head.map_or(0, |head| head.len()) + body.len();
            prop_assert_eq!(bytes, batch.size_bytes());
            prop_assert!(bytes <= limit || batch.record_count() == 1, "{} bytes", bytes);
            records += batch.record_count() as usize;
        }
        prop_assert_eq!(records, sizes.len());
    }
}

#[test]
fn a_batch_that_fails_without_being_sent_is_not_packed() {
    let fixture = fixture_with(2000, MS(1000), CompressionType::Gzip, Magic::V2);
    fixture.cluster(&[0]);
    let entry = entry_of(&fixture);
    let _future = append(&fixture, 0, &value(0));
    let entry::Popped::Batch { batch, .. } = entry.pop(|_| true) else {
        panic!("there is a batch")
    };
    let sealed = SealedBatch::seal_to_fail(batch);
    assert_eq!(sealed.record_count(), 1);
    assert!((entry.ratio().load() - 1.0).abs() < f32::EPSILON);
    drop(sealed);
    let pool = fixture.accumulator.pool();
    assert_eq!(pool.available_bytes(), pool.total_bytes());
}

/// A thread is counted as packing until after it has announced its batch. The sender may have sent the batch by then,
/// and waits only for the count.
#[test]
fn a_sender_that_is_closing_is_woken_when_the_last_thread_has_packed() {
    wakes_when_the_last_thread_has_packed(RecordAccumulator::close);
}

/// The sender waits for all batches when it ends a transaction. Without the wake-up the transactional call would wait
/// for the whole of `max.block.ms`.
#[test]
fn a_sender_that_waits_for_all_batches_is_woken_when_the_last_thread_has_packed() {
    wakes_when_the_last_thread_has_packed(|_| {});
}

fn wakes_when_the_last_thread_has_packed(meanwhile: fn(&RecordAccumulator)) {
    let fixture = std::rc::Rc::new(fixture_with(
        2000,
        MS(1000),
        CompressionType::Lz4,
        Magic::V2,
    ));
    fixture.cluster(&[0]);
    let poller = Arc::new(CountingPoller::default());
    let waker = Arc::clone(&fixture.accumulator.waker);
    waker.attach(Arc::clone(&poller) as Arc<dyn WakeUp>);
    let (sender, slept) = (std::rc::Rc::clone(&fixture), Arc::clone(&poller));
    let (mut number, has_slept) = (0, std::rc::Rc::new(std::cell::Cell::new(false)));
    while !has_slept.get() {
        let (sender, slept) = (std::rc::Rc::clone(&sender), Arc::clone(&slept));
        let sleeps = std::rc::Rc::clone(&has_slept);
        if number > 0 {
            held_up::once(move || {
                sleeps.set(true);
                meanwhile(&sender.accumulator);
                assert!(sender.accumulator.is_packing());
                sender.accumulator.waker.wake_up();
                assert!(sender.accumulator.waker.fall_asleep(Deadline::Never));
                slept.0.store(0, Ordering::SeqCst);
            });
        }
        let _ = try_append(&fixture, 0, &value(number));
        number += 1;
    }
    assert!(!fixture.accumulator.is_packing());
    assert_eq!(poller.0.load(Ordering::SeqCst), 1);
}
