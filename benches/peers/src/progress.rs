//! Progress of the run, and its remaining time.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

/// Progress of the run. A unit is one client in one scenario.
pub struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    start: Instant,
    total: u64,
    done: u64,
    where_now: String,
}

impl Progress {
    pub fn new(total: u64) -> Self {
        let bar = ProgressBar::new(total);
        let style = "{elapsed_precise} [{bar:30}] {pos}/{len} {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self {
            bar,
            is_terminal: std::io::stderr().is_terminal(),
            start: Instant::now(),
            total,
            done: 0,
            where_now: String::new(),
        }
    }

    /// Shows the scenario that begins.
    pub fn scenario(&mut self, number: usize, count: usize, name: &str) {
        self.where_now = format!("{name} ({number} of {count})");
        if !self.is_terminal {
            let left = self
                .left()
                .map_or_else(String::new, |left| format!(", {left}"));
            self.line(&format!("{}{left}", self.where_now));
        }
        self.step("");
    }

    /// Shows the current step of the scenario.
    pub fn step(&self, what: &str) {
        let left = self.left().unwrap_or_default();
        self.bar
            .set_message(format!("{} {what} {left}", self.where_now));
        self.bar.tick();
    }

    /// Counts units as done.
    pub fn advance(&mut self, units: u64) {
        self.done += units;
        self.bar.set_position(self.done);
    }

    /// Subtracts units that are skipped from the total.
    pub fn skip(&mut self, units: u64) {
        self.total -= units;
        self.bar.set_length(self.total);
    }

    /// Prints a line above the progress bar.
    pub fn line(&self, text: &str) {
        if self.is_terminal {
            self.bar.println(text);
        } else {
            let seconds = self.start.elapsed().as_secs();
            eprintln!("[{:02}:{:02}] {text}", seconds / 60, seconds % 60);
        }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn left(&self) -> Option<String> {
        let left = time_left(self.start.elapsed(), self.done, self.total)?;
        Some(format!("about {} left", HumanDuration(left)))
    }
}

/// Estimates the remaining time from the time per unit so far.
fn time_left(elapsed: Duration, done: u64, total: u64) -> Option<Duration> {
    (done > 0).then(|| elapsed.mul_f64(total.saturating_sub(done) as f64 / done as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remaining_time_is_estimated_from_the_time_per_unit_so_far() {
        let elapsed = Duration::from_secs(60);
        assert_eq!(time_left(elapsed, 0, 10), None);
        assert_eq!(time_left(elapsed, 2, 10), Some(Duration::from_secs(240)));
        assert_eq!(time_left(elapsed, 10, 10), Some(Duration::ZERO));
    }
}
