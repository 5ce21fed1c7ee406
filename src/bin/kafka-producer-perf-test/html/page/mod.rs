//! The page as a whole.

use super::facts::RunFacts;
use super::markup::{Escaped, fact_table, put};
use super::{ProcessUsage, RunOutcome, figures, number, tables};
use crate::summary::RunSummary;
use crate::usage::NAME;

const STYLE: &str = include_str!("style.css");

pub(crate) fn render(
    run: &RunFacts,
    summary: &RunSummary,
    outcome: &RunOutcome,
    usage: ProcessUsage,
) -> String {
    let mut page = String::with_capacity(128 * 1024);
    head(&mut page, run, summary);
    header(&mut page, run, summary, outcome);
    tiles(&mut page, summary);
    let spans = summary.timeline.spans(summary.elapsed, figures::MOST_SPANS);
    figures::throughput(&mut page, summary, &spans);
    figures::latency(&mut page, summary, &spans);
    figures::percentiles(&mut page, summary);
    tables::failures(&mut page, &summary.failures);
    tables::figures(&mut page, summary, usage);
    page.push_str("<div class=\"columns\">\n");
    fact_table(&mut page, "Run", &run.run);
    fact_table(&mut page, "Machine", &run.machine);
    page.push_str("</div>\n");
    tables::settings(&mut page, &run.settings);
    page.push_str(FOOT);
    page
}

fn head(page: &mut String, run: &RunFacts, summary: &RunSummary) {
    put!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <meta name=\"generator\" content=\"{NAME} {}\"/>\n\
         <title>{}: {} records/s</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        env!("CARGO_PKG_VERSION"),
        Escaped(&run.topic),
        number::rate(summary.tally.records_per_second(summary.elapsed))
    );
}

fn header(page: &mut String, run: &RunFacts, summary: &RunSummary, outcome: &RunOutcome) {
    let failed = summary.failures.records();
    let (class, status) = match outcome {
        RunOutcome::Completed if failed == 0 => ("good", "Completed".to_owned()),
        RunOutcome::Completed if failed == summary.tally.records => {
            ("bad", "Completed, all records failed".to_owned())
        }
        RunOutcome::Completed => (
            "bad",
            format!("Completed, {} failed", number::grouped(failed)),
        ),
        RunOutcome::Interrupted(signal) => ("fair", format!("Interrupted by {signal}")),
        RunOutcome::Failed(_) => ("bad", "Stopped by an error".to_owned()),
    };
    put!(
        page,
        "<header>\n<p class=\"tool\">{NAME} {}</p>\n<h1>Topic <b>{}</b></h1>\n\
         <p class=\"status {class}\">{status}</p>\n<p class=\"when\">{}</p>\n</header>\n",
        env!("CARGO_PKG_VERSION"),
        Escaped(&run.topic),
        Escaped(&run.started)
    );
    let missing = run.planned_records.saturating_sub(summary.tally.records);
    let mut words = Vec::new();
    if let RunOutcome::Failed(message) = outcome {
        words.push(Escaped(message).to_string());
    }
    if missing > 0 {
        words.push(format!(
            "{} of {} planned records have no result.",
            number::grouped(missing),
            number::grouped(run.planned_records)
        ));
    }
    if failed > 0 {
        words.push("Failed records count in all figures, as in Kafka’s tool.".to_owned());
    }
    if !words.is_empty() {
        put!(
            page,
            "<p class=\"notice {class}\">{}</p>\n",
            words.join("<br/>")
        );
    }
}

/// The main figures, in large type.
fn tiles(page: &mut String, summary: &RunSummary) {
    let tally = &summary.tally;
    let shown = |us: f64| match tally.records {
        0 => "–".to_owned(),
        _ => number::three_digit_time(us),
    };
    let latency = |share: f64| shown(summary.latency_us_at(share) as f64);
    let average = shown(tally.average_ms() * 1000.0);
    let maximum = shown(tally.latency_max_us as f64);
    let failed = match summary.failures.records() {
        0 => "none failed".to_owned(),
        failed => format!("{} failed", number::grouped(failed)),
    };
    let rate = number::rate(tally.records_per_second(summary.elapsed));
    let megabytes = number::fixed(tally.megabytes_per_second(summary.elapsed), 2);
    let duration = number::three_digit_time(summary.elapsed as f64 / 1e3);
    let bytes = number::bytes(tally.bytes);
    let tiles = [
        ("records per second", rate, format!("{megabytes} MiB/s")),
        ("median latency", latency(0.5), format!("average {average}")),
        (
            "99th percentile",
            latency(0.99),
            format!("95th {}", latency(0.95)),
        ),
        (
            "99.9th percentile",
            latency(0.999),
            format!("maximum {maximum}"),
        ),
        ("records", number::grouped(tally.records), failed),
        ("duration", duration, format!("{bytes} of values")),
    ];
    page.push_str("<dl class=\"tiles\">\n");
    for (name, value, below) in tiles {
        let (figure, unit) = value.split_once(' ').unwrap_or((&value, ""));
        put!(
            page,
            "<div><dt>{name}</dt><dd><b>{figure}</b> <i>{unit}</i><small>{below}</small></dd></div>\n"
        );
    }
    page.push_str("</dl>\n");
}

const FOOT: &str = "\
<footer>
<p>The latency of a record is the time from the call of <code>send</code> to its callback: it includes the wait for
metadata, for memory and for the batch. A record counts in the window in which it completes. Percentiles of all records
are exact to 0.1 %, those of a window to 1 %. 1 MiB is 1,048,576 bytes; Kafka’s tool prints it as MB.</p>
</footer>
</main>
</body>
</html>
";

#[cfg(test)]
mod tests;
