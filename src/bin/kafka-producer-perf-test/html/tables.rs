//! The tables of the page: figures, failures, settings.

use super::facts::ProducerSettings;
use super::markup::{Escaped, fact_table, pairs, put};
use super::{ProcessUsage, number};
use crate::failures::Failures;
use crate::report::total_line;
use crate::summary::RunSummary;

/// The percentiles of the table, and their names.
const PERCENTILES: [(f64, &str); 7] = [
    (0.5, "50th"),
    (0.75, "75th"),
    (0.9, "90th"),
    (0.95, "95th"),
    (0.99, "99th"),
    (0.999, "99.9th"),
    (0.9999, "99.99th"),
];

/// The figures of the total line, all from the same values, with the line itself.
pub(crate) fn figures(page: &mut String, summary: &RunSummary, usage: ProcessUsage) {
    let tally = &summary.tally;
    let failed = summary.failures.records();
    let ms = |us: u64| format!("{} ms", number::fixed(us as f64 / 1000.0, 3));
    let mut rows = vec![
        ("records", number::grouped(tally.records)),
        ("acknowledged", number::grouped(tally.records - failed)),
        ("failed", number::grouped(failed)),
        ("bytes of values", number::grouped(tally.bytes)),
        (
            "duration",
            format!("{} s", number::fixed(summary.elapsed as f64 / 1e9, 3)),
        ),
        (
            "throughput",
            format!(
                "{} records/s",
                number::fixed(tally.records_per_second(summary.elapsed), 6)
            ),
        ),
        (
            "throughput in bytes",
            format!(
                "{} MiB/s",
                number::fixed(tally.megabytes_per_second(summary.elapsed), 2)
            ),
        ),
    ];
    if let Some(seconds) = usage.cpu_seconds {
        let per_record = seconds * 1e6 / tally.records.max(1) as f64;
        rows.push((
            "CPU time",
            format!("{seconds:.2} s, {per_record:.3} µs per record, with the tool's own"),
        ));
    }
    if let Some(bytes) = usage.peak_memory_bytes {
        rows.push(("peak memory", number::bytes(bytes)));
    }
    let mut latencies = vec![(
        "average",
        format!("{} ms", number::fixed(tally.average_ms(), 2)),
    )];
    for (share, name) in PERCENTILES {
        latencies.push((name, ms(summary.latency_us_at(share))));
    }
    latencies.push(("maximum", ms(tally.latency_max_us)));
    page.push_str("<div class=\"columns\">\n");
    fact_table(page, "Totals", &rows);
    fact_table(page, "Latency", &latencies);
    page.push_str("</div>\n");
    put!(
        page,
        "<section class=\"card\">\n<h2>Total line</h2>\n<pre>{}</pre>\n</section>\n",
        Escaped(&total_line(&summary.total()))
    );
}

/// The failed records by kind of error; nothing without failures.
pub(crate) fn failures(page: &mut String, failures: &Failures) {
    if failures.records() == 0 {
        return;
    }
    page.push_str(
        "<section class=\"card\">\n<h2>Failures</h2>\n<div class=\"scroll\"><table class=\"list\">\n\
         <thead><tr><th>kind</th><th class=\"number\">records</th><th>in the log</th><th>first message</th></tr>\
         </thead>\n<tbody>\n",
    );
    let mut classes: Vec<_> = failures.classes().iter().collect();
    classes.sort_by_key(|class| std::cmp::Reverse(class.records));
    for class in classes {
        put!(
            page,
            "<tr><td>{}</td><td class=\"number\">{}</td><td>{}</td><td>{}</td></tr>\n",
            Escaped(&class.kind),
            number::grouped(class.records),
            if class.may_be_written() {
                "maybe"
            } else {
                "no"
            },
            Escaped(&class.first)
        );
    }
    page.push_str("</tbody>\n</table></div>\n</section>\n");
}

pub(crate) fn settings(page: &mut String, settings: &ProducerSettings) {
    let rows = |rows: &[(String, String)], page: &mut String| {
        pairs(page, rows.iter().map(|(key, value)| (&**key, &**value)));
    };
    page.push_str("<section class=\"card keys\">\n<h2>Producer configuration</h2>\n");
    rows(&settings.given, page);
    put!(
        page,
        "<details><summary>{} keys with their defaults</summary>\n",
        settings.defaults.len()
    );
    rows(&settings.defaults, page);
    page.push_str("</details>\n</section>\n");
}
