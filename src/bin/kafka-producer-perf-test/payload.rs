//! The values of records: random letters, parts of a file, or the number of the record.

use std::error::Error;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

use fastrand::Rng;
use regex_lite::Regex;

use crate::console;
use crate::options::PayloadSource;

/// Fixed seed: every run sends the same values.
const SEED: u64 = 0;

/// An infinite source of values that does not allocate.
#[derive(Debug)]
pub(crate) enum Payloads {
    /// Random capital letters, generated for each record in the same buffer.
    Random { value: Vec<u8>, random: Rng },
    /// Random parts of a text.
    Drawn {
        text: String,
        parts: Vec<TextRange>,
        random: Rng,
    },
    /// The number of the record in decimal digits, from 0.
    Numbers { next: u64, text: Vec<u8> },
}

/// Start and end of a part of the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextRange(usize, usize);

impl Payloads {
    pub(crate) fn open(source: &PayloadSource) -> Result<Self, Box<dyn Error>> {
        match source {
            PayloadSource::Random { bytes } => Ok(Self::random(*bytes)),
            PayloadSource::File { path, delimiter } => Self::read(path, delimiter),
            PayloadSource::Monotonic => Ok(Self::Numbers {
                next: 0,
                text: Vec::new(),
            }),
        }
    }

    fn random(bytes: usize) -> Self {
        Self::Random {
            value: vec![0; bytes],
            random: Rng::with_seed(SEED),
        }
    }

    /// Reads the file, and prints the same messages as Kafka's tool.
    fn read(path: &Path, delimiter: &str) -> Result<Self, Box<dyn Error>> {
        let shown = std::path::absolute(path)?;
        console::out(&format!("Reading payloads from: {}", shown.display()));
        let bytes = std::fs::read(path).map_err(|error| {
            format!(
                "the payload file {} cannot be read: {error}",
                path.display()
            )
        })?;
        if bytes.is_empty() {
            return Err(format!("the payload file {} is empty", path.display()).into());
        }
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        let parts = split(&text, delimiter)?;
        console::out(&format!("Number of messages read: {}", parts.len()));
        if parts.is_empty() {
            return Err(format!(
                "the payload file {} has delimiters and nothing else",
                path.display()
            )
            .into());
        }
        Ok(Self::Drawn {
            text,
            parts,
            random: Rng::with_seed(SEED),
        })
    }

    #[inline]
    pub(crate) fn next(&mut self) -> &[u8] {
        match self {
            Self::Random { value, random } => {
                fill(value, random);
                value
            }
            Self::Drawn {
                text,
                parts,
                random,
            } => {
                let TextRange(start, end) = parts[random.usize(..parts.len())];
                &text.as_bytes()[start..end]
            }
            Self::Numbers { next, text } => {
                text.clear();
                // Writing to memory cannot fail.
                let _ = write!(text, "{next}");
                *next += 1;
                text
            }
        }
    }
}

/// Takes four letters from each random number. With 16 bits for a letter the bias is negligible.
fn fill(value: &mut [u8], random: &mut Rng) {
    for letters in value.chunks_mut(4) {
        let mut bits = random.u64(..);
        for letter in letters {
            *letter = b'A' + (((bits & 0xffff) * 26) >> 16) as u8;
            bits >>= 16;
        }
    }
}

/// Splits a text like Java's `String#split`: at a regular expression, without trailing empty parts.
fn split(text: &str, delimiter: &str) -> Result<Vec<TextRange>, Box<dyn Error>> {
    let literal = regex_lite::escape(delimiter) == delimiter;
    let cuts: Vec<Range<usize>> = if literal && !delimiter.is_empty() {
        let found = text.match_indices(delimiter);
        found.map(|(at, cut)| at..at + cut.len()).collect()
    } else {
        let pattern = Regex::new(delimiter)
            .map_err(|error| format!("the payload delimiter is no regular expression: {error}"))?;
        let found = pattern.find_iter(text).map(|cut| cut.range());
        // As in Java 8 and later, an empty match at the start does not produce an empty part.
        found.filter(|cut| cut.end > 0).collect()
    };
    if cuts.is_empty() {
        return Ok(vec![TextRange(0, text.len())]);
    }
    let mut parts = Vec::with_capacity(cuts.len() + 1);
    let mut start = 0;
    for cut in cuts {
        parts.push(TextRange(start, cut.start));
        start = cut.end;
    }
    parts.push(TextRange(start, text.len()));
    let kept = parts.iter().rposition(|part| part.0 < part.1);
    parts.truncate(kept.map_or(0, |last| last + 1));
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut<'a>(text: &'a str, delimiter: &str) -> Vec<&'a str> {
        let parts = split(text, delimiter).unwrap();
        parts.iter().map(|part| &text[part.0..part.1]).collect()
    }

    /// The results of Java 17 for the same texts.
    #[test]
    fn a_text_is_split_as_java_splits_it() {
        assert_eq!(cut("Hello\nKafka", "\n"), ["Hello", "Kafka"]);
        assert_eq!(cut("Hello\nKafka\n", "\n"), ["Hello", "Kafka"]);
        assert_eq!(cut("\na\n\nb\n\n\n", "\n"), ["", "a", "", "b"]);
        assert_eq!(cut("a", "\n"), ["a"]);
        assert_eq!(cut("a;;b;c", ";+"), ["a", "b", "c"]);
        assert_eq!(cut("a.b", "."), [""; 0]);
        assert_eq!(cut("a.b", r"\."), ["a", "b"]);
        assert_eq!(cut("a\tb", r"\t"), ["a", "b"]);
        assert_eq!(cut("ab,ß", ""), ["a", "b", ",", "ß"]);
        assert_eq!(cut("\n\n", "\n"), [""; 0]);
        assert!(split("a", "(").unwrap_err().to_string().contains("regular"));
    }

    /// `ProducerPerformanceTest#testGenerateRandomPayloadByRecordSize`
    #[test]
    fn random_payloads_are_capital_letters_that_differ_between_records_but_not_between_runs() {
        let mut payloads = Payloads::random(1001);
        let first = payloads.next().to_vec();
        assert_eq!(first.len(), 1001);
        assert!(first.iter().all(u8::is_ascii_uppercase));
        for letter in b'A'..=b'Z' {
            assert!(first.contains(&letter), "no {} at all", letter as char);
        }
        assert_ne!(payloads.next(), first);
        assert_eq!(Payloads::random(1001).next(), first);
    }

    #[test]
    fn monotonic_payloads_are_the_numbers_from_zero() {
        let mut payloads = Payloads::open(&PayloadSource::Monotonic).unwrap();
        for number in 0..1001 {
            assert_eq!(payloads.next(), number.to_string().as_bytes());
        }
    }

    /// `ProducerPerformanceTest#testReadPayloadFile`
    #[test]
    fn every_payload_of_a_file_is_drawn() {
        let path = std::env::temp_dir().join(format!("perf-test-payloads-{}", std::process::id()));
        std::fs::write(&path, b"Hello\nK\xe4fka\n").unwrap();
        let mut payloads = Payloads::read(&path, "\n").unwrap();
        let drawn: Vec<Vec<u8>> = (0..100).map(|_| payloads.next().to_vec()).collect();
        let share = drawn.iter().filter(|payload| *payload == b"Hello").count();
        assert!((20..80).contains(&share), "{share} of 100");
        // Invalid UTF-8 is replaced, as in Java.
        assert!(drawn.contains(&"K\u{fffd}fka".as_bytes().to_vec()));
        std::fs::write(&path, b"").unwrap();
        assert!(Payloads::read(&path, "\n").is_err());
        std::fs::write(&path, b"\n\n").unwrap();
        assert!(Payloads::read(&path, "\n").is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(Payloads::read(&path, "\n").is_err());
    }
}
