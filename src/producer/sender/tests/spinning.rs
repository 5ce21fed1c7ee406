//! A sender that spins: its steps do all that others do.

use super::*;
use crate::producer::sender::Sleep;

/// A sender that has sent records and got answers at short intervals, so that it spins.
fn spinning(setup: Setup) -> Rig {
    let mut rig = setup.start();
    rig.sender.spin = Some(Spin::new());
    for base in 0..3 {
        let future = rig.launch(0, "v");
        rig.respond(ErrorCode::NoError, base);
        assert_eq!(offset(&future), Some(base));
    }
    assert_eq!(rig.sender.begin_step(), Sleep::No, "it spins");
    rig
}

/// Steps, a microsecond each, until the sender falls asleep.
fn steps_until_asleep(rig: &mut Rig) -> u64 {
    for steps in 0..1_000 {
        let sleep = rig.sender.begin_step();
        if sleep != Sleep::No {
            return steps;
        }
        rig.sender.poll(sleep);
        rig.sender.end_step();
        rig.advance(Duration::from_micros(1));
        rig.sender.polled_at = rig.now();
    }
    panic!("it does not fall asleep");
}

#[test]
fn a_sender_falls_asleep_after_fifty_microseconds_without_work() {
    let mut rig = spinning(Setup::default());
    let steps = steps_until_asleep(&mut rig);
    assert!((40..=50).contains(&steps), "{steps}");
}

#[test]
fn a_record_that_comes_while_the_sender_spins_is_sent_without_waking_it() {
    let mut rig = spinning(Setup::default());
    rig.advance(Duration::from_micros(10));
    let future = rig.launch(0, "v");
    rig.respond(ErrorCode::NoError, 3);
    assert_eq!(offset(&future), Some(3));
}

#[test]
fn a_batch_whose_linger_ends_while_the_sender_spins_is_sent() {
    let linger = Duration::from_micros(20);
    let mut rig = spinning(Setup::default());
    rig.sender.options.linger = linger;
    let future = rig.send(0, "v");
    for _ in 0..30 {
        rig.run();
        rig.advance(Duration::from_micros(1));
    }
    rig.respond(ErrorCode::NoError, 3);
    assert_eq!(offset(&future), Some(3));
}

#[test]
fn a_close_ends_a_sender_that_spins() {
    for forced in [false, true] {
        let rig = spinning(Setup::default());
        rig.shared.accumulator.close();
        if forced {
            rig.shared.control.force();
        } else {
            rig.shared.control.close();
        }
        let Rig { sender, shared, .. } = rig;
        sender.run();
        assert_eq!(shared.control.undelivered(), 0);
    }
}
