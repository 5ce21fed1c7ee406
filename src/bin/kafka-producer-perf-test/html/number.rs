//! Numbers as text, for readers.

/// A whole number with a comma between groups of three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with a fixed number of decimals, and commas before the point.
pub(crate) fn fixed(number: f64, places: usize) -> String {
    let text = format!("{number:.places$}");
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    if decimals.is_empty() {
        whole
    } else {
        format!("{whole}.{decimals}")
    }
}

/// A rate: whole from 100, otherwise three significant digits.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate >= 99.95 => grouped(rate.round() as u64),
        rate if rate >= 9.995 => format!("{rate:.1}"),
        rate if rate > 0.0 => format!("{rate:.2}"),
        _ => "0".to_owned(),
    }
}

/// A tick of an axis: `0`, `2.5 k`, `40 M`.
pub(crate) fn with_prefix(number: f64) -> String {
    for (unit, prefix) in [(1e9, " G"), (1e6, " M"), (1e3, " k")] {
        if number >= unit {
            return format!("{}{prefix}", short(number / unit));
        }
    }
    short(number)
}

/// A time with its unit, in three significant digits.
pub(crate) fn three_digit_time(us: f64) -> String {
    if us < 999.5 {
        format!("{us:.0} µs")
    } else if us < 999_500.0 {
        format!("{} ms", three_digits(us / 1e3))
    } else {
        format!("{} s", three_digits(us / 1e6))
    }
}

/// A tick of an axis of latencies: the same without trailing zeros.
pub(crate) fn latency_tick(us: f64) -> String {
    if us < 1e3 {
        format!("{} µs", short(us))
    } else if us < 1e6 {
        format!("{} ms", short(us / 1e3))
    } else {
        format!("{} s", grouped_or_short(us / 1e6))
    }
}

/// A duration or a time since the start, from nanoseconds: `340 ms`, `12.3 s`, `5 min 20 s`, `3 h 7 min`.
pub(crate) fn duration(ns: u64) -> String {
    let seconds = ns as f64 / 1e9;
    if seconds < 0.9995 {
        format!("{} ms", short(three_places(seconds * 1e3)))
    } else if seconds < 119.95 {
        format!("{} s", short(three_places(seconds)))
    } else {
        let whole = seconds.round() as u64;
        let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
        match (hours, minutes, seconds) {
            (0, minutes, 0) => format!("{minutes} min"),
            (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
            (hours, 0, _) => format!("{hours} h"),
            (hours, minutes, _) => format!("{hours} h {minutes} min"),
        }
    }
}

/// A size in bytes, with a binary unit.
pub(crate) fn bytes(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit {
            return format!("{} {name}", three_digits(bytes as f64 / unit as f64));
        }
    }
    format!("{bytes} bytes")
}

fn three_digits(number: f64) -> String {
    if number >= 99.95 {
        grouped(number.round() as u64)
    } else if number >= 9.995 {
        format!("{number:.1}")
    } else {
        format!("{number:.2}")
    }
}

fn three_places(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// Without trailing zeros. Rust prints the shortest decimals that are read as the same number, so a few digits are
/// rounded away first.
fn short(number: f64) -> String {
    let rounded = (number * 1e6).round() / 1e6;
    format!("{rounded}")
}

fn grouped_or_short(number: f64) -> String {
    if number >= 1000.0 {
        grouped(number.round() as u64)
    } else {
        short(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_grouped() {
        let all = [0, 999, 1000, 12_345, 1_234_567].map(grouped);
        assert_eq!(all, ["0", "999", "1,000", "12,345", "1,234,567"]);
        let all = [0.0, 1234.5, 999.996].map(|number| fixed(number, 2));
        assert_eq!(all, ["0.00", "1,234.50", "1,000.00"]);
        assert_eq!(fixed(1234.5, 0), "1,234");
    }

    #[test]
    fn rates_and_times_have_three_digits() {
        let rates = [0.0, 0.4, 3.16227, 42.0, 99.96, 123_456.7].map(rate);
        assert_eq!(rates, ["0", "0.40", "3.16", "42.0", "100", "123,457"]);
        let times = [0.0, 850.0, 1234.0, 23_456.0, 999_499.0, 2e6, 86_400e6].map(three_digit_time);
        assert_eq!(
            times,
            [
                "0 µs", "850 µs", "1.23 ms", "23.5 ms", "999 ms", "2.00 s", "86,400 s"
            ]
        );
    }

    #[test]
    fn ticks_are_short() {
        let ticks = [0.0, 0.5, 250.0, 2500.0, 40e6, 1e9].map(with_prefix);
        assert_eq!(ticks, ["0", "0.5", "250", "2.5 k", "40 M", "1 G"]);
        let ticks = [1.0, 500.0, 2e3, 1e5, 5e6, 1e10].map(latency_tick);
        assert_eq!(
            ticks,
            ["1 µs", "500 µs", "2 ms", "100 ms", "5 s", "10,000 s"]
        );
    }

    #[test]
    fn durations_use_the_units_of_a_clock() {
        let ms = [
            0, 340, 1_000, 12_345, 120_000, 320_000, 3_600_000, 11_250_000,
        ];
        let texts = ms.map(|ms| duration(ms * 1_000_000));
        assert_eq!(
            texts,
            [
                "0 ms",
                "340 ms",
                "1 s",
                "12.345 s",
                "2 min",
                "5 min 20 s",
                "1 h",
                "3 h 7 min"
            ]
        );
    }

    #[test]
    fn sizes_have_binary_units() {
        let sizes = [100, 2048, 1 << 25, 3 << 30].map(bytes);
        assert_eq!(sizes, ["100 bytes", "2.00 KiB", "32.0 MiB", "3.00 GiB"]);
    }
}
