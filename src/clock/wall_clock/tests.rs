use std::cell::Cell;

use super::*;

const MS: i64 = 1_000_000;
/// Ticks per nanosecond, times 1,000.
const TICKS: u64 = 2_595;

/// A world in which each reading of a clock takes some time, and sometimes an interruption comes before it.
#[derive(Debug)]
struct World {
    nanos: Cell<u64>,
    /// The difference between the wall clock and the clock that stands still during sleep.
    wall_offset: Cell<i64>,
    tick_offset: Cell<i64>,
    /// The time that the computer has slept.
    slept: Cell<u64>,
    random: Cell<u64>,
    interrupts: bool,
    readings: Cell<u64>,
}

impl World {
    fn new(interrupts: bool) -> Self {
        Self {
            nanos: Cell::new(5_000_000_123),
            wall_offset: Cell::new(1_700_000_000_000_000_000),
            tick_offset: Cell::new(77_000_000_000),
            slept: Cell::new(0),
            random: Cell::new(1),
            interrupts,
            readings: Cell::new(0),
        }
    }

    fn draw(&self) -> u64 {
        let mut rng = fastrand::Rng::with_seed(self.random.get());
        let drawn = rng.u64(..);
        self.random.set(self.random.get() + 1);
        drawn
    }

    fn pass(&self) {
        let interruption = if self.interrupts && self.draw() % 50 == 0 {
            self.draw() % 8_000_000
        } else {
            0
        };
        self.forward(20 + interruption);
    }

    fn forward(&self, nanos: u64) {
        self.nanos.set(self.nanos.get() + nanos);
    }

    fn wall(&self) -> i64 {
        self.nanos.get() as i64 + self.wall_offset.get()
    }
}

impl TimeSources for &World {
    fn ticks(&self) -> u64 {
        self.pass();
        let counted = (self.nanos.get() + self.slept.get()) * TICKS / 1_000;
        counted.wrapping_add_signed(self.tick_offset.get())
    }

    fn wall_nanos(&self) -> i64 {
        self.pass();
        self.readings.set(self.readings.get() + 1);
        self.wall()
    }

    fn nanos_since_boot(&self) -> u64 {
        self.pass();
        self.nanos.get() + self.slept.get()
    }
}

/// Reads the clock once and checks the result against the system's clock.
fn check(clock: &WallClock<&World>, world: &World) {
    let before = world.wall();
    let ms = clock.ms();
    let after = world.wall();
    // The millisecond of the reading ends at `(ms + 1) * MS`.
    assert!(before - MS < (ms + 1) * MS, "behind: {ms} at {before}");
    assert!(ms * MS <= after, "ahead: {ms} at {after}");
}

#[test]
fn a_reading_is_never_ahead_and_less_than_a_millisecond_behind() {
    let world = World::new(true);
    let clock = WallClock::new(&world);
    for _ in 0..200_000 {
        check(&clock, &world);
        world.forward(world.draw() % 2_000);
    }
}

#[test]
fn without_interruptions_the_reading_is_exact_and_the_system_is_read_about_once_in_a_millisecond() {
    let world = World::new(false);
    let clock = WallClock::new(&world);
    // The frequency is known after two measurements.
    for _ in 0..30_000 {
        clock.ms();
        world.forward(1_000);
    }
    world.readings.set(0);
    let begun = world.nanos.get();
    for _ in 0..1_000_000 {
        let (before, ms) = (world.wall(), clock.ms());
        assert!(before.div_euclid(MS) <= ms && ms <= world.wall().div_euclid(MS));
        world.forward(180);
    }
    let took_ms = (world.nanos.get() - begun) / NANOS_PER_MS as u64;
    let readings = world.readings.get();
    assert!(
        (took_ms..took_ms * 11 / 10).contains(&readings),
        "{readings} readings in {took_ms} ms"
    );
}

#[test]
fn a_wall_clock_that_is_set_either_way_is_followed_within_a_millisecond() {
    let world = World::new(true);
    let clock = WallClock::new(&world);
    for round in 0..3_000 {
        for _ in 0..20 {
            clock.ms();
            world.forward(world.draw() % 100_000);
        }
        let step = (world.draw() % 10_000_000_000) as i64;
        let step = if round % 2 == 0 { step } else { -step };
        world.wall_offset.set(world.wall_offset.get() + step);
        world.forward(NANOS_PER_MS as u64);
        check(&clock, &world);
    }
}

#[test]
fn a_counter_that_jumps_by_seconds_makes_no_reading_wrong() {
    let world = World::new(true);
    let clock = WallClock::new(&world);
    for round in 0..2_000 {
        for _ in 0..100 {
            check(&clock, &world);
            world.forward(world.draw() % 500_000);
        }
        let jump = (world.draw() % 10_000_000_000) as i64;
        let jump = if round % 2 == 0 { jump } else { -jump };
        world.tick_offset.set(world.tick_offset.get() + jump);
    }
}

#[test]
fn a_computer_that_sleeps_makes_no_reading_wrong() {
    let world = World::new(true);
    let clock = WallClock::new(&world);
    for _ in 0..1_000 {
        for _ in 0..200 {
            check(&clock, &world);
            world.forward(world.draw() % 500_000);
        }
        // The wall clock goes on during the sleep, as the counter does.
        let slept = world.draw() % 3_600_000_000_000;
        world.slept.set(world.slept.get() + slept);
        world
            .wall_offset
            .set(world.wall_offset.get() + slept as i64);
    }
}

/// Regression: two measurements that contained a sleep made a reading hold for seconds.
#[test]
fn a_computer_that_wakes_now_and_then_makes_no_reading_wrong() {
    let world = World::new(false);
    let clock = WallClock::new(&world);
    for _ in 0..100 {
        for _ in 0..10 {
            check(&clock, &world);
            world.forward(200_000);
        }
        let slept = 3_600_000_000_000;
        world.slept.set(world.slept.get() + slept);
        world
            .wall_offset
            .set(world.wall_offset.get() + slept as i64);
    }
}

/// The counter is set forward in each measurement, by another time.
#[test]
fn a_frequency_that_is_not_certain_is_not_used() {
    let world = World::new(false);
    let clock = WallClock::new(&world);
    for jumps in 1..100 {
        for _ in 0..10 {
            check(&clock, &world);
            world.forward(1_500_000);
        }
        let jump = 1_000_000_000 * (1 + jumps % 7);
        world.tick_offset.set(world.tick_offset.get() + jump);
    }
}

#[test]
fn before_the_epoch_the_reading_is_rounded_down() {
    let world = World::new(false);
    world.wall_offset.set(-(world.nanos.get() as i64) - MS * 10);
    let clock = WallClock::new(&world);
    for _ in 0..100_000 {
        check(&clock, &world);
        world.forward(100);
    }
}
