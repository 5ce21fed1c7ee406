//! The checked-in test vectors match the results of Kafka's own code.
//!
//! `UPDATE_VECTORS=1 KAFKA_TESTS=required cargo test --test kafka -- vectors` updates them.

use std::fmt::Write;
use std::path::Path;

use crate::harness::Helper;
use crate::runner::{TestResult, tests};

tests![the_murmur2_vectors_are_those_that_java_computes];

const PARTITIONS: i32 = 12;
const LONGEST_KEY: usize = 200;
const KEYS_OF_A_LENGTH: usize = 10;

fn the_murmur2_vectors_are_those_that_java_computes() -> TestResult {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/util/murmur2/java.txt");
    let keys = keys();
    let computed = Helper::new()?.partitions_of_keys(keys.iter().map(Vec::as_slice), PARTITIONS)?;
    assert_eq!(computed.len(), keys.len());
    let mut text = String::from(
        "# Keys, their Murmur2 hashes and their partitions among 12, as computed by the client of\n\
         # Apache Kafka 3.0.0 (Utils.murmur2, DefaultPartitioner). A line: key in hex (- if empty),\n\
         # hash as a signed number, partition. Written by\n\
         # UPDATE_VECTORS=1 KAFKA_TESTS=required cargo test --test kafka -- vectors\n",
    );
    for (key, found) in keys.iter().zip(&computed) {
        writeln!(text, "{} {} {}", hex(key), found.hash, found.partition)?;
    }
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::create_dir_all(path.parent().expect("the file is in a folder"))?;
        std::fs::write(&path, &text)?;
    }
    let checked_in = std::fs::read_to_string(&path)?;
    assert!(
        checked_in == text,
        "{} is not what Java computes",
        path.display()
    );
    Ok(())
}

/// Keys of every length, deterministic: from a small linear congruential generator.
fn keys() -> Vec<Vec<u8>> {
    let mut state: u64 = 0x6b61_666b_6121;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let mut keys: Vec<Vec<u8>> = [
        "",
        "a",
        "key",
        "21",
        "foobar",
        "a-little-bit-long-string",
        "a-little-bit-longer-string",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    for length in 0..=LONGEST_KEY {
        // All bits set and none, where sign errors and shifts show.
        keys.push(vec![0xff; length]);
        keys.push(vec![0; length]);
        for _ in 0..KEYS_OF_A_LENGTH {
            keys.push((0..length).map(|_| next()).collect());
        }
    }
    keys
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".to_owned();
    }
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}
