//! Record batches in all formats and codecs, and their down-conversions for old brokers.

use std::collections::{BTreeMap, BTreeSet};

use kafka_producer::internals::wire::{
    BatchRecord, BatchSpec, ReadBatch, build_batch, convert_batch, read_batch,
};
use serde_json::Value as Json;

use crate::input::{hex, input, output};
use crate::sizes::Sizes;
use crate::vectors::{self, number, text};

crate::tests![
    batches_are_as_java_builds_them,
    down_conversions_are_as_java_does_them,
    javas_own_batches_are_converted_like_ours,
    every_record_set_is_in_a_batch,
];

/// A batch of ours, with the records that a reader must find in it.
pub(crate) struct Batch {
    pub(crate) name: String,
    pub(crate) spec: BatchSpec,
    pub(crate) records: Vec<BatchRecord>,
    pub(crate) bytes: Vec<u8>,
}

impl Batch {
    fn new(name: String, spec: BatchSpec, records: &[BatchRecord]) -> Self {
        let bytes = build_batch(&spec, records).unwrap_or_else(|why| panic!("{name}: {why}"));
        Self {
            records: as_read(records, spec.magic),
            name,
            spec,
            bytes,
        }
    }

    /// Compares the batch with Java's. Compressed batches may differ in size.
    fn compare_with(&self, java: &[u8], sizes: &mut Sizes) {
        let name = &self.name;
        let [ours, theirs] = [&self.bytes[..], java].map(|bytes| {
            read_batch(bytes).unwrap_or_else(|why| panic!("{name}: {why}\n{}", hex(bytes)))
        });
        // Not `assert_eq`, which would print pages of bytes.
        let as_put_in = |read: &ReadBatch| read.records == self.records;
        assert!(as_put_in(&ours), "{name}: ours has other records");
        assert!(as_put_in(&theirs), "{name}: Java's has other records");
        assert_eq!(
            (ours.magic, ours.head),
            (theirs.magic, theirs.head),
            "{name}"
        );
        assert!(
            ours.payload == theirs.payload,
            "{name}: uncompressed they differ"
        );
        if self.spec.codec == "none" {
            let digits = [&self.bytes[..], java].map(hex);
            assert!(
                self.bytes == java,
                "{name}\nours {}\njava {}",
                digits[0],
                digits[1]
            );
        } else {
            sizes.add(&self.spec, name, self.bytes.len(), java.len());
        }
    }
}

/// The records as they are read from a format: older formats lack some fields.
fn as_read(records: &[BatchRecord], magic: i8) -> Vec<BatchRecord> {
    let mut records = records.to_vec();
    for record in &mut records {
        if magic < 2 {
            record.headers.clear();
        }
        if magic < 1 {
            record.timestamp = -1;
        }
    }
    records
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

/// Our batch for each vector, with Java's bytes.
fn built() -> impl Iterator<Item = (Batch, Vec<u8>)> {
    let sets = record_sets();
    let vectors = vectors::read("batches.jsonl").into_iter();
    vectors.map(move |vector| {
        let spec = BatchSpec {
            magic: number(&vector, "magic"),
            codec: text(&vector, "codec").to_owned(),
            producer_id: number(&vector, "producerId"),
            producer_epoch: number(&vector, "producerEpoch"),
            base_sequence: number(&vector, "baseSequence"),
            transactional: vector["transactional"].as_bool().unwrap(),
        };
        let set = text(&vector, "set");
        let name = format!("{set}: {spec:?}");
        (Batch::new(name, spec, &sets[set]), output(&vector["bytes"]))
    })
}

/// A down-conversion that Java makes or rejects.
struct Conversion {
    ours: Result<Batch, String>,
    java: Result<Vec<u8>, String>,
}

fn conversions() -> impl Iterator<Item = Conversion> {
    let sets = record_sets();
    let vectors = vectors::read("down_conversions.jsonl").into_iter();
    vectors.map(move |vector| {
        let set = text(&vector, "set");
        let [from, to] = ["from", "to"].map(|name| number(&vector, name));
        let spec = |magic| BatchSpec {
            magic,
            codec: text(&vector, "codec").to_owned(),
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            transactional: false,
        };
        let name = format!("{set}, from v{from}: {:?}", spec(to));
        let before = Batch::new(name.clone(), spec(from), &sets[set]);
        let converted = convert_batch(&before.bytes, text(&vector, "codec"), to);
        Conversion {
            ours: converted.map(|bytes| Batch {
                name,
                spec: spec(to),
                records: as_read(&before.records, to),
                bytes,
            }),
            java: match vector["error"].as_str() {
                Some(why) => Err(why.to_owned()),
                None => Ok(output(&vector["bytes"])),
            },
        }
    })
}

/// All batches that our code builds, and all that it converts.
pub(crate) fn our_batches() -> Vec<Batch> {
    let built = built().map(|(ours, _)| ours);
    built
        .chain(conversions().filter_map(|conversion| conversion.ours.ok()))
        .collect()
}

fn batches_are_as_java_builds_them() {
    let mut sizes = Sizes::default();
    let mut count = 0;
    for (ours, java) in built() {
        ours.compare_with(&java, &mut sizes);
        count += 1;
    }
    println!("{count} batches compared");
    sizes.check("batches");
    sizes.check_exceptions();
}

fn down_conversions_are_as_java_does_them() {
    let mut sizes = Sizes::default();
    let (mut count, mut refused) = (0, 0);
    for Conversion { ours, java } in conversions() {
        match (ours, java) {
            (Ok(ours), Ok(java)) => ours.compare_with(&java, &mut sizes),
            (Err(_), Err(_)) => refused += 1,
            (Ok(ours), Err(why)) => panic!("{}: Java refuses: {why}", ours.name),
            (Err(why), Ok(_)) => panic!("refused: {why}"),
        }
        count += 1;
    }
    println!("{count} conversions compared, {refused} of them refused by both");
    sizes.check("down-conversions");
}

/// A down-conversion of Java's batch has the same result as that of ours.
fn javas_own_batches_are_converted_like_ours() {
    for (batch, java) in built() {
        for to in 0..batch.spec.magic {
            let codec = &batch.spec.codec;
            let [theirs, ours] = [&java, &batch.bytes].map(|bytes| convert_batch(bytes, codec, to));
            assert!(theirs == ours, "{} to v{to}", batch.name);
        }
    }
}

fn every_record_set_is_in_a_batch() {
    let mut sets: BTreeSet<String> = record_sets().into_keys().collect();
    for vector in vectors::read("batches.jsonl") {
        sets.remove(text(&vector, "set"));
    }
    assert!(sets.is_empty(), "{sets:?}");
}
