use super::*;
use crate::record::batch::RecordBatch;
use crate::record::batch::fixture::{BatchSpec, Plain};

fn spec() -> BatchSpec {
    let value = |number: u64| Plain::value(number.to_be_bytes());
    BatchSpec {
        producer_id: 1,
        producer_epoch: 2,
        base_sequence: 3,
        ..BatchSpec::of(vec![value(70), value(71), Plain::value("short")])
    }
}

fn stored(spec: &BatchSpec, base_offset: i64) -> StoredBatch {
    let batch = RecordBatch::parse(&spec.encode()).unwrap();
    StoredBatch::new(batch, None, base_offset, 9, None)
}

#[test]
fn records_are_identified_by_their_numbers() {
    assert_eq!(numbers(&stored(&spec(), 5)), [70, 71, NO_RECORD]);
}

#[test]
fn a_digest_covers_only_the_fields_that_a_retry_keeps() {
    let digest_of = |spec: &BatchSpec| digest(&stored(spec, 0));
    let first = digest_of(&spec());
    assert_eq!(first, digest(&stored(&spec(), 77)));
    let renumbered = BatchSpec {
        producer_id: 11,
        producer_epoch: 0,
        base_sequence: 0,
        ..spec()
    };
    assert_eq!(first, digest_of(&renumbered));
    let later = BatchSpec {
        first_timestamp: spec().first_timestamp + 1,
        ..spec()
    };
    assert_ne!(first, digest_of(&later));
    let mut shorter = spec();
    shorter.records.pop();
    assert_ne!(first, digest_of(&shorter));
    let mut other = spec();
    other.records[1] = Plain::value(72_u64.to_be_bytes());
    assert_ne!(first, digest_of(&other));
}

#[test]
fn the_fate_of_a_request_is_its_errors_or_how_it_was_lost() {
    let mut journal = Journal::default();
    let frame = Bytes::from_static(&[0, 3, 0, 9, 0]);
    for (answer, expected) in [
        (Answer::Close, "closed"),
        (Answer::Silence, "silent"),
        (Answer::Stall, "never answered"),
    ] {
        journal.request(&frame, &answer);
        let expected = BrokerEvent::Request {
            api: "Metadata",
            version: 9,
            bytes: 5,
            fate: expected.into(),
        };
        assert_eq!(journal.take().collect::<Vec<_>>(), [expected]);
    }
    journal.request(&frame, &Answer::Hang);
    assert_eq!(journal.take().count(), 0, "it will be asked again");
}
