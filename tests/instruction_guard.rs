//! The instruction guard (`benches/instructions`): which counts pass and which fail.

#[allow(
    dead_code,
    reason = "the bench uses what the tests do not: reading and writing the file"
)]
#[path = "../benches/instructions/baseline.rs"]
mod baseline;

use baseline::{Baseline, Count, Platform, Verdict};

fn platform() -> Platform {
    Platform {
        rustc: "1.95.0 (59807616e 2026-04-14)".to_owned(),
        target: "x86_64-unknown-linux-gnu".to_owned(),
        libc: "glibc 2.36".to_owned(),
    }
}

fn baseline() -> Baseline {
    let counts = vec![
        Count::new("send.plain", 1000.0, "record"),
        Count::new("drain.full", 20_000.5, "batch"),
    ];
    Baseline::new(platform(), counts)
}

fn verdict(value: f64) -> Verdict {
    baseline().judge(&Count::new("send.plain", value, "record"))
}

#[test]
fn up_to_five_percent_more_instructions_pass_and_anything_above_fails() {
    assert!(matches!(verdict(1000.0), Verdict::Within { .. }));
    assert!(matches!(verdict(1050.0), Verdict::Within { .. }));
    assert!(verdict(1050.0).passes() && !verdict(1051.0).passes());
    let Verdict::Slower { baseline, percent } = verdict(1051.0) else {
        panic!("{:?}", verdict(1051.0))
    };
    assert!((baseline - 1000.0).abs() < 1e-9 && (percent - 5.1).abs() < 1e-9);
}

#[test]
fn an_improvement_of_more_than_five_percent_is_reported() {
    assert!(matches!(verdict(950.0), Verdict::Within { .. }));
    assert!(verdict(900.0).passes());
    let Verdict::Faster { percent, .. } = verdict(900.0) else {
        panic!("{:?}", verdict(900.0))
    };
    assert!((percent - 10.0).abs() < 1e-9);
}

#[test]
fn a_case_is_compared_only_with_its_own_name_and_unit() {
    let other_name = Count::new("send.keyed", 1000.0, "record");
    let other_unit = Count::new("send.plain", 1000.0, "batch");
    assert_eq!(baseline().judge(&other_name), Verdict::Unknown);
    assert_eq!(baseline().judge(&other_unit), Verdict::Unknown);
    assert!(!Verdict::Unknown.passes());
    let left: Vec<_> = [other_name].into();
    let missing: Vec<_> = baseline().not_among(&left).map(str::to_owned).collect();
    assert_eq!(missing, ["send.plain", "drain.full"]);
}

#[test]
fn a_written_file_is_read_back_unchanged() {
    assert_eq!(Baseline::parse(&baseline().to_text()), Ok(baseline()));
}

#[test]
fn the_file_that_is_checked_in_can_be_read() {
    let text = include_str!("../benches/instructions/baseline.txt");
    let checked_in = Baseline::parse(text).expect("it is well formed");
    assert!(!checked_in.platform.rustc.is_empty());
    assert!(checked_in.not_among(&[]).count() > 0);
}

#[test]
fn the_error_names_a_line_that_is_not_a_count() {
    for line in [
        "send.plain",
        "send.plain = many per record",
        "send.plain = 10",
        "send.plain = 0 per record",
        "send.plain = -3 per record",
        "send.plain = NaN per record",
    ] {
        let error = Baseline::parse(&format!("rustc = x\n{line}\n")).expect_err(line);
        assert!(
            error.starts_with("line 2: ") && error.contains(line),
            "{error}"
        );
    }
}

#[test]
fn a_baseline_file_without_its_platform_is_rejected() {
    let text = baseline().to_text().replace("libc = glibc 2.36\n", "");
    let error = Baseline::parse(&text).expect_err("no C library");
    assert!(error.contains("libc"), "{error}");
}
