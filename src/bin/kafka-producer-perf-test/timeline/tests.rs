use super::*;

const SECOND: u64 = 1_000_000_000;

fn records(spans: &Spans) -> Vec<u64> {
    let records = |span: &Span| span.window.tally.records;
    spans.list.iter().map(records).collect()
}

#[test]
fn records_are_counted_in_the_window_in_which_they_complete() {
    let mut timeline = Timeline::new();
    for now in [0, 1, FIRST_WIDTH - 1, FIRST_WIDTH, 3 * FIRST_WIDTH] {
        timeline.record(now, 10, now / 1000, now == 1);
    }
    let spans = timeline.spans(4 * FIRST_WIDTH, 100);
    assert_eq!(records(&spans), [3, 1, 0, 1]);
    assert_eq!(spans.list[0].window.failed, 1);
    assert_eq!(spans.list[2].window.latency_us_at(0.5), None);
    assert_eq!(spans.list[2].window.latency_max_us(), None);
    assert_eq!(spans.list[3].window.latency_us_at(0.5), Some(30_000));
    assert!((spans.list[0].rate() - 300.0).abs() < 1e-9);
}

#[test]
fn a_run_without_records_has_a_few_empty_windows() {
    for elapsed in [0, 1, 5 * SECOND, 60 * SECOND, 100 * 24 * 3600 * SECOND] {
        let spans = Timeline::new().spans(elapsed, 100);
        assert!((1..=20).contains(&spans.list.len()), "{elapsed}");
        assert!(spans.list.iter().all(|span| span.rate() == 0.0));
    }
}

#[test]
fn a_day_of_records_has_a_bounded_number_of_windows_and_loses_none() {
    let mut timeline = Timeline::new();
    let seconds = 24 * 3600;
    for second in 0..seconds {
        timeline.record(second * SECOND, 1, second % 100 * 1000, second % 2 == 0);
        assert!(timeline.windows.len() <= MOST_WINDOWS);
    }
    assert_eq!(timeline.width, 100 * SECOND);
    let spans = timeline.spans(seconds * SECOND, 150);
    assert!(spans.list.len() <= 150, "{}", spans.list.len());
    assert_eq!(records(&spans).iter().sum::<u64>(), seconds);
    let failed: u64 = spans.list.iter().map(|span| span.window.failed).sum();
    assert_eq!(failed, seconds / 2);
    for span in &spans.list[..spans.list.len() - 1] {
        let median = span.window.latency_us_at(0.5).unwrap();
        assert!((48_000..=51_000).contains(&median), "{median}");
        assert_eq!(span.window.latency_max_us(), Some(99_000));
    }
}

#[test]
fn a_pause_longer_than_all_windows_is_kept_as_empty_windows() {
    let mut timeline = Timeline::new();
    timeline.record(0, 1, 1, false);
    timeline.record(50_000 * SECOND, 1, 1, false);
    assert!(timeline.windows.len() <= MOST_WINDOWS);
    let spans = timeline.spans(50_000 * SECOND, 150);
    let records = records(&spans);
    assert_eq!((records[0], records.iter().sum::<u64>()), (1, 2));
}

#[test]
fn widths_are_round_and_a_short_rest_belongs_to_the_last_window() {
    let mut timeline = Timeline::new();
    for now in 0..12_340 {
        timeline.record(now * 1_000_000, 1, 1, false);
    }
    let spans = timeline.spans(12_340 * 1_000_000, 100);
    assert_eq!(spans.width, 200_000_000);
    assert_eq!(spans.list.len(), 62, "12.34 s are 61.7 windows");
    let spans = timeline.spans(12_400 * 1_000_000 + 1, 100);
    assert_eq!(spans.list.len(), 62, "the rest is less than half");
    assert_eq!(spans.list.last().unwrap().to, spans.elapsed);
}
