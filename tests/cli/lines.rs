//! Lines that scripts parse.

/// A line with placeholders for numbers: `N` for a whole number, `N.k` for a number with `k` decimals.
pub(crate) fn shape(line: &str) -> String {
    let mut shape = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        shape.push_str(&rest[..start]);
        let length = number_length(&rest[start..]);
        let number = &rest[start..start + length];
        shape.push('N');
        if let Some((_, decimals)) = number.split_once('.') {
            shape.push('.');
            shape.push_str(&decimals.len().to_string());
        }
        rest = &rest[start + length..];
    }
    shape + rest
}

/// The numbers of a line.
#[allow(
    dead_code,
    reason = "some test binaries include this file and use a part of it"
)]
pub(crate) fn numbers(line: &str) -> Vec<f64> {
    let mut numbers = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let length = number_length(&rest[start..]);
        let number = rest[start..start + length].parse();
        numbers.push(number.expect("digits and a point are a number"));
        rest = &rest[start + length..];
    }
    numbers
}

/// The length of a number: digits, and after a point more digits.
fn number_length(text: &str) -> usize {
    let digits =
        |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let whole = digits(text);
    match text[whole..].strip_prefix('.').map(digits) {
        Some(decimals) if decimals > 0 => whole + 1 + decimals,
        _ => whole,
    }
}

pub(crate) const WINDOW: &str = "N records sent, N.1 records/sec (N.2 MB/sec), N.1 ms avg latency, \
     N.1 ms max latency.";

pub(crate) const TOTAL: &str = "N records sent, N.6 records/sec (N.2 MB/sec), N.2 ms avg latency, \
     N.2 ms max latency, N ms Nth, N ms Nth, N ms Nth, N ms N.1th.";

/// The figures of a total line of the performance test, parsed as Kafka's own system tests parse it.
#[derive(Debug)]
#[allow(
    dead_code,
    reason = "some test binaries include this file and use a part of it"
)]
pub(crate) struct Total {
    pub(crate) records: u64,
    pub(crate) records_per_second: f64,
    pub(crate) megabytes_per_second: f64,
    pub(crate) latency_avg_ms: f64,
    pub(crate) latency_max_ms: f64,
    /// The 50th, 95th, 99th and 99.9th percentile of the latency.
    pub(crate) percentiles_ms: [f64; 4],
}

/// Parses a total line: parts separated by commas, numbers followed by blanks.
pub(crate) fn parse_total(line: &str) -> Option<Total> {
    let parts: Vec<&str> = line.split(',').collect();
    let first = |part: usize| parts.get(part)?.split_whitespace().next();
    let number = |part: usize| -> Option<f64> { first(part)?.parse().ok() };
    Some(Total {
        records: first(0)?.parse().ok()?,
        records_per_second: number(1)?,
        megabytes_per_second: parts
            .get(1)?
            .split('(')
            .nth(1)?
            .split_whitespace()
            .next()?
            .parse()
            .ok()?,
        latency_avg_ms: number(2)?,
        latency_max_ms: number(3)?,
        percentiles_ms: [number(4)?, number(5)?, number(6)?, number(7)?],
    })
}

#[test]
fn a_shape_keeps_words_and_counts_decimals() {
    assert_eq!(shape("12 a (0.25 b), 3."), "N a (N.2 b), N.");
    assert_eq!(numbers("12 a (0.25 b), 3."), [12.0, 0.25, 3.0]);
}
