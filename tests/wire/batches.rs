//! Batches of records, in all formats and codecs.

use std::collections::BTreeMap;

use kafka_producer::internals::wire::{BatchRecord, BatchSpec, build_batch, read_batch};
use serde_json::Value as Json;

use crate::input::{hex, input, output};
use crate::vectors::{self, number, text};

crate::tests![
    uncompressed_batches_have_javas_bytes,
    javas_batches_are_read
];

/// A batch of ours, with what a reader should find in it.
pub(crate) struct Batch {
    pub(crate) name: String,
    pub(crate) spec: BatchSpec,
    pub(crate) records: Vec<BatchRecord>,
    pub(crate) bytes: Vec<u8>,
}

/// The records of each set.
fn record_sets() -> BTreeMap<String, Vec<BatchRecord>> {
    let sets = vectors::read("record_sets.jsonl").into_iter();
    sets.map(|set| {
        let records = set["records"].as_array().unwrap().iter();
        (text(&set, "set").to_owned(), records.map(record).collect())
    })
    .collect()
}

fn record(described: &Json) -> BatchRecord {
    let headers = described["headers"].as_array().unwrap().iter();
    BatchRecord {
        timestamp: number(described, "timestamp"),
        key: input(&described["key"]),
        value: input(&described["value"]),
        headers: headers
            .map(|header| (header[0].as_str().unwrap().to_owned(), input(&header[1])))
            .collect(),
    }
}

fn spec(vector: &Json) -> BatchSpec {
    BatchSpec {
        magic: number(vector, "magic"),
        codec: text(vector, "codec").to_owned(),
        producer_id: number(vector, "producerId"),
        producer_epoch: number(vector, "producerEpoch"),
        base_sequence: number(vector, "baseSequence"),
        transactional: vector["transactional"].as_bool().unwrap(),
    }
}

fn is_built(spec: &BatchSpec) -> bool {
    spec.magic == 2 && spec.codec == "none" && !spec.transactional
}

/// A batch of ours for each vector, and the bytes of Java's.
fn pairs() -> Vec<(Batch, Vec<u8>)> {
    let sets = record_sets();
    let mut pairs = Vec::new();
    for vector in vectors::read("batches.jsonl") {
        let spec = spec(&vector);
        if !is_built(&spec) {
            continue;
        }
        let set = text(&vector, "set");
        let records = sets[set].clone();
        let bytes = build_batch(&spec, &records).unwrap();
        let name = format!("{set}, {spec:?}");
        let java = output(&vector["bytes"]);
        pairs.push((
            Batch {
                name,
                spec,
                records,
                bytes,
            },
            java,
        ));
    }
    pairs
}

/// All batches that are built here.
pub(crate) fn our_batches() -> Vec<Batch> {
    pairs().into_iter().map(|(ours, _)| ours).collect()
}

fn uncompressed_batches_have_javas_bytes() {
    let mut count = 0;
    for (ours, java) in pairs() {
        let (name, ours) = (ours.name, ours.bytes);
        assert!(
            ours == java,
            "{name}\nours {}\njava {}",
            hex(&ours),
            hex(&java)
        );
        count += 1;
    }
    println!("{count} compared");
    assert!(count > 40);
}

fn javas_batches_are_read() {
    for (ours, java) in pairs() {
        assert_eq!(read_batch(&java), Ok(ours.records), "{}", ours.name);
    }
}
