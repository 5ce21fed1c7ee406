mod packing;
mod topics;

use bytes::Bytes;

use super::flush::Flushing;
use super::topics::PartitionSlot;
use super::*;
use crate::client::metadata::ChangedTopics;
use crate::clock::mock::MockClock;
use crate::clock::{Clock, Deadline, Instant};
use crate::network::selectable::WakeUp;
use crate::producer::future::{FutureRecordMetadata, RecordInBatch};
use crate::producer::instance::Instance;
use crate::producer::metadata::ClusterObserver;
use crate::producer::partitioner::RandomSource;
use crate::producer::produce_request_result::FutureId;
use crate::producer::record_metadata::RecordFacts;
use crate::record::builder::batch_size_upper_bound;
use crate::record::header::Headers;
use crate::types::{Cluster, Node, PartitionInfo, TopicPartition};

pub(super) const MS: fn(u64) -> Duration = Duration::from_millis;

pub(super) struct Fixture {
    pub(super) clock: Arc<MockClock>,
    pub(super) accumulator: RecordAccumulator,
}

/// An accumulator without topics.
pub(super) fn fixture(batch_size_bytes: usize, linger: Duration) -> Fixture {
    fixture_with(batch_size_bytes, linger, CompressionType::None, Magic::V2)
}

pub(super) fn fixture_with(
    batch_size_bytes: usize,
    linger: Duration,
    codec: CompressionType,
    magic: Magic,
) -> Fixture {
    let format = AccumulatorFormat {
        usable_magic: Arc::new(UsableMagic::new()),
        packer: Arc::new(Packer::of(codec)),
    };
    format.usable_magic.store(magic);
    let clock = Arc::new(MockClock::new());
    let accumulator = RecordAccumulator::new(
        AccumulatorOptions {
            batch_size_bytes,
            linger,
            track_all: false,
            is_transactional: false,
        },
        format,
        Instance::on_clock(Arc::clone(&clock) as Arc<dyn Clock>),
        BufferPool::new(1 << 22, batch_size_bytes.max(1)),
        Arc::new(SenderWaker::new()),
        Arc::default(),
    );
    Fixture { clock, accumulator }
}

impl Fixture {
    /// Publishes a cluster snapshot to the accumulator: topic "t" with one partition for each of these leaders, -1 for
    /// none.
    pub(super) fn cluster(&self, leaders: &[i32]) -> Cluster {
        let nodes = vec![Node::new(0, "a", 1), Node::new(1, "b", 1)];
        let info = |(number, leader): (i32, &i32)| {
            let leader = nodes.iter().find(|node| node.id() == *leader).cloned();
            PartitionInfo::new(TopicPartition::new("t", number), leader)
        };
        let partitions = (0..).zip(leaders).map(info).collect();
        let cluster = Cluster::new(nodes.clone(), partitions);
        self.accumulator
            .on_cluster(&Arc::new(cluster.clone()), &ChangedTopics::All);
        cluster
    }

    fn topic(&self) -> Arc<TopicEntry> {
        Arc::clone(self.accumulator.topics().get("t").unwrap())
    }
}

pub(super) fn append(fixture: &Fixture, partition: i32, value: &str) -> FutureRecordMetadata {
    match try_append(fixture, partition, value) {
        Append::Done(PlaceInBatch { result, index }) => {
            FutureRecordMetadata::pending(RecordInBatch {
                result,
                id: FutureId::first(index),
                facts: RecordFacts {
                    timestamp_ms: 0,
                    key_size: -1,
                    value_size: value.len() as i32,
                },
            })
        }
        other => panic!("not appended: {other:?}"),
    }
}

fn try_append(fixture: &Fixture, partition: i32, value: &str) -> Append {
    let accumulator = &fixture.accumulator;
    let topic = fixture.topic();
    let entry = accumulator.partition(&topic, partition).unwrap();
    let headers = Headers::new();
    let record = RecordParts {
        key: None,
        value: Some(value.as_bytes()),
        headers: headers.as_slice(),
        timestamp_ms: 0,
    };
    let payload = record.payload_len();
    match accumulator.try_append::<AnyCallback>(AnyTransaction, entry, &record, payload, None) {
        Append::NeedsBatch => {
            let size = accumulator.allocation_for(batch_size_upper_bound(payload));
            match accumulator.pool().try_allocate(size) {
                Ok(lease) => {
                    let magic = accumulator.format.usable_magic.load();
                    accumulator.append_new(
                        TransactionNumber::NONE,
                        entry,
                        &record,
                        None,
                        lease,
                        magic,
                    )
                }
                Err(_) => Append::Closed,
            }
        }
        other => other,
    }
}

/// Java: RecordAccumulatorTest#testFull
#[test]
fn a_batch_takes_records_until_one_does_not_fit() {
    let fixture = fixture(200, MS(1000));
    fixture.cluster(&[0]);
    let mut appended = 0;
    while fixture.accumulator.queued_batches() < 2 {
        let _future = append(&fixture, 0, "0123456789");
        appended += 1;
    }
    // 61 bytes of header, and 17 for each record.
    assert_eq!(appended, (200 - 61) / 17 + 1);
    let mut inbox = Vec::new();
    fixture.accumulator.swap_inbox(&mut inbox);
    assert_eq!(
        inbox.len(),
        1,
        "a partition is signalled once until the sender reads it"
    );
    assert!(inbox[0].head().unwrap().is_full);
}

/// Java: RecordAccumulatorTest#testAppendLargeNonCompressed
#[test]
fn a_record_larger_than_batch_size_gets_a_batch_of_its_own() {
    let fixture = fixture(100, MS(1000));
    fixture.cluster(&[0]);
    let _large = append(&fixture, 0, &"x".repeat(1000));
    let _small = append(&fixture, 0, "x");
    assert_eq!(fixture.accumulator.queued_batches(), 2);
}

#[test]
fn ids_and_creation_times_of_a_queues_batches_increase_across_threads() {
    let fixture = fixture(0, Duration::ZERO);
    fixture.cluster(&[0]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let _future = append(&fixture, 0, "v");
                }
            });
        }
    });
    let entry = Arc::clone(fixture.accumulator.partition(&fixture.topic(), 0).unwrap());
    let mut numbers = Vec::new();
    while let entry::Popped::Batch { batch, .. } = entry.pop(|_| true) {
        numbers.push(crate::producer::batch::SealedBatch::seal(batch).id());
    }
    assert_eq!(numbers.len(), 4000);
    assert!(numbers.is_sorted());
}

/// Java: RecordAccumulatorTest#testFlush, #testAwaitFlushComplete
#[test]
fn a_flush_makes_all_batches_due_and_counts_the_incomplete_ones() {
    let fixture = fixture(1000, MS(1000));
    fixture.cluster(&[0, 0]);
    let nothing_to_wait_for = fixture.accumulator.flush(None).stepped();
    assert_eq!(nothing_to_wait_for, Some(Ok(())));
    let _futures = [append(&fixture, 0, "a"), append(&fixture, 1, "b")];
    assert!(!fixture.accumulator.sends_everything());
    let mut flush = fixture.accumulator.flush(Some(MS(1)));
    assert!(!fixture.accumulator.sends_everything(), "it has not begun");
    assert_eq!(flush.stepped(), None);
    assert!(fixture.accumulator.sends_everything());
    fixture.clock.advance(MS(1));
    assert_eq!(flush.stepped(), Some(Err(2)));
    drop(flush);
    let accumulator = &fixture.accumulator;
    assert!(
        accumulator.sends_everything(),
        "the batches of a flush that timed out stay due"
    );
    let _younger = append(&fixture, 1, &"c".repeat(995));
    accumulator.forget(BatchId::new(0), None);
    assert!(accumulator.sends_everything());
    accumulator.forget(BatchId::new(1), None);
    assert!(!accumulator.sends_everything(), "later batches linger");
    let mut none = accumulator.flush(Some(MS(0)));
    assert_eq!(none.stepped(), Some(Err(1)));
    drop(none);
    assert!(accumulator.sends_everything());
}

/// A closed accumulator refuses records (RA-36), also for a partition whose open batch has room (RA-3), and for a
/// partition that metadata lists only later.
#[test]
fn a_closed_accumulator_refuses_records_also_for_partitions_that_appear_later() {
    let fixture = fixture(1000, MS(1000));
    fixture.cluster(&[0]);
    let _future = append(&fixture, 0, "a");
    fixture.accumulator.close();
    fixture.cluster(&[0, 0]);
    for partition in [0, 1] {
        assert!(matches!(
            try_append(&fixture, partition, "b"),
            Append::Closed
        ));
    }
    assert!(fixture.accumulator.sends_everything());
}

/// The memory of a partition without records: its `PartitionInfo` in the cluster snapshot, its slot, its number in the
/// list of partitions with a leader, and its leader epoch.
#[test]
fn a_partition_that_is_not_sent_to_takes_little_memory() {
    assert!(size_of::<PartitionInfo>() <= 64);
    assert!(size_of::<PartitionSlot>() <= 16);
    // Nodes of a `BTreeMap` that is filled in order are half full.
    let epoch = 2 * size_of::<(PartitionId, i32)>() + size_of::<usize>();
    let all =
        size_of::<PartitionInfo>() + size_of::<PartitionSlot>() + size_of::<PartitionId>() + epoch;
    assert!(all <= 128, "{all} bytes");
}

#[test]
fn a_partition_has_no_entry_before_its_first_record() {
    let fixture = fixture(1000, MS(1000));
    fixture.cluster(&[0; 1000]);
    assert!(fixture.accumulator.all_entries().is_empty());
    assert!(fixture.topic().has_partition(999));
    assert!(!fixture.topic().has_partition(1000));
    let _futures = [7, 7, 3].map(|partition| append(&fixture, partition, "a"));
    let entries = fixture.accumulator.all_entries();
    let numbers =
        |entry: &Arc<PartitionEntry>| (entry.index(), entry.topic_partition().partition());
    assert_eq!(
        entries.iter().map(numbers).collect::<Vec<_>>(),
        [(1, 3), (0, 7)]
    );
}

/// The number of partitions changes with each snapshot, and threads may use the topic's entry of any snapshot.
#[test]
fn a_partition_keeps_its_entry_when_its_topic_is_deleted_and_recreated() {
    let fixture = fixture(1000, MS(1000));
    let accumulator = &fixture.accumulator;
    let topics = [2, 4, 1, 3, 4].map(|partitions| {
        fixture.cluster(&vec![0; partitions]);
        fixture.topic()
    });
    let in_each = |partition| {
        let known = topics.iter().filter_map(move |topic| {
            let entry = accumulator.partition(topic, partition)?;
            Some(Arc::as_ptr(entry))
        });
        known.collect::<Vec<_>>()
    };
    for (partition, snapshots) in [(0, 5), (1, 4), (2, 3), (3, 2), (4, 0), (-1, 0)] {
        let entries = in_each(partition);
        assert_eq!(entries.len(), snapshots, "partition {partition}");
        assert!(entries.windows(2).all(|two| two[0] == two[1]));
    }
    assert_eq!(accumulator.all_entries().len(), 4);
    fixture.cluster(&[0; 5]);
    let again = Arc::as_ptr(accumulator.partition(&fixture.topic(), 1).unwrap());
    assert_eq!(in_each(1)[0], again, "a topic that grows keeps its entries");
}

#[test]
fn threads_that_send_the_first_record_of_a_partition_find_one_entry() {
    let fixture = fixture(1 << 14, MS(1000));
    fixture.cluster(&[0; 64]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for partition in 0..64 {
                    let _future = append(&fixture, partition, "v");
                }
            });
        }
        for partitions in 65..100 {
            fixture.cluster(&vec![0; partitions]);
        }
    });
    let entries = fixture.accumulator.all_entries();
    assert_eq!(entries.len(), 64);
    assert!(entries.iter().all(|entry| entry.len() == 1));
    let mut indices: Vec<_> = entries.iter().map(|entry| entry.index()).collect();
    indices.sort_unstable();
    assert!((0..64).eq(indices));
}

/// The queue of a partition is created with its first record. If the accumulator is closed already, the queue is
/// closed, too (RA-36).
#[test]
fn the_first_record_of_a_partition_is_refused_after_closing() {
    let fixture = fixture(1000, MS(1000));
    fixture.cluster(&[0, 0]);
    let before = fixture.topic();
    fixture.accumulator.close();
    let entry = fixture.accumulator.partition(&before, 1).unwrap();
    assert_eq!(entry.state(), QueueState::Closed);
    assert!(matches!(try_append(&fixture, 0, "b"), Append::Closed));
}

/// Java: StickyPartitionCacheTest#testStickyPartitionCache, #unavailablePartitionsTest (PT-4, PT-5)
#[test]
fn the_sticky_partition_changes_only_when_it_is_left_and_only_to_one_with_a_leader() {
    let fixture = fixture(1000, MS(1000));
    let random = RandomSource::new(3);
    fixture.cluster(&[0, -1, 1]);
    let topic = fixture.topic();
    let mut current = topic.sticky_partition(&random);
    for _ in 0..20 {
        assert_eq!(topic.sticky_partition(&random), current);
        topic.leave_sticky(1, &random);
        assert_eq!(
            topic.sticky_partition(&random),
            current,
            "only the sticky one is left"
        );
        topic.leave_sticky(current, &random);
        let next = topic.sticky_partition(&random);
        assert_eq!(next, 2 - current, "the other one with a leader");
        current = next;
    }
    // A new snapshot keeps the sticky partition.
    fixture.cluster(&[0, 0, 1]);
    assert_eq!(fixture.topic().sticky_partition(&random), current);
}

#[derive(Debug, Default)]
struct CountingPoller(AtomicUsize);

impl WakeUp for CountingPoller {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A sender that has read its inbox and sleeps until the lingering batch of partition 0 is due.
fn asleep_beside_a_lingering_batch() -> (Fixture, Arc<CountingPoller>) {
    let fixture = fixture(200, MS(5000));
    fixture.cluster(&[0, 0]);
    let poller = Arc::new(CountingPoller::default());
    let waker = &fixture.accumulator.waker;
    waker.attach(Arc::clone(&poller) as Arc<dyn WakeUp>);
    let _lingering = append(&fixture, 0, "lingers");
    look_and_sleep(&fixture, MS(5000));
    poller.0.store(0, Ordering::SeqCst);
    (fixture, poller)
}

/// One iteration of the sender, from the end of a poll to the beginning of the next.
fn look_and_sleep(fixture: &Fixture, until: Duration) {
    let waker = &fixture.accumulator.waker;
    waker.wake_up();
    let mut inbox = Vec::new();
    fixture.accumulator.swap_inbox(&mut inbox);
    for entry in inbox {
        entry.leave_inbox();
        let _ = entry.head();
    }
    assert!(waker.fall_asleep(Deadline::At(fixture.clock.now() + until)));
}

#[test]
fn a_full_batch_wakes_a_sender_that_sleeps_until_another_batch_is_due() {
    let (fixture, poller) = asleep_beside_a_lingering_batch();
    fixture.clock.advance(MS(1));
    let _opened = append(&fixture, 1, "v");
    assert_eq!(
        poller.0.load(Ordering::SeqCst),
        0,
        "it is not due before the sender wakes"
    );
    let _filled = append(&fixture, 1, &"x".repeat(200));
    assert_eq!(poller.0.load(Ordering::SeqCst), 1);
    // The next full batch wakes the sender again, although the queue has a full batch that the sender has seen already.
    look_and_sleep(&fixture, MS(5000));
    let _next = append(&fixture, 1, &"x".repeat(200));
    assert_eq!(poller.0.load(Ordering::SeqCst), 2);
}

#[test]
fn a_new_batch_wakes_the_sender_during_a_flush_or_while_a_thread_waits_for_memory() {
    // No batch lingers during a flush, or while a thread waits for memory.
    let (flushing, poller) = asleep_beside_a_lingering_batch();
    flushing.clock.advance(MS(1));
    let flush = Flushing::begin(&flushing.accumulator.flushes);
    let _opened = append(&flushing, 1, "v");
    assert_eq!(poller.0.load(Ordering::SeqCst), 1);
    drop(flush);

    let (short_of_memory, poller) = asleep_beside_a_lingering_batch();
    short_of_memory.clock.advance(MS(1));
    let waiter = short_of_memory.accumulator.pool().enqueue(1 << 22).unwrap();
    let _opened = append(&short_of_memory, 1, "v");
    assert_eq!(poller.0.load(Ordering::SeqCst), 1);
    drop(waiter);
}

#[test]
fn the_partition_of_an_incomplete_batch_is_in_the_inbox_before_the_sender_is_woken() {
    let fixture = std::rc::Rc::new(fixture(200, MS(5000)));
    fixture.cluster(&[0]);
    let seen = std::rc::Rc::new(std::cell::Cell::new((0, 0)));
    let (sender, found) = (std::rc::Rc::clone(&fixture), std::rc::Rc::clone(&seen));
    held_up::once(move || {
        let mut inbox = Vec::new();
        sender.accumulator.swap_inbox(&mut inbox);
        found.set((sender.accumulator.incomplete_count(), inbox.len()));
    });
    let _future = append(&fixture, 0, "v");
    assert_eq!(seen.get(), (1, 1));
}
