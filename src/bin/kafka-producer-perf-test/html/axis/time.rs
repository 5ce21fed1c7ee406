//! The axis of time.

use super::Tick;

/// A scale of time since the start of the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeScale {
    /// In nanoseconds.
    end: u64,
}

/// The round steps in nanoseconds.
const STEPS: [u64; 31] = {
    const MS: u64 = 1_000_000;
    const S: u64 = 1000 * MS;
    const MIN: u64 = 60 * S;
    const H: u64 = 60 * MIN;
    [
        MS,
        2 * MS,
        5 * MS,
        10 * MS,
        20 * MS,
        50 * MS,
        100 * MS,
        200 * MS,
        500 * MS,
        S,
        2 * S,
        5 * S,
        10 * S,
        20 * S,
        30 * S,
        MIN,
        2 * MIN,
        5 * MIN,
        10 * MIN,
        20 * MIN,
        30 * MIN,
        H,
        2 * H,
        3 * H,
        6 * H,
        12 * H,
        24 * H,
        48 * H,
        96 * H,
        240 * H,
        960 * H,
    ]
};

/// The number of steps from which a narrow screen has room for every other label only.
const CROWDED: u64 = 5;

impl TimeScale {
    pub(crate) fn up_to(end: u64) -> Self {
        Self { end: end.max(1) }
    }

    pub(crate) fn position(self, ns: u64) -> f64 {
        (ns as f64 / self.end as f64).min(1.0)
    }

    /// At most ten ticks.
    pub(crate) fn ticks(self) -> Vec<Tick> {
        let fits = |step: &&u64| self.end / **step < 10;
        let longest = STEPS[STEPS.len() - 1];
        let step = STEPS.iter().find(fits).copied();
        let step = step.unwrap_or_else(|| longest.max(self.end / 9 + 1));
        let count = self.end / step;
        let tick = |index| {
            let label = time_label(index * step, step);
            let is_optional = count >= CROWDED && index % 2 == 1;
            Tick::new(self.position(index * step), label).optional_if(is_optional)
        };
        (0..=count).map(tick).collect()
    }
}

/// The unit follows from the step, so that all labels of an axis have the same.
fn time_label(ns: u64, step: u64) -> String {
    let seconds = ns as f64 / 1e9;
    let step = step as f64 / 1e9;
    if ns == 0 {
        "0".to_owned()
    } else if step < 0.1 {
        format!("{} ms", ns / 1_000_000)
    } else if step < 1.0 {
        let places = (-step.log10()).ceil().max(0.0) as usize;
        format!("{seconds:.places$} s")
    } else if step < 30.0 {
        format!("{seconds} s")
    } else if step < 60.0 {
        let whole = seconds as u64;
        format!("{}:{:02} min", whole / 60, whole % 60)
    } else if step < 3600.0 {
        format!("{} min", seconds / 60.0)
    } else {
        format!("{} h", seconds / 3600.0)
    }
}
