use super::*;

const SECOND: u64 = 1_000_000_000;

fn labels(ticks: &[Tick]) -> Vec<&str> {
    let labels = ticks.iter().map(|tick| tick.label.as_str());
    labels.filter(|label| !label.is_empty()).collect()
}

fn assert_ordered(ticks: &[Tick]) {
    assert!(
        ticks.is_sorted_by(|one, next| one.at < next.at),
        "{ticks:?}"
    );
    assert!(
        ticks.iter().all(|tick| (0.0..=1.0).contains(&tick.at)),
        "{ticks:?}"
    );
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

#[test]
fn a_linear_scale_ends_at_a_round_number_that_is_not_below_the_maximum() {
    for (max, wanted) in [
        (1.0, vec!["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (87.0, vec!["0", "20", "40", "60", "80", "100"]),
        (100.0, vec!["0", "20", "40", "60", "80", "100"]),
        (
            1_234_567.0,
            vec![
                "0", "200 k", "400 k", "600 k", "800 k", "1 M", "1.2 M", "1.4 M",
            ],
        ),
    ] {
        let scale = LinearScale::up_to(max);
        let ticks = scale.ticks();
        assert_eq!(labels(&ticks), wanted, "{max}");
        assert_ordered(&ticks);
        assert!(scale.position(max) > 0.7, "{max}");
        assert!(close(scale.position(0.0), 0.0));
    }
    let empty = LinearScale::up_to(0.0);
    assert_eq!(labels(&empty.ticks()).first(), Some(&"0"));
    assert!(close(empty.position(0.0), 0.0));
}

#[test]
fn a_linear_scale_has_four_to_ten_steps_for_every_maximum() {
    let mut max = 1e-3;
    while max < 1e10 {
        let steps = LinearScale::up_to(max).ticks().len() - 1;
        assert!((4..=10).contains(&steps), "{max}: {steps}");
        max *= 1.013;
    }
}

#[test]
fn a_latency_scale_contains_all_values_and_has_at_least_a_decade() {
    for (min, max, wanted) in [
        (0, 0, vec!["1 µs", "2 µs", "5 µs", "10 µs"]),
        (3000, 3000, vec!["1 ms", "2 ms", "5 ms", "10 ms", "20 ms"]),
        (
            150,
            7000,
            vec![
                "100 µs", "200 µs", "500 µs", "1 ms", "2 ms", "5 ms", "10 ms",
            ],
        ),
        (
            300,
            20_000_000,
            vec!["1 ms", "10 ms", "100 ms", "1 s", "10 s"],
        ),
    ] {
        let scale = LatencyScale::over(min, max);
        let ticks = scale.ticks();
        assert_eq!(labels(&ticks), wanted, "{min} to {max}");
        assert_ordered(&ticks);
    }
    for min in [0, 1, 5, 10, 99, 1000, 123_456, 86_400_000_000] {
        for factor in [1, 2, 3, 10, 1000, 1_000_000] {
            let max = min.max(1) * factor;
            let scale = LatencyScale::over(min, max);
            assert!(scale.end - scale.begin > 0.99, "{min} to {max}: {scale:?}");
            let (low, high) = (scale.position(min), scale.position(max));
            let raw = |us: u64| (us.max(1) as f64).log10();
            assert!(raw(min) >= scale.begin - 1e-9, "{min} to {max}: {scale:?}");
            assert!(raw(max) <= scale.end + 1e-9, "{min} to {max}: {scale:?}");
            assert!(low <= high && scale.ticks().len() >= 3, "{min} to {max}");
        }
    }
}

#[test]
fn a_time_scale_has_at_most_ten_ticks_with_the_unit_of_the_step() {
    for (ns, wanted) in [
        (
            250_000_000,
            vec!["0", "50 ms", "100 ms", "150 ms", "200 ms", "250 ms"],
        ),
        (
            4 * SECOND,
            vec![
                "0", "0.5 s", "1.0 s", "1.5 s", "2.0 s", "2.5 s", "3.0 s", "3.5 s", "4.0 s",
            ],
        ),
        (
            31 * SECOND,
            vec!["0", "5 s", "10 s", "15 s", "20 s", "25 s", "30 s"],
        ),
        (
            250 * SECOND,
            vec![
                "0", "0:30 min", "1:00 min", "1:30 min", "2:00 min", "2:30 min", "3:00 min",
                "3:30 min", "4:00 min",
            ],
        ),
        (
            3600 * SECOND,
            vec![
                "0", "10 min", "20 min", "30 min", "40 min", "50 min", "60 min",
            ],
        ),
        (
            86_400 * SECOND,
            vec![
                "0", "3 h", "6 h", "9 h", "12 h", "15 h", "18 h", "21 h", "24 h",
            ],
        ),
    ] {
        let ticks = TimeScale::up_to(ns).ticks();
        assert_eq!(labels(&ticks), wanted, "{ns}");
        assert_ordered(&ticks);
    }
    for ns in [0, 1, 999, 12 * SECOND, u64::MAX / 1000] {
        let ticks = TimeScale::up_to(ns).ticks();
        assert!((1..=10).contains(&ticks.len()), "{ns}: {ticks:?}");
    }
}

#[test]
fn a_percentile_scale_gives_each_nine_the_same_length() {
    let scale = PercentileScale::of(10_000);
    let ticks = scale.ticks();
    assert_eq!(
        labels(&ticks),
        ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %"]
    );
    assert_ordered(&ticks);
    assert!(close(scale.position(0.9), 0.25) && close(scale.position(0.99), 0.5));
    for position in [0.0, 0.1, 0.5, 0.99] {
        assert!(close(scale.position(scale.share(position)), position));
    }
    let optional = |ticks: &[Tick]| ticks.iter().filter(|tick| tick.is_optional).count();
    assert_eq!(optional(&ticks), 1, "50 % is close to 0 %");
    for (records, last) in [
        (0, "99 %"),
        (1, "99 %"),
        (101, "99 %"),
        (1000, "99.9 %"),
        (u64::MAX, "99.99999 %"),
    ] {
        let ticks = PercentileScale::of(records).ticks();
        assert_eq!(ticks.last().unwrap().label, last, "{records}");
    }
}
