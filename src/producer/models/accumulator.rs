//! Closing the accumulator concurrently with an append, for a sender that is otherwise idle.

use std::sync::Arc;

use loom::thread;

use super::check;
use super::rig::{HOUR, Rig, Setup, record};
use crate::compress::CompressionType;
use crate::planted::Defect;
use crate::producer::accumulator::{Drainer, DrainerOptions};
use crate::producer::sender::has_queued_batches;

/// Closes the accumulator concurrently with a `try_send`, and then checks twice for queued batches, as a sender does
/// before it ends.
///
/// The first record only creates the partition's queue: its batch is drained before.
fn close_concurrently_with_a_send(codec: CompressionType) {
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
    let sender_ends = thread::spawn(move || {
        accumulator.close();
        // The result of the first check is ignored: while a batch is being packed, a sender goes on and checks again.
        has_queued_batches(&accumulator, &mut drainer, now);
        !has_queued_batches(&accumulator, &mut drainer, now)
    });
    let is_taken = rig.producer.try_send(record(0)).is_ok();
    let sender_ends = sender_ends.join().unwrap();
    assert!(
        !is_taken || !sender_ends,
        "the sender ends although a record is queued"
    );
    rig.shared.control.force();
    rig.sender.run();
}

#[test]
fn a_sender_that_ends_leaves_no_accepted_record_queued() {
    let defects = [Defect::CloseForgetsQueues, Defect::AnnouncesLate];
    check(4, &defects, || {
        close_concurrently_with_a_send(CompressionType::None)
    });
}

#[test]
fn a_sender_that_ends_leaves_no_batch_that_is_being_packed() {
    let defects = [Defect::CloseForgetsQueues, Defect::PackedBeforeSignalled];
    check(3, &defects, || {
        close_concurrently_with_a_send(CompressionType::Lz4)
    });
}
