//! What is sent.

use std::error::Error;
use std::ops::Range;
use std::path::Path;

use fastrand::Rng;
use regex_lite::Regex;

use crate::console;
use crate::options::PayloadSource;

/// Every run sends the same.
const SEED: u64 = 0;

/// A source of values that never ends and allocates nothing.
#[derive(Debug)]
pub(crate) enum Payloads {
    /// Capital letters, written anew for each record.
    Random { value: Vec<u8>, random: Rng },
    /// Parts of a text, drawn at random.
    Drawn {
        text: String,
        parts: Vec<Part>,
        random: Rng,
    },
}

/// Where a part of the text begins and where it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part(usize, usize);

impl Payloads {
    pub(crate) fn open(source: &PayloadSource) -> Result<Self, Box<dyn Error>> {
        match source {
            PayloadSource::Random { bytes } => Ok(Self::random(*bytes)),
            PayloadSource::File { path, delimiter } => Self::read(path, delimiter),
        }
    }

    fn random(bytes: usize) -> Self {
        Self::Random {
            value: vec![0; bytes],
            random: Rng::with_seed(SEED),
        }
    }

    /// Tells what it reads, in the words in which Kafka's tool does.
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
                let Part(start, end) = parts[random.usize(..parts.len())];
                &text.as_bytes()[start..end]
            }
        }
    }
}

/// Four letters from one random number: 16 bits are enough for one to be as likely as another.
fn fill(value: &mut [u8], random: &mut Rng) {
    for letters in value.chunks_mut(4) {
        let mut bits = random.u64(..);
        for letter in letters {
            *letter = b'A' + (((bits & 0xffff) * 26) >> 16) as u8;
            bits >>= 16;
        }
    }
}

/// Cuts a text as Java's `String#split` does: at a regular expression, without the empty ends.
fn split(text: &str, delimiter: &str) -> Result<Vec<Part>, Box<dyn Error>> {
    let literal = regex_lite::escape(delimiter) == delimiter;
    let cuts: Vec<Range<usize>> = if literal && !delimiter.is_empty() {
        let found = text.match_indices(delimiter);
        found.map(|(at, cut)| at..at + cut.len()).collect()
    } else {
        let pattern = Regex::new(delimiter)
            .map_err(|error| format!("the payload delimiter is no regular expression: {error}"))?;
        let found = pattern.find_iter(text).map(|cut| cut.range());
        // An empty match at the start cuts nothing off.
        found.filter(|cut| cut.end > 0).collect()
    };
    if cuts.is_empty() {
        return Ok(vec![Part(0, text.len())]);
    }
    let mut parts = Vec::with_capacity(cuts.len() + 1);
    let mut start = 0;
    for cut in cuts {
        parts.push(Part(start, cut.start));
        start = cut.end;
    }
    parts.push(Part(start, text.len()));
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

    /// What Java 17 makes of the same texts.
    #[test]
    fn a_text_is_cut_as_java_cuts_it() {
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
    fn sized_payloads_are_capital_letters_new_for_each_record_and_the_same_in_each_run() {
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

    /// `ProducerPerformanceTest#testReadPayloadFile`
    #[test]
    fn payloads_of_a_file_are_all_drawn() {
        let path = std::env::temp_dir().join(format!("perf-test-payloads-{}", std::process::id()));
        std::fs::write(&path, b"Hello\nK\xe4fka\n").unwrap();
        let mut payloads = Payloads::read(&path, "\n").unwrap();
        let drawn: Vec<Vec<u8>> = (0..100).map(|_| payloads.next().to_vec()).collect();
        let share = drawn.iter().filter(|payload| *payload == b"Hello").count();
        assert!((20..80).contains(&share), "{share} of 100");
        // What is not UTF-8 is replaced, as Java does.
        assert!(drawn.contains(&"K\u{fffd}fka".as_bytes().to_vec()));
        std::fs::write(&path, b"").unwrap();
        assert!(Payloads::read(&path, "\n").is_err());
        std::fs::write(&path, b"\n\n").unwrap();
        assert!(Payloads::read(&path, "\n").is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(Payloads::read(&path, "\n").is_err());
    }
}
