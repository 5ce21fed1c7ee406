//! Closing the accumulator beside an append, as a sender sees it that has nothing else to do.

use std::sync::Arc;

use loom::thread;

use super::check;
use super::rig::{HOUR, Rig, Setup, record};
use crate::compress::CompressionType;
use crate::planted::Defect;
use crate::producer::accumulator::{Drainer, DrainerOptions};
use crate::producer::sender::has_queued_batches;

/// Closes beside a send, and then looks twice, as a sender does that ends when it finds nothing.
///
/// What the first record left is drained before; a second that is drained with it has been found.
fn close_beside_a_send(codec: CompressionType) {
    let rig = Rig::new(Setup {
        codec,
        linger: HOUR,
        ..Setup::default()
    });
    drop(rig.producer.send(record(0)).unwrap());
    let mut drainer = Drainer::new(DrainerOptions {
        linger: HOUR,
        delivery_timeout: HOUR,
    });
    let now = rig.shared.clock.now();
    drainer.take_all(&rig.shared.accumulator, now, &mut Vec::new());
    let accumulator = Arc::clone(&rig.shared.accumulator);
    let ends = thread::spawn(move || {
        accumulator.close();
        // What is being packed keeps it from ending.
        has_queued_batches(&accumulator, &mut drainer, now);
        !has_queued_batches(&accumulator, &mut drainer, now)
    });
    let is_taken = rig.producer.try_send(record(0)).is_ok();
    let ends = ends.join().unwrap();
    assert!(!is_taken || !ends, "the sender ends, and a record is left");
    rig.shared.control.force();
    rig.sender.run();
}

#[test]
fn a_sender_that_ends_leaves_no_record_that_was_taken() {
    let defects = [Defect::CloseForgetsQueues, Defect::AnnouncesLate];
    check(4, &defects, || close_beside_a_send(CompressionType::None));
}

#[test]
fn a_sender_that_ends_leaves_no_batch_that_was_being_packed() {
    let defects = [Defect::CloseForgetsQueues, Defect::PackedBeforeSignalled];
    check(3, &defects, || close_beside_a_send(CompressionType::Lz4));
}
