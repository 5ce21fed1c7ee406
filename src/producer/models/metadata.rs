//! Metadata: who waits for a newer picture gets it, or learns why not.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use super::check;
use super::rig::{Rig, Setup, TOPIC, show_topic};
use crate::planted::Defect;
use crate::producer::metadata::{Lookout, ProducerMetadata};
use crate::producer::waiting::{Event, Nap};

fn rig() -> Rig {
    Rig::new(Setup {
        asks_for_topic: true,
        ..Setup::default()
    })
}

/// Waits for the next picture, as a call does.
fn wait_for_update(metadata: &ProducerMetadata) -> Lookout {
    let start = metadata.begin_wait();
    let awaited = metadata.update_after(metadata.request_update(), start);
    loop {
        match awaited.look() {
            Lookout::Same => awaited.sleep(Nap::of(Duration::MAX)),
            end => return end,
        }
    }
}

#[test]
fn everybody_who_waits_for_metadata_learns_of_it_or_that_the_producer_is_closed() {
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
        let updates = thread::spawn(move || show_topic(&metadata, 1, now));
        rig.shared.metadata.close();
        for waiter in waiters {
            let end = waiter.join().unwrap();
            assert!(matches!(end, Lookout::Newer | Lookout::Closed), "{end:?}");
        }
        updates.join().unwrap();
        rig.shared.control.force();
        rig.sender.run();
    });
}

/// Whoever sees a version sees the picture and the topics that it is of.
#[test]
fn a_version_is_shown_after_its_picture_and_its_topics() {
    check(4, &[Defect::VersionBeforeTopics], || {
        let rig = rig();
        let shared = rig.shared.clone();
        shared.metadata.add_topic(&TOPIC.into(), shared.clock.now());
        let before = shared.metadata.update_version();
        let looks = thread::spawn(move || {
            if shared.metadata.update_version() != before {
                assert_eq!(shared.metadata.cluster().partition_count(TOPIC), Some(1));
                assert!(shared.accumulator.topics().get(TOPIC).is_some());
            }
        });
        show_topic(&rig.shared.metadata, 1, rig.shared.clock.now());
        looks.join().unwrap();
        rig.shared.control.force();
        rig.sender.run();
    });
}
