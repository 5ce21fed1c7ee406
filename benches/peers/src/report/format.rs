//! Formats numbers for tables.

use crate::stats::Figure;

/// Formats a number: from 1 on with three significant digits, from 1,000 on as a whole number with commas between
/// thousands, below 1 with three decimals (below 0.001 with five).
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let magnitude = value.abs();
    let decimals = match magnitude {
        m if m >= 100.0 => 0,
        m if m >= 10.0 => 1,
        m if m >= 1.0 => 2,
        m if m >= 0.001 => 3,
        0.0 => 0,
        _ => 5,
    };
    with_commas(&format!("{value:.decimals$}"))
}

/// Formats a whole number with commas between thousands.
pub fn count(value: usize) -> String {
    with_commas(&value.to_string())
}

fn with_commas(text: &str) -> String {
    let (whole, fraction) = text
        .split_once('.')
        .map_or((text, None), |(w, f)| (w, Some(f)));
    let digits = whole.trim_start_matches('-').len();
    let mut out = String::new();
    let sign = whole.len() - digits;
    for (at, letter) in whole.chars().enumerate() {
        let left = whole.len() - at;
        if at > sign && left.is_multiple_of(3) {
            out.push(',');
        }
        out.push(letter);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// Formats large numbers in thousands and millions.
pub fn rate(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} M", number(v / 1e6)),
        v if v >= 1e4 => format!("{} k", number(v / 1e3)),
        v => number(v),
    }
}

/// Formats a median with its interval.
pub fn interval(figure: Option<Figure>, write: fn(f64) -> String) -> String {
    let Some(figure) = figure else {
        return "–".to_owned();
    };
    if figure.low.total_cmp(&figure.high).is_eq() {
        return write(figure.median);
    }
    format!(
        "{} [{}–{}]",
        write(figure.median),
        write(figure.low),
        write(figure.high)
    )
}

pub fn median(figure: Option<Figure>, write: fn(f64) -> String) -> String {
    figure.map_or_else(|| "–".to_owned(), |figure| write(figure.median))
}

/// Formats a median, and in brackets the least value of the rounds, if there is more than one.
pub fn with_least(figure: Option<Figure>, unit: &str) -> String {
    let Some(figure) = figure else {
        return format!("–{unit}");
    };
    let median = number(figure.median);
    if figure.least.total_cmp(&figure.most).is_eq() {
        return format!("{median}{unit}");
    }
    format!("{median} ({}){unit}", number(figure.least))
}

pub fn least(figure: Option<Figure>, write: fn(f64) -> String) -> String {
    figure.map_or_else(|| "–".to_owned(), |figure| write(figure.least))
}

/// Formats microseconds; from 10,000 on as milliseconds.
pub fn micros(value: f64) -> String {
    if value >= 10_000.0 {
        format!("{} ms", number(value / 1e3))
    } else {
        format!("{} µs", number(value))
    }
}

/// Escapes text for a cell of a table.
pub fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_significant_digits() {
        let written = [
            0.0,
            0.2444,
            1.0,
            12.345,
            123.4,
            1_234.5,
            1_234_567.0,
            0.000_04,
        ]
        .map(number);
        assert_eq!(
            written,
            [
                "0",
                "0.244",
                "1.00",
                "12.3",
                "123",
                "1,234",
                "1,234,567",
                "0.00004"
            ]
        );
        assert_eq!(number(f64::NAN), "–");
    }

    #[test]
    fn rates_and_times_have_their_units() {
        assert_eq!(
            [3.523e6, 812_345.0, 9_998.0].map(rate),
            ["3.52 M", "812 k", "9,998"]
        );
        assert_eq!(
            [12.0, 5_200.0, 52_000.0].map(micros),
            ["12.0 µs", "5,200 µs", "52.0 ms"]
        );
    }

    #[test]
    fn an_interval_of_one_round_is_its_median() {
        let figure = Figure::of([2.0]);
        assert_eq!(interval(figure, number), "2.00");
        let figure = Figure::of([1.0, 2.0, 3.0]);
        assert_eq!(interval(figure, number), "2.00 [1.00–3.00]");
        assert_eq!(interval(None, number), "–");
    }

    #[test]
    fn the_least_is_that_of_all_rounds_and_not_the_end_of_the_interval() {
        let figure = Figure::of((1..=9).map(f64::from));
        assert_eq!(interval(figure, number), "5.00 [2.00–8.00]");
        assert_eq!(least(figure, number), "1.00");
        assert_eq!(with_least(figure, " µs"), "5.00 (1.00) µs");
        assert_eq!(with_least(Figure::of([2.0]), " µs"), "2.00 µs");
        assert_eq!(with_least(None, " µs"), "– µs");
        assert_eq!(least(None, number), "–");
    }

    #[test]
    fn a_vertical_bar_in_a_cell_is_escaped() {
        assert_eq!(cell("a|b\nc"), "a\\|b c");
    }
}
