//! Metadata: a thread that waits for an update gets it, or is woken when the producer is closed.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use super::check;
use super::rig::{Rig, Setup, TOPIC, update_topic};
use crate::planted::Defect;
use crate::producer::metadata::{ProducerMetadata, UpdateCheck};
use crate::producer::waiting::{Event, SleepPermit};

fn rig() -> Rig {
    Rig::new(Setup {
        asks_for_topic: true,
        ..Setup::default()
    })
}

/// Waits for the next cluster snapshot, as `send` does.
fn wait_for_update(metadata: &ProducerMetadata) -> UpdateCheck {
    let start = metadata.begin_wait();
    let awaited = metadata.update_after(metadata.request_update(), start);
    loop {
        match awaited.look() {
            UpdateCheck::Same => awaited.sleep(SleepPermit::of(Duration::MAX)),
            result => return result,
        }
    }
}

#[test]
fn every_thread_that_waits_for_metadata_is_woken_by_an_update_or_a_close() {
    let defects = [
        Defect::MetadataLooksUnlocked,
        Defect::CloseLeavesMetadataWaiters,
    ];
    check(3, &defects, || {
        let rig = rig();
        let waiters = [(); 2].map(|()| {
            let metadata = Arc::clone(&rig.shared.metadata);
            thread::spawn(move || wait_for_update(&metadata))
        });
        let metadata = Arc::clone(&rig.shared.metadata);
        let now = rig.shared.clock.now();
        let updates = thread::spawn(move || update_topic(&metadata, 1, now));
        rig.shared.metadata.close();
        for waiter in waiters {
            let result = waiter.join().unwrap();
            let is_expected = matches!(result, UpdateCheck::Newer | UpdateCheck::Closed);
            assert!(is_expected, "{result:?}");
        }
        updates.join().unwrap();
        rig.shared.control.force();
        rig.sender.run();
    });
}

/// A thread that sees a version also sees the snapshot and the topic map of that version.
#[test]
fn a_version_is_published_after_its_snapshot_and_its_topic_map() {
    check(4, &[Defect::VersionBeforeTopics], || {
        let rig = rig();
        let shared = rig.shared.clone();
        shared.metadata.add_topic(&TOPIC.into(), shared.clock.now());
        let before = shared.metadata.update_version();
        let reader = thread::spawn(move || {
            if shared.metadata.update_version() != before {
                assert_eq!(shared.metadata.cluster().partition_count(TOPIC), Some(1));
                assert!(shared.accumulator.topics().get(TOPIC).is_some());
            }
        });
        update_topic(&rig.shared.metadata, 1, rig.shared.clock.now());
        reader.join().unwrap();
        rig.shared.control.force();
        rig.sender.run();
    });
}
