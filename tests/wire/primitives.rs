//! Varints, checksums and hashes.

use kafka_producer::internals::wire::{Varint, partition_of_key};

use crate::input::{hex, input, unhex};
use crate::vectors::{self, number, text};

crate::tests![
    varints_have_javas_bytes_and_are_read_back,
    checksums_are_javas,
    keys_go_to_javas_partitions,
];

fn varints_have_javas_bytes_and_are_read_back() {
    for vector in vectors::read("varints.jsonl") {
        let kind = match text(&vector, "kind") {
            "varint" => Varint::Int,
            "varlong" => Varint::Long,
            "unsigned" => Varint::Unsigned,
            other => panic!("no such kind: {other}"),
        };
        let value = number(&vector, "value");
        let digits = text(&vector, "hex");
        assert_eq!(hex(&kind.encode(value)), digits, "{vector}");
        assert_eq!(kind.decode(&unhex(digits)), Some((value, 0)), "{vector}");
    }
}

fn checksums_are_javas() {
    for vector in vectors::read("checksums.jsonl") {
        let bytes = input(&vector["input"]).unwrap();
        let (head, tail) = bytes.split_at(bytes.len() / 3);
        assert_eq!(
            crc32fast::hash(&bytes),
            number::<u32>(&vector, "crc32"),
            "{vector}"
        );
        assert_eq!(
            crc_fast::crc32_iscsi(&bytes),
            number::<u32>(&vector, "crc32c"),
            "{vector}"
        );
        // A batch's checksum is computed in two parts.
        let mut in_parts = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
        in_parts.update(head);
        in_parts.update(tail);
        let in_parts = in_parts.finalize();
        assert_eq!(in_parts, number::<u64>(&vector, "crc32c"), "{vector}");
    }
}

fn keys_go_to_javas_partitions() {
    for vector in vectors::read("partitions.jsonl") {
        let key = input(&vector["key"]).unwrap();
        for (partitions, partition) in vector["partitions"].as_object().unwrap() {
            let (hash, ours) = partition_of_key(&key, partitions.parse().unwrap());
            assert_eq!(hash, number::<i32>(&vector, "murmur2"), "{vector}");
            assert_eq!(Some(u64::from(ours)), partition.as_u64(), "{vector}");
        }
    }
}
