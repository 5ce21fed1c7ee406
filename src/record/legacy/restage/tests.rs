use proptest::prelude::*;

use super::super::fixture::{Plain, Staged, any_batch, codecs};
use super::super::{LegacyMagic, convert};
use super::*;
use crate::compress::Compressor;

const LIMIT: usize = 1 << 20;

proptest! {
    /// Restaging a converted set yields the records that it was made from, byte for byte, without headers. Magic 0 has
    /// no timestamps.
    #[test]
    fn a_restaged_set_has_the_records_it_was_made_from(batch in any_batch(), codec in codecs()) {
        let (records, per_chunk, headers) = batch;
        let compressor = Compressor::new(codec, None).expect("part of this build");
        let staged = Staged::new(&records, per_chunk, headers);
        for magic in [LegacyMagic::V0, LegacyMagic::V1] {
            let mut set = Vec::new();
            convert(&staged.facts, &staged.chunks(), magic, Some(&compressor), &mut set)
                .expect("converted");
            let (facts, out) = restage(&set, LIMIT).expect("a good set");

            let mut expected = records.clone();
            if magic == LegacyMagic::V0 {
                for record in &mut expected { record.timestamp_ms = -1; }
            }
            let plain = Staged::new(&expected, expected.len(), 0);
            prop_assert_eq!(&[&out[..]][..], &plain.chunks()[..]);
            prop_assert_eq!(facts.record_count, plain.facts.record_count);
            prop_assert_eq!(facts.first_timestamp_ms, plain.facts.first_timestamp_ms);
            prop_assert_eq!(facts.max_timestamp_ms, plain.facts.max_timestamp_ms);
        }
    }

    /// Down-conversion of a batch of magic 1 to magic 0 yields the same bytes as conversion of the records themselves.
    #[test]
    fn a_set_is_down_converted_through_its_records(batch in any_batch(), codec in codecs()) {
        let (records, per_chunk, headers) = batch;
        let compressor = Compressor::new(codec, None).expect("part of this build");
        let staged = Staged::new(&records, per_chunk, headers);
        let convert = |facts: &BatchFacts, chunks: &[&[u8]], magic| {
            let mut set = Vec::new();
            convert(facts, chunks, magic, Some(&compressor), &mut set).expect("converted");
            set
        };
        let newer = convert(&staged.facts, &staged.chunks(), LegacyMagic::V1);
        let (facts, out) = restage(&newer, LIMIT).expect("a good set");
        let older = convert(&facts, &[&out], LegacyMagic::V0);
        prop_assert_eq!(older, convert(&staged.facts, &staged.chunks(), LegacyMagic::V0));
    }
}

#[test]
fn the_reserved_memory_is_sufficient() {
    let records = vec![Plain::new(i64::MAX / 2, Some(""), Some("")); 100];
    let staged = Staged::new(&records, 100, 0);
    for magic in [LegacyMagic::V0, LegacyMagic::V1] {
        let mut set = Vec::new();
        convert(&staged.facts, &staged.chunks(), magic, None, &mut set).expect("converted");
        let (_, out) = restage(&set, 0).expect("a good set");
        assert_eq!(out.capacity(), set.len());
    }
}

#[test]
fn an_invalid_message_set_is_an_error() {
    let error = restage(&[0; 30], LIMIT).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the message at byte 0: 0 is not a valid message length"
    );
}
