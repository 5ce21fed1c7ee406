//! Shrinking: makes a failing scenario smaller by leaving out, halving or simplifying every part that is not needed for
//! the failure.
//!
//! The method is delta debugging: large pieces are left out first, then smaller ones; then numbers are lowered. All
//! passes are repeated until none of them makes the scenario smaller. The search is deterministic.

mod passes;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::scenario::Scenario;

/// Limits of the search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// Number of runs of changed scenarios.
    pub(crate) tries: usize,
    pub(crate) time: Duration,
}

pub(crate) struct Shrunk {
    pub(crate) scenario: Scenario,
    /// Number of runs of changed scenarios.
    pub(crate) tries: usize,
    /// True if no pass finds anything smaller; false if the budget was used up before.
    pub(crate) is_done: bool,
}

/// Returns the smallest scenario found that still fails. `scenario` itself must fail.
pub(crate) fn shrink(
    scenario: Scenario,
    still_fails: impl FnMut(&Scenario) -> bool,
    budget: Budget,
) -> Shrunk {
    let mut shrinker = Shrinker {
        best: scenario,
        still_fails,
        tries: 0,
        most: budget.tries,
        until: Instant::now() + budget.time,
    };
    let mut is_done = false;
    while !is_done && !shrinker.is_used_up() {
        let before = shrinker.best.clone();
        passes::all(&mut shrinker);
        is_done = shrinker.best == before && !shrinker.is_used_up();
    }
    Shrunk {
        scenario: shrinker.best,
        tries: shrinker.tries,
        is_done,
    }
}

struct Shrinker<F> {
    best: Scenario,
    still_fails: F,
    tries: usize,
    most: usize,
    until: Instant,
}

impl<F: FnMut(&Scenario) -> bool> Shrinker<F> {
    fn is_used_up(&self) -> bool {
        self.tries >= self.most || Instant::now() >= self.until
    }

    /// Tries a change, and keeps it if the scenario still fails.
    fn change(&mut self, change: impl FnOnce(&mut Scenario)) -> bool {
        let mut changed = self.best.clone();
        change(&mut changed);
        if changed == self.best || self.is_used_up() {
            return false;
        }
        self.tries += 1;
        let fails = (self.still_fails)(&changed);
        if fails {
            self.best = changed;
        }
        fails
    }

    /// Leaves out as much of a list as possible: all of it, each half, each quarter, down to single items.
    fn fewer<T>(
        &mut self,
        least: usize,
        list: impl for<'a> Fn(&'a mut Scenario) -> &'a mut Vec<T>,
    ) {
        let mut left = list(&mut self.best).len();
        let mut piece = left;
        while piece > 0 {
            let mut from = 0;
            while from < left {
                let to = (from + piece).min(left);
                let is_out = left - (to - from) >= least
                    && self.change(|scenario| {
                        list(scenario).drain(from..to);
                    });
                if is_out {
                    left -= to - from;
                } else {
                    from = to;
                }
            }
            piece = if piece > left { left } else { piece / 2 };
            if left <= least {
                return;
            }
        }
    }

    /// Lowers a number as far as the scenario still fails, by binary search.
    fn lower(
        &mut self,
        least: u64,
        get: impl Fn(&Scenario) -> u64,
        set: impl Fn(&mut Scenario, u64),
    ) {
        let mut fails = get(&self.best);
        if fails <= least || self.change(|scenario| set(scenario, least)) {
            return;
        }
        let mut passes = least;
        while fails - passes > 1 && !self.is_used_up() {
            // For large numbers the order of magnitude is searched first.
            let middle = if fails / 16 > passes {
                fails / 16
            } else {
                passes + (fails - passes) / 2
            };
            if self.change(|scenario| set(scenario, middle)) {
                fails = middle;
            } else {
                passes = middle;
            }
        }
    }
}
