//! Sending with a whole producer: every record is sent once, and no wake-up is lost.

use std::sync::Arc;

use loom::thread;

use super::check;
use super::rig::{HOUR, Rig, Setup, TOPIC, record};
use crate::planted::Defect;

/// An idle sender sleeps without a time-out.
#[test]
fn records_of_two_threads_wake_a_sleeping_sender_and_are_sent() {
    let defects = [
        Defect::WakesOnlySleepers,
        Defect::NotifiedSenderSleeps,
        Defect::LeavesInboxLate,
        Defect::WakesBeforeAnnouncing,
    ];
    check(2, &defects, || {
        let mut rig = Rig::new(Setup::default());
        let threads = [(); 2].map(|()| {
            let producer = Arc::clone(&rig.producer);
            thread::spawn(move || producer.send(record(0)).unwrap())
        });
        while rig.shared.counters.snapshot().records_acknowledged < 2 {
            rig.sender.step();
        }
        for thread in threads {
            assert!(thread.join().unwrap().is_done());
        }
        rig.shared.control.force();
        rig.sender.run();
    });
}

/// There is memory for one batch, and batches linger. A thread that waits for memory makes the batch due.
#[test]
fn a_thread_that_waits_for_memory_gets_the_memory_of_a_lingering_batch() {
    let defects = [Defect::MemoryWaiterNotWoken, Defect::WakesOnlySleepers];
    check(2, &defects, || {
        let mut rig = Rig::new(Setup {
            linger: HOUR,
            batch_size: 200,
            memory: 200,
            ..Setup::default()
        });
        let threads = [0, 1].map(|partition| {
            let producer = Arc::clone(&rig.producer);
            thread::spawn(move || producer.send(record(partition)).unwrap())
        });
        while rig.shared.counters.snapshot().records_acknowledged < 1 {
            rig.sender.step();
        }
        for thread in threads {
            drop(thread.join().unwrap());
        }
        rig.shared.control.force();
        rig.sender.run();
        assert_eq!(rig.shared.accumulator.pool().waiting(), 0);
    });
}

#[test]
fn send_and_partitions_for_of_an_unknown_topic_both_get_its_metadata() {
    let defects = [Defect::WaitsPastAnswer, Defect::MetadataLooksUnlocked];
    check(2, &defects, || {
        let mut rig = Rig::new(Setup {
            asks_for_topic: true,
            ..Setup::default()
        });
        let producer = Arc::clone(&rig.producer);
        let sends = thread::spawn(move || producer.send(record(0)).unwrap());
        let producer = Arc::clone(&rig.producer);
        let asks = thread::spawn(move || producer.partitions_for(TOPIC).unwrap().len());
        while rig.shared.counters.snapshot().records_acknowledged < 1 {
            rig.sender.step();
        }
        assert!(sends.join().unwrap().is_done());
        assert_eq!(asks.join().unwrap(), 1);
        rig.shared.control.force();
        rig.sender.run();
    });
}
