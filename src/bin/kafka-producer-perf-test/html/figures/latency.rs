//! Latency over time: median, 99th percentile and maximum of each window.

use super::{bounds, bounds_text, draw_pauses, figure, latency_scale, marked, middle, pauses};
use crate::html::axis::{LatencyScale, TimeScale};
use crate::html::chart::{Chart, Point, steps};
use crate::html::number;
use crate::summary::RunSummary;
use crate::timeline::{Span, Spans, TimeWindow};

/// A latency of a window, in microseconds; `None` without records.
type OfWindow = fn(&TimeWindow) -> Option<u64>;

/// The class, the name and the value of each curve, from the highest.
const CURVES: [(&str, &str, OfWindow); 3] = [
    ("max", "maximum", TimeWindow::latency_max_us),
    ("p99", "99th percentile", |window| {
        window.latency_us_at(0.99)
    }),
    ("p50", "median", |window| window.latency_us_at(0.5)),
];

pub(crate) fn latency(page: &mut String, summary: &RunSummary, spans: &Spans) {
    let time = TimeScale::up_to(spans.elapsed);
    let scale = latency_scale(summary);
    let mut chart = Chart::new("Latency over time", "");
    chart.y_ticks(&scale.ticks());
    chart.x_ticks(&time.ticks());
    draw_pauses(&mut chart, time, spans);
    // A window without records interrupts the curves.
    for run in spans.list.split(|span| span.window.tally.records == 0) {
        let points = |of: OfWindow| curve(time, scale, run, of);
        let [_, high, median] = CURVES.map(|(.., of)| points(of));
        chart.band("spread", &high, &median);
        for (class, _, of) in CURVES {
            chart.line(class, &points(of));
        }
    }
    for span in &spans.list {
        let (from, to) = bounds(time, span);
        let when = bounds_text(span.from, span.to);
        chart.hit(
            from,
            to,
            &format!("{when}: {}", latencies_text(&span.window)),
        );
    }
    let mut notes = Vec::new();
    let by_longest = |span: &&Span| span.window.latency_max_us();
    let longest = spans.list.iter().max_by_key(by_longest);
    if let Some((span, us)) = longest.and_then(|span| Some((span, by_longest(&span)?))) {
        chart.mark("high", (middle(time, span), scale.position(us)));
        let when = bounds_text(span.from, span.to);
        let latency = number::three_digit_time(us as f64);
        notes.push(marked("high", &format!("longest {latency}, {when}")));
    }
    if summary.tally.records > 0 {
        notes.extend(pause_note(spans));
    }
    let explanation = format!(
        "from send to completion, windows of {}, logarithmic",
        number::duration(spans.width)
    );
    let legend = CURVES.map(|(class, name, _)| (class, name));
    figure(page, ("Latency", &explanation), &legend, &chart, &notes);
}

/// The longest series of windows without records.
fn pause_note(spans: &Spans) -> Option<String> {
    let (from, to) = pauses(spans)
        .into_iter()
        .max_by_key(|(from, to)| to - from)?;
    Some(format!(
        "<i class=\"pause\"></i>longest pause {}, {}",
        number::duration(to - from),
        bounds_text(from, to)
    ))
}

fn latencies_text(window: &TimeWindow) -> String {
    let texts = CURVES.iter().rev().filter_map(|(_, name, of)| {
        let us = of(window)?;
        Some(format!("{name} {}", number::three_digit_time(us as f64)))
    });
    let texts: Vec<String> = texts.collect();
    if texts.is_empty() {
        return "no record completed".to_owned();
    }
    texts.join(", ")
}

/// Points in the middle of the windows; a single window is drawn over its whole width.
fn curve(time: TimeScale, scale: LatencyScale, run: &[Span], of: OfWindow) -> Vec<Point> {
    let height = |span: &Span| Some(scale.position(of(&span.window)?));
    if let [span] = run {
        let (from, to) = bounds(time, span);
        return steps(height(span).map(|height| (from, to, height)));
    }
    let points = run
        .iter()
        .filter_map(|span| Some((middle(time, span), height(span)?)));
    points.collect()
}
