//! Latency by percentile, on a logarithmic scale of the share of records above it.

use super::{figure, latency_scale, marked};
use crate::html::axis::PercentileScale;
use crate::html::chart::{Chart, Point};
use crate::html::number;
use crate::summary::RunSummary;

/// Number of points of the curve.
const POINTS: u32 = 240;
/// Number of parts of the plot that show their value while the pointer is on them.
const PARTS: u32 = 40;
/// The shares with a mark, the classes of their marks, and their names.
const MARKS: [(f64, &str, &str); 3] = [
    (0.5, "p50", "median"),
    (0.99, "p99", "99th"),
    (0.999, "high", "99.9th"),
];

pub(crate) fn percentiles(page: &mut String, summary: &RunSummary) {
    let scale = latency_scale(summary);
    let across = PercentileScale::of(summary.tally.records);
    let mut chart = Chart::new("Latency by percentile", "");
    chart.y_ticks(&scale.ticks());
    chart.x_ticks(&across.ticks());
    let mut notes = Vec::new();
    if summary.tally.records == 0 {
        chart.message("no record completed");
    } else {
        let height = |share| scale.position(summary.latency_us_at(share));
        let point = |index| {
            let position = f64::from(index) / f64::from(POINTS);
            (position, height(across.share(position)))
        };
        let points: Vec<Point> = (0..=POINTS).map(point).collect();
        chart.area("spread", &points);
        chart.line("p99", &points);
        for (share, class, name) in MARKS {
            let latency = number::three_digit_time(summary.latency_us_at(share) as f64);
            notes.push(marked(class, &format!("{name} {latency}")));
            chart.mark(class, (across.position(share), height(share)));
        }
        for part in 0..PARTS {
            let [from, to] = [part, part + 1].map(|end| f64::from(end) / f64::from(PARTS));
            let share = across.share(f64::midpoint(from, to));
            let latency = number::three_digit_time(summary.latency_us_at(share) as f64);
            let text = format!("{} of records within {latency}", share_text(share));
            chart.hit(from, to, &text);
        }
    }
    let explanation = "the time within which a share of the records completed; each nine is a step";
    let heading = "Latency by percentile";
    figure(page, (heading, explanation), &[], &chart, &notes);
}

/// A share as a percentage, with two digits of the rest.
fn share_text(share: f64) -> String {
    let rest = (1.0 - share) * 100.0;
    let places = if rest >= 1.0 {
        1
    } else {
        (1.0 - rest.log10().floor()) as usize
    };
    format!("{:.places$} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_near_one_keeps_its_digits() {
        let texts = [0.0, 0.5, 0.9, 0.9992, 0.999_987].map(share_text);
        assert_eq!(
            texts,
            ["0.0 %", "50.0 %", "90.0 %", "99.920 %", "99.9987 %"]
        );
    }
}
