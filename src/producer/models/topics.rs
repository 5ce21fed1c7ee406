//! The topics that can be sent to, while they change: a partition has one queue, and a thread does not go on with
//! what it remembers.

use std::sync::Arc;

use loom::thread;

use super::check;
use super::rig::{HOUR, Rig, Setup, TOPIC, record, show_topic};
use crate::planted::Defect;
use crate::producer::accumulator::PartitionEntry;
use crate::producer::sender::SenderShared;

/// The queue of a partition, made if this is the first record for it.
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
fn a_partition_has_one_queue_whoever_needs_it_first_and_while_its_topic_grows() {
    check(3, &[Defect::QueueMadeTwice], || {
        let rig = Rig::new(Setup::default());
        let threads = [(); 2].map(|()| {
            let shared = rig.shared.clone();
            thread::spawn(move || queue(&shared, 1))
        });
        show_topic(&rig.shared.metadata, 3, rig.shared.clock.now());
        let now = queue(&rig.shared, 1);
        for thread in threads {
            assert!(Arc::ptr_eq(&thread.join().unwrap(), &now));
        }
        end(rig);
    });
}

/// A thread that sent to the topic, and so remembers it, sends again: once it has seen the version of a picture
/// without its partition it does not find that.
#[test]
fn who_has_seen_a_picture_sends_to_its_topics_and_not_to_those_it_remembers() {
    check(
        3,
        &[Defect::SnapshotStays, Defect::VersionBeforeTopics],
        || {
            // The second has room in the batch of the first.
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
            show_topic(&rig.shared.metadata, 1, rig.shared.clock.now());
            drop(sends.join().unwrap());
            end(rig);
        },
    );
}
