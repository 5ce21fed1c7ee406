//! The content of the matrix's records.

use kafka_producer::{Header, ProducerRecord};

use super::releases::Release;
use crate::harness::ReadRecord;

const EPOCH_MS: i64 = 1_600_000_000_000;
const WORDS: [&str; 8] = [
    "order",
    "shipped",
    "to",
    "warehouse",
    "with",
    "invoice",
    "and",
    "receipt",
];

/// The content of one record. All records together have all variants: keys null or not, values null, empty, short or
/// long, timestamps that also decrease, headers of all kinds if the broker supports them.
pub(super) struct Content {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    pub(super) timestamp: i64,
    headers: Vec<(&'static str, Option<Vec<u8>>)>,
}

impl Content {
    pub(super) fn of(number: usize, release: &Release) -> Self {
        let key = (number % 5 != 0).then(|| format!("customer-{}", number % 997).into_bytes());
        let back = if number % 7 == 0 { 5_000 } else { 0 };
        Self {
            key,
            value: value(number),
            timestamp: EPOCH_MS + 3 * number as i64 - back,
            headers: if release.has_headers() {
                headers(number)
            } else {
                Vec::new()
            },
        }
    }

    pub(super) fn record<'a>(&'a self, topic: &'a str) -> ProducerRecord<'a, [u8], [u8]> {
        let mut record = match &self.value {
            Some(value) => ProducerRecord::new(topic, &value[..]),
            None => ProducerRecord::tombstone(topic, &b""[..]),
        };
        match &self.key {
            Some(key) => record.set_key(&key[..]),
            None => record.clear_key(),
        }
        let header = |(name, value): &(&'static str, Option<Vec<u8>>)| match value {
            Some(value) => Header::new(*name, value.clone()),
            None => Header::null(*name),
        };
        record
            .with_headers(self.headers.iter().map(header).collect())
            .with_timestamp(self.timestamp)
    }

    /// Compares with the record that was read; the error has the expected content.
    pub(super) fn compare(&self, read: &ReadRecord<'_>) -> Result<(), String> {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_deref()))
            .collect();
        let expected = ReadRecord {
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            timestamp: self.timestamp,
            headers,
            timestamp_type: crate::harness::TimestampType::CreateTime,
            ..read.clone()
        };
        if *read == expected {
            Ok(())
        } else {
            Err(format!("read {read:?} instead of {expected:?}"))
        }
    }
}

/// Text with some noise: partly compressible.
fn value(number: usize) -> Option<Vec<u8>> {
    match number % 1_000 {
        7 => return None,
        8 => return Some(Vec::new()),
        _ => {}
    }
    let mut noise = fastrand::Rng::with_seed(number as u64);
    let mut text = format!("{number}: {:016x}", noise.u64(..));
    for _ in 0..noise.usize(0..30) {
        text.push(' ');
        text.push_str(WORDS[noise.usize(0..WORDS.len())]);
    }
    Some(text.into_bytes())
}

fn headers(number: usize) -> Vec<(&'static str, Option<Vec<u8>>)> {
    match number % 10 {
        0 => vec![("trace", Some(number.to_string().into_bytes()))],
        1 => vec![("null", None), ("empty", Some(Vec::new()))],
        2 => vec![
            ("twice", Some(vec![0, 255])),
            ("twice", None),
            ("\u{e4}", None),
        ],
        _ => Vec::new(),
    }
}
