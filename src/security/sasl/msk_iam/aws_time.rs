//! Times as AWS writes them: `20240229T235959Z` in signatures, `2024-02-29T23:59:59Z` in answers.

use crate::clock::Timestamp;
use crate::security::tls::date::{CivilTime, number};

/// The form of `X-Amz-Date`; its first eight characters are the date of a signature's scope.
pub(super) fn amz_date(time: Timestamp) -> String {
    let seconds = u64::try_from(time.as_millis().div_euclid(1000)).unwrap_or_default();
    let CivilTime {
        year,
        month,
        day,
        hour,
        minute,
        second,
    } = CivilTime::of(seconds);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Parses a time in UTC, with or without a fraction of a second, which is dropped.
pub(super) fn parse_utc(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_at_checked("2024-02-29T23:59:59".len())?;
    let is_fraction = |text: &str| {
        let digits = text.strip_prefix('.');
        digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
    };
    let has_marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')]
        .iter()
        .all(|(at, mark)| whole.as_bytes()[*at] == *mark);
    if !has_marks || !(fraction.is_empty() || is_fraction(fraction)) {
        return None;
    }
    let time = CivilTime {
        year: number(whole, 0..4)?,
        month: number(whole, 5..7)?,
        day: number(whole, 8..10)?,
        hour: number(whole, 11..13)?,
        minute: number(whole, 14..16)?,
        second: number(whole, 17..19)?,
    };
    let seconds = i64::try_from(time.seconds()?).ok()?;
    Some(Timestamp::from_millis(seconds * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_parsed_as_aws_does() {
        for (seconds, signed, answered) in [
            (0, "19700101T000000Z", "1970-01-01T00:00:00Z"),
            (951_782_399, "20000228T235959Z", "2000-02-28T23:59:59Z"),
            (
                1_709_164_800,
                "20240229T000000Z",
                "2024-02-29T00:00:00.123Z",
            ),
            (4_102_444_799, "20991231T235959Z", "2099-12-31T23:59:59.9Z"),
        ] {
            let time = Timestamp::from_millis(seconds * 1000);
            assert_eq!(amz_date(time), signed);
            assert_eq!(
                amz_date(Timestamp::from_millis(seconds * 1000 + 999)),
                signed
            );
            assert_eq!(parse_utc(answered), Some(time));
        }
        assert_eq!(amz_date(Timestamp::from_millis(-1)), "19700101T000000Z");
    }

    #[test]
    fn other_forms_of_a_time_are_rejected() {
        for text in [
            "",
            "Z",
            "2024-02-29T23:59:59",
            "2024-02-29T23:59:59+00:00",
            "2024-02-29 23:59:59Z",
            "2024-13-29T23:59:59Z",
            "2024-02-29T23:59:59x5Z",
            "2024-02-29T23:59:59.x5Z",
            "+024-02-29T23:59:59Z",
            "1969-12-31T23:59:59Z",
            "é024-02-29T23:59:5Z",
        ] {
            assert_eq!(parse_utc(text), None, "{text}");
        }
    }
}
