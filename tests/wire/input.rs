//! Parses the descriptions of bytes in the vectors, which `java/kafkaproducer/wire/Input.java` and `Output.java` write.

use bytes::Bytes;
use serde_json::Value as Json;

const PHRASES: [&str; 16] = [
    "the order was paid, ",
    "in the garden of the king ",
    "delivered on the third journey; ",
    "no ",
    "a ledger for each house and mountain, ",
    "by night, ",
    "with currency and amount ",
    "and so ",
    "\"customer\": \"customer-17\", ",
    "\"amount\": 100, ",
    "\"paid\": true, ",
    "\"paid\": false, ",
    "2021-09-21T00:00:00Z ",
    "INFO  started in ",
    "WARN  gave up after ",
    "17 ms\n",
];

/// The input bytes of a vector; `None` for null.
pub(crate) fn input(described: &Json) -> Option<Bytes> {
    match described {
        Json::Null => None,
        Json::String(text) => Some(text.clone().into()),
        _ => Some(recipe(described).into()),
    }
}

/// The output bytes of a vector.
pub(crate) fn output(described: &Json) -> Vec<u8> {
    match described {
        Json::String(digits) => unhex(digits),
        Json::Array(pieces) => pieces.iter().flat_map(output).collect(),
        _ => {
            let from = size(described, "from");
            recipe(described)[from..from + size(described, "count")].to_vec()
        }
    }
}

fn size(described: &Json, name: &str) -> usize {
    let number = described[name].as_u64();
    number.unwrap_or_else(|| panic!("no {name} in {described}")) as usize
}

fn recipe(described: &Json) -> Vec<u8> {
    if let Some(digits) = described["hex"].as_str() {
        return unhex(digits);
    }
    let length = size(described, "length");
    let mut bytes = Vec::with_capacity(length + 64);
    if let Some(seed) = described["random"].as_u64() {
        bytes.extend(Steps(seed).take(length).map(|state| (state >> 56) as u8));
    } else if let Some(seed) = described["phrases"].as_u64() {
        for state in Steps(seed) {
            if bytes.len() >= length {
                break;
            }
            bytes.extend_from_slice(PHRASES[(state >> 60) as usize].as_bytes());
        }
    } else {
        assert!(!described["zeros"].is_null(), "no such bytes: {described}");
    }
    bytes.resize(length, 0);
    bytes
}

/// An iterator over the states of a linear congruential generator, without the seed.
struct Steps(u64);

impl Iterator for Steps {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Some(self.0)
    }
}

pub(crate) fn unhex(digits: &str) -> Vec<u8> {
    assert!(digits.is_ascii() && digits.len() % 2 == 0, "{digits}");
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").unwrap();
        digits
    })
}
