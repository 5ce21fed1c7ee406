use std::time::Duration;

use super::*;
use crate::clock::RunClock;
use crate::console::Console;
use crate::html::facts::ProducerSettings;
use crate::stats::Stats;
use crate::timeline::Timeline;

fn facts_of(topic: &str) -> RunFacts {
    RunFacts {
        topic: topic.to_owned(),
        planned_records: 100,
        started: "2026-01-31 12:00:00 UTC".to_owned(),
        run: vec![("topic", topic.to_owned())],
        machine: vec![("system", "<os>".to_owned())],
        settings: ProducerSettings {
            given: vec![("client.id".to_owned(), topic.to_owned())],
            defaults: vec![("acks".to_owned(), "all".to_owned())],
        },
    }
}

/// Statistics of `records` records, with latencies of up to a second.
fn summary(records: u64) -> RunSummary {
    let clock = RunClock::start();
    let stats = Stats::new(clock, Console::silent(), Some(Timeline::new())).unwrap();
    for record in 0..records {
        let sent_at = clock.now().saturating_sub(record % 1000 * 1_000_000);
        stats.completed(sent_at, 10, None);
    }
    (*stats.final_summary()).clone()
}

#[test]
fn a_page_without_records_has_all_sections() {
    for outcome in [
        RunOutcome::Completed,
        RunOutcome::Interrupted("SIGINT"),
        RunOutcome::Failed("no <broker>".to_owned()),
    ] {
        let page = render(
            &facts_of("t"),
            &summary(0),
            &outcome,
            ProcessUsage::default(),
        );
        for heading in [
            "Throughput",
            "Latency",
            "Latency by percentile",
            "Totals",
            "Run",
            "Machine",
        ] {
            assert!(page.contains(&format!("<h2>{heading}</h2>")), "{heading}");
        }
        assert!(page.contains("100 of 100 planned records have no result."));
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
        assert!(!page.contains("<broker>"), "{page}");
    }
}

#[test]
fn text_of_the_user_is_escaped_everywhere() {
    let page = render(
        &facts_of("<script>alert(1)</script>"),
        &summary(3),
        &RunOutcome::Completed,
        ProcessUsage::default(),
    );
    assert!(!page.contains("<script"), "{page}");
    // In the title, the heading, the options and the configuration.
    assert_eq!(page.matches("&lt;script&gt;").count(), 4);
    assert!(page.contains("&lt;os&gt;"));
}

#[test]
fn a_page_names_nothing_outside_itself() {
    let page = render(
        &facts_of("t"),
        &summary(1000),
        &RunOutcome::Completed,
        ProcessUsage::default(),
    );
    for outside in [
        "http", "src=", "href=", "url(", "@import", "<link", "<script",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn the_size_of_a_page_is_bounded_for_a_run_of_a_day() {
    let mut timeline = Timeline::new();
    let mut summary = summary(1000);
    let second = Duration::from_secs(1).as_nanos() as u64;
    for now in 0..86_400 {
        timeline.record(now * second, 10, now % 5000, now % 7 == 0);
    }
    summary.timeline = timeline;
    summary.elapsed = 86_400 * second;
    let page = render(
        &facts_of("t"),
        &summary,
        &RunOutcome::Completed,
        ProcessUsage::default(),
    );
    assert!(page.len() < 200_000, "{}", page.len());
    assert!(
        page.contains(">24 h</text>"),
        "hours are the unit of the axis"
    );
}
