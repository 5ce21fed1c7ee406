//! The files of vectors.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

crate::tests![there_are_enough_vectors_of_each_subject];

/// Each file with its minimum number of lines, so that lost lines are detected.
pub(crate) const FILES: [(&str, usize); 8] = [
    ("varints.jsonl", 150),
    ("checksums.jsonl", 70),
    ("partitions.jsonl", 70),
    ("requests.jsonl", 240),
    ("responses.jsonl", 240),
    ("record_sets.jsonl", 40),
    ("batches.jsonl", 340),
    ("down_conversions.jsonl", 160),
];

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/vectors")
}

/// The vectors of a file.
pub(crate) fn read(file: &str) -> Vec<Json> {
    let path = folder().join(file);
    let text = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let lines = text.lines().enumerate();
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{file}:{}: {error}", at + 1))
        })
        .collect()
}

pub(crate) fn text<'a>(vector: &'a Json, name: &str) -> &'a str {
    vector[name]
        .as_str()
        .unwrap_or_else(|| panic!("no text {name} in {vector}"))
}

pub(crate) fn number<N: TryFrom<i64>>(vector: &Json, name: &str) -> N {
    vector[name]
        .as_i64()
        .and_then(|number| N::try_from(number).ok())
        .unwrap_or_else(|| panic!("no such number {name} in {vector}"))
}

fn there_are_enough_vectors_of_each_subject() {
    for (file, least) in FILES {
        let count = read(file).len();
        println!("{file}: {count} vectors");
        assert!(count >= least, "{file} has only {count}");
    }
}
