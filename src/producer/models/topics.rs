//! Updates of the topic map: a partition has one queue, and a thread does not use a stale cached topic.

use std::sync::Arc;

use loom::thread;

use super::check;
use super::rig::{HOUR, Rig, Setup, TOPIC, record, update_topic};
use crate::planted::Defect;
use crate::producer::accumulator::PartitionEntry;
use crate::producer::sender::SenderShared;

/// The queue of a partition, created if there is none.
fn queue(shared: &SenderShared, partition: i32) -> Arc<PartitionEntry> {
    let topics = shared.accumulator.topics();
    let topic = topics.get(TOPIC).expect("the topic is known");
    let entry = shared.accumulator.partition(topic, partition);
    Arc::clone(entry.expect("a partition"))
}

fn end(rig: Rig) {
    rig.shared.control.force();
    rig.sender.run();
}

#[test]
fn a_partition_has_one_queue_whichever_thread_creates_it_while_partitions_are_added() {
    check(3, &[Defect::QueueMadeTwice], || {
        let rig = Rig::new(Setup::default());
        let threads = [(); 2].map(|()| {
            let shared = rig.shared.clone();
            thread::spawn(move || queue(&shared, 1))
        });
        update_topic(&rig.shared.metadata, 3, rig.shared.clock.now());
        let own = queue(&rig.shared, 1);
        for thread in threads {
            assert!(Arc::ptr_eq(&thread.join().unwrap(), &own));
        }
        end(rig);
    });
}

/// A thread that has cached the topic sends to it again. Once the thread has seen the version of a snapshot without the
/// partition, it does not find the partition.
#[test]
fn a_thread_that_has_seen_a_newer_snapshot_does_not_use_a_cached_topic() {
    check(
        3,
        &[Defect::SnapshotStays, Defect::VersionBeforeTopics],
        || {
            // The second record fits into the batch of the first.
            let rig = Rig::new(Setup {
                linger: HOUR,
                batch_size: 1000,
                ..Setup::default()
            });
            let (shared, producer) = (rig.shared.clone(), Arc::clone(&rig.producer));
            let before = shared.metadata.update_version();
            let sends = thread::spawn(move || {
                let first = producer.try_send(record(1)).ok();
                let is_changed = shared.metadata.update_version() != before;
                let second = producer.try_send(record(1));
                assert!(!is_changed || second.is_err());
                (first, second.ok())
            });
            update_topic(&rig.shared.metadata, 1, rig.shared.clock.now());
            drop(sends.join().unwrap());
            end(rig);
        },
    );
}
