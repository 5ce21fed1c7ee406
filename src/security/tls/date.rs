//! Formats calendar dates, and parses the dates of certificates. The arithmetic uses years that begin in March, so that
//! the leap day is the last day of a year.

use rustls::pki_types::CertificateDer;

use super::der::{SEQUENCE, expect, from_issuer, take};

const SECONDS_PER_DAY: u64 = 24 * 3600;
/// Days of 400 years, a full cycle of the Gregorian calendar.
const DAYS_PER_400_YEARS: u64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: u64 = 719_468;

/// A date and a time of day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::security) struct CivilTime {
    pub(in crate::security) year: u64,
    pub(in crate::security) month: u64,
    pub(in crate::security) day: u64,
    pub(in crate::security) hour: u64,
    pub(in crate::security) minute: u64,
    pub(in crate::security) second: u64,
}

impl CivilTime {
    /// The date and time that are this many seconds after 1970.
    pub(in crate::security) fn of(seconds: u64) -> Self {
        let (days, rest) = (
            seconds / SECONDS_PER_DAY + DAYS_TO_1970,
            seconds % SECONDS_PER_DAY,
        );
        let (era, day) = (days / DAYS_PER_400_YEARS, days % DAYS_PER_400_YEARS);
        let year = (day - day / 1460 + day / 36_524 - day / (DAYS_PER_400_YEARS - 1)) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, year) = if month < 10 {
            (month + 3, year)
        } else {
            (month - 9, year + 1)
        };
        Self {
            year: era * 400 + year,
            month,
            day,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// Seconds since 1970; `None` before 1970, after the year 9999, and if month or day do not exist.
    pub(in crate::security) fn seconds(self) -> Option<u64> {
        if !(1..=12).contains(&self.month)
            || !(1..=31).contains(&self.day)
            || !(1970..=9999).contains(&self.year)
        {
            return None;
        }
        let (month, year) = if self.month > 2 {
            (self.month - 3, self.year)
        } else {
            (self.month + 9, self.year - 1)
        };
        let (era, year) = (year / 400, year % 400);
        let days = era * DAYS_PER_400_YEARS + 365 * year + year / 4 - year / 100
            + (153 * month + 2) / 5
            + self.day
            - 1;
        let time = self.hour * 3600 + self.minute * 60 + self.second;
        Some((days - DAYS_TO_1970) * SECONDS_PER_DAY + time)
    }
}

/// Formats seconds since 1970 as date and time in UTC.
pub(super) fn format_utc(seconds: u64) -> String {
    let CivilTime {
        year,
        month,
        day,
        hour,
        minute,
        second,
    } = CivilTime::of(seconds);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// `notBefore` and `notAfter` of a certificate, in seconds since 1970; `None` for one that cannot be parsed.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> (Option<u64>, Option<u64>) {
    let times = || {
        let mut fields = from_issuer(certificate)?;
        take(&mut fields)?;
        let mut validity = expect(&mut fields, SEQUENCE)?;
        Some((take(&mut validity)?, take(&mut validity)?))
    };
    times().map_or((None, None), |(from, until)| {
        (seconds(from.0, from.1), seconds(until.0, until.1))
    })
}

/// Parses `UTCTime` and `GeneralizedTime`, in the one form that RFC 5280 allows.
fn seconds(tag: u8, time: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let (year, rest) = match (tag, text.len()) {
        (0x17, 12) => {
            let year: u64 = number(text, 0..2)?;
            (if year < 50 { 2000 } else { 1900 } + year, &text[2..])
        }
        (0x18, 14) => (number(text, 0..4)?, &text[4..]),
        _ => return None,
    };
    let time = CivilTime {
        year,
        month: number(rest, 0..2)?,
        day: number(rest, 2..4)?,
        hour: number(rest, 4..6)?,
        minute: number(rest, 6..8)?,
        second: number(rest, 8..10)?,
    };
    time.seconds()
}

/// The decimal number at these bytes of a text.
pub(in crate::security) fn number(text: &str, at: std::ops::Range<usize>) -> Option<u64> {
    let digits = text.get(at)?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(())?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_formatted_as_calendar_dates() {
        for (moment, text, in_certificate) in [
            (0, "1970-01-01 00:00:00 UTC", "19700101000000Z"),
            (951_782_399, "2000-02-28 23:59:59 UTC", "20000228235959Z"),
            (951_782_400, "2000-02-29 00:00:00 UTC", "20000229000000Z"),
            (1_646_092_800, "2022-03-01 00:00:00 UTC", "20220301000000Z"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC", "20241231235959Z"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC", "21000301000000Z"),
        ] {
            assert_eq!(format_utc(moment), text);
            assert_eq!(seconds(0x18, in_certificate.as_bytes()), Some(moment));
            if moment < 2_524_608_000 {
                assert_eq!(seconds(0x17, &in_certificate.as_bytes()[2..]), Some(moment));
            }
        }
        for none in [
            "",
            "Z",
            "20221301000000Z",
            "2022030100000Z",
            "20220301000000",
            "+0220301000000Z",
        ] {
            assert_eq!(seconds(0x18, none.as_bytes()), None, "{none}");
        }
        for hostile in [
            &[0x30][..],
            &[0x30, 2, 0x30, 0],
            &[0x30, 4, 0x30, 2, 2, 0],
            b"\xff",
        ] {
            assert_eq!(validity(&CertificateDer::from(hostile)), (None, None));
        }
    }
}
