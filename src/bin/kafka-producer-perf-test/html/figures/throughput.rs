//! Throughput over time.

use super::{bounds, bounds_text, draw_pauses, figure, marked, pauses};
use crate::html::axis::{LinearScale, TimeScale};
use crate::html::chart::{Chart, steps};
use crate::html::markup::put;
use crate::html::number;
use crate::summary::RunSummary;
use crate::timeline::{Span, Spans};

pub(crate) fn throughput(page: &mut String, summary: &RunSummary, spans: &Spans) {
    let time = TimeScale::up_to(spans.elapsed);
    let highest = extremes(&spans.list).0;
    let scale = LinearScale::up_to(highest.map_or(0.0, Span::rate));
    let mut chart = Chart::new("Records per second over time", "records/s");
    chart.y_ticks(&scale.ticks());
    chart.x_ticks(&time.ticks());
    draw_pauses(&mut chart, time, spans);
    draw_rates(&mut chart, time, scale, spans);
    let mut legend = vec![("rate", "acknowledged or failed")];
    if summary.failures.records() > 0 {
        legend.push(("failed", "failed"));
    }
    if summary.tally.records > 0 {
        let average = scale.position(summary.tally.records_per_second(summary.elapsed));
        chart.line("average", &[(0.0, average), (1.0, average)]);
        legend.push(("average", "average"));
    }
    let notes = mark_extremes(&mut chart, time, scale, spans);
    let explanation = format!(
        "by the time of completion, windows of {}",
        number::duration(spans.width)
    );
    figure(page, ("Throughput", &explanation), &legend, &chart, &notes);
}

/// Draws the rate of each window as a step, with the failed records as a part of it.
fn draw_rates(chart: &mut Chart, time: TimeScale, scale: LinearScale, spans: &Spans) {
    let all = steps(spans.list.iter().map(|span| {
        let (from, to) = bounds(time, span);
        (from, to, scale.position(span.rate()))
    }));
    chart.area("rate", &all);
    for span in &spans.list {
        let (from, to) = bounds(time, span);
        let mut text = format!(
            "{}: {} records/s",
            bounds_text(span.from, span.to),
            number::rate(span.rate())
        );
        let failed = span.window.failed;
        if failed > 0 {
            let share = failed as f64 / span.window.tally.records as f64;
            let height = scale.position(span.rate() * share);
            chart.area("failed", &[(from, height), (to, height)]);
            put!(&mut text, ", {} failed", number::grouped(failed));
        }
        chart.hit(from, to, &text);
    }
    chart.line("rate", &all);
}

/// Marks the highest and the lowest rate, and returns a note about each.
fn mark_extremes(
    chart: &mut Chart,
    time: TimeScale,
    scale: LinearScale,
    spans: &Spans,
) -> Vec<String> {
    let (highest, lowest) = extremes(&spans.list);
    let mut notes = Vec::new();
    for (class, name, span) in [("high", "highest", highest), ("low", "lowest", lowest)] {
        let Some(span) = span else { continue };
        // A rate of 0 is that of a whole pause.
        let pauses = pauses(spans).into_iter();
        let pause = pauses.filter(|_| span.rate() == 0.0);
        let longest = pause.max_by_key(|(from, to)| to - from);
        let (from, to) = longest.unwrap_or((span.from, span.to));
        let middle = f64::midpoint(time.position(from), time.position(to));
        chart.mark(class, (middle, scale.position(span.rate())));
        let rate = number::rate(span.rate());
        let when = bounds_text(from, to);
        notes.push(marked(class, &format!("{name} {rate} records/s, {when}")));
    }
    notes
}

/// The windows with the highest and the lowest rate. There is no lowest one among less than two, and neither without
/// records.
fn extremes(list: &[Span]) -> (Option<&Span>, Option<&Span>) {
    let by_rate = |one: &&Span, other: &&Span| one.rate().total_cmp(&other.rate());
    let highest = list.iter().max_by(by_rate);
    let highest = highest.filter(|span| span.rate() > 0.0);
    let lowest = list.iter().min_by(by_rate).filter(|_| list.len() > 1);
    (highest, highest.and(lowest))
}
