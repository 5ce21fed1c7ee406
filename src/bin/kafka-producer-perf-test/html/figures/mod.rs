//! The three charts: throughput over time, latency over time, latency by percentile.

mod latency;
mod percentiles;
mod throughput;

pub(crate) use latency::latency;
pub(crate) use percentiles::percentiles;
pub(crate) use throughput::throughput;

use super::axis::{LatencyScale, TimeScale};
use super::chart::Chart;
use super::markup::{Escaped, put};
use super::number;
use crate::summary::RunSummary;
use crate::timeline::{Span, Spans};

/// Maximum number of windows in a chart.
pub(crate) const MOST_SPANS: u64 = 160;

/// Appends a figure: heading, explanation, legend of classes and names, chart, and notes below it. Names and notes are
/// markup.
fn figure(
    page: &mut String,
    (heading, explanation): (&str, &str),
    legend: &[(&str, &str)],
    chart: &Chart,
    notes: &[String],
) {
    put!(
        page,
        "<figure class=\"card\">\n<figcaption><div><h2>{heading}</h2><p>{}</p></div>",
        Escaped(explanation)
    );
    if !legend.is_empty() {
        page.push_str("<ul class=\"legend\">");
        for (class, name) in legend {
            put!(page, "<li><i class=\"{class}\"></i>{name}</li>");
        }
        page.push_str("</ul>");
    }
    page.push_str("</figcaption>\n");
    chart.draw(page);
    if !notes.is_empty() {
        page.push_str("<p class=\"note\">");
        for note in notes {
            put!(page, "<span>{note}</span>\n");
        }
        page.push_str("</p>\n");
    }
    page.push_str("</figure>\n");
}

/// A note beside the ring of a mark.
fn marked(class: &str, text: &str) -> String {
    format!("<i class=\"ring {class}\"></i>{text}")
}

/// Start and end of a window on the axis.
fn bounds(time: TimeScale, span: &Span) -> (f64, f64) {
    (time.position(span.from), time.position(span.to))
}

fn middle(time: TimeScale, span: &Span) -> f64 {
    let (from, to) = bounds(time, span);
    f64::midpoint(from, to)
}

fn bounds_text(from: u64, to: u64) -> String {
    format!("{} to {}", number::duration(from), number::duration(to))
}

/// Start and end of each series of windows without records, in nanoseconds.
fn pauses(spans: &Spans) -> Vec<(u64, u64)> {
    let runs = spans.list.split(|span| span.window.tally.records > 0);
    let bounds = runs.filter_map(|run| Some((run.first()?.from, run.last()?.to)));
    bounds.collect()
}

/// Shades the windows without records, or says that no record completed at all.
fn draw_pauses(chart: &mut Chart, time: TimeScale, spans: &Spans) {
    let pauses = pauses(spans);
    for (from, to) in &pauses {
        let (from, to) = (time.position(*from), time.position(*to));
        chart.area("pause", &[(from, 1.0), (to, 1.0)]);
    }
    if pauses.contains(&(0, spans.elapsed)) {
        chart.message("no record completed");
    }
}

/// The scale of both charts of latency, so that they can be compared.
fn latency_scale(summary: &RunSummary) -> LatencyScale {
    LatencyScale::over(summary.latencies.min(), summary.tally.latency_max_us)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Timeline;

    #[test]
    fn consecutive_windows_without_records_are_one_pause() {
        let mut timeline = Timeline::new();
        let width = 10_000_000;
        for window in [1, 4, 5, 7] {
            timeline.record(window * width, 1, 1, false);
        }
        let pauses = pauses(&timeline.spans(8 * width, 100));
        let wanted = [(0, 1), (2, 4), (6, 7)];
        assert_eq!(pauses, wanted.map(|(from, to)| (from * width, to * width)));
    }
}
