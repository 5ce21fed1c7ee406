//! Compressed batches, and brokers that support only old message formats.

use super::*;
use crate::compress::decompress;
use crate::protocol::MemoryRecords;
use crate::record::legacy::restage;

const WORDS: &str = "a value with words that come again and again and again";

/// The records of the only batch of the newest request.
fn last_records(rig: &mut Rig) -> MemoryRecords {
    let (_, request) = rig.client().sent().last().expect("a request was sent");
    let Request::Produce(produce) = request else {
        panic!("not a produce request: {request:?}")
    };
    let partition = &produce.topics[0].partitions[0];
    partition.records.clone().expect("a batch")
}

/// Answers the oldest request, whatever the format of its batch.
fn respond(rig: &mut Rig, error: ErrorCode, base_offset: i64) {
    let now = rig.now();
    let outcome = Outcome::Response(answer(0, error, base_offset));
    rig.client().finish(0, outcome, now);
    rig.run();
}

fn magic_of(records: &MemoryRecords) -> u8 {
    [records.head.as_slice(), &records.body].concat()[16]
}

fn setup(codec: CompressionType, magic: Magic) -> Setup {
    Setup {
        codec,
        magic,
        batch_size: 1000,
        ..Setup::default()
    }
}

/// A batch that is too large for the broker is split (SE-14). Its pieces are compressed again and sent in the order of
/// their records (RA-29), with consecutive sequence numbers (PB-23).
#[test]
fn a_compressed_batch_that_is_too_large_is_split_into_compressed_pieces() {
    let codec = CompressionType::Lz4;
    let mut rig = Setup {
        idempotent: true,
        ..setup(codec, Magic::V2)
    }
    .start();
    let futures: Vec<_> = (0..8).map(|_| rig.send(0, WORDS)).collect();
    rig.run();
    respond(&mut rig, ErrorCode::MessageTooLarge, -1);
    rig.run();
    let mut base = 100;
    while rig.waiting() > 0 {
        let sent = rig.last_sent();
        assert_eq!(i64::from(sent.sequence), base - 100);
        assert!(sent.records < 8);
        let records = last_records(&mut rig);
        let whole = Bytes::from([records.head.as_slice(), &records.body].concat());
        let batch = RecordBatch::parse(&whole).expect("a valid batch");
        assert_eq!(batch.attributes().codec(), codec.id());
        let plain = decompress(codec, Magic::V2, batch.payload(), 1 << 20).expect("compressed");
        let values = batch.records_in(&plain).expect("records");
        for value in values.map(|record| record.expect("a record").value) {
            assert_eq!(value, Some(WORDS.as_bytes()));
        }
        respond(&mut rig, ErrorCode::NoError, base);
        base += i64::from(sent.records);
        rig.run();
    }
    let offsets: Vec<_> = futures.iter().map(offset).collect();
    assert_eq!(offsets, (100..108).map(Some).collect::<Vec<_>>());
    rig.assert_memory_is_back();
}

/// Java: SenderTest#testDownConversionForMismatchedMagicValues
#[test]
fn a_batch_made_for_new_brokers_is_converted_when_an_old_one_appears() {
    for codec in [CompressionType::None, CompressionType::Gzip] {
        let mut rig = setup(codec, Magic::V2).start();
        let _futures: Vec<_> = (0..3).map(|_| rig.send(0, WORDS)).collect();
        rig.shared.usable_magic.store(Magic::V1);
        rig.run();
        let records = last_records(&mut rig);
        assert_eq!((magic_of(&records), records.head.as_slice().len()), (1, 0));
        let (facts, _) = restage(&records.body, 1 << 20).expect("a message set");
        assert_eq!(facts.record_count, 3);
        // The batch itself is not changed: the next broker may support its format.
        rig.lose(0, true);
        rig.shared.usable_magic.store(Magic::V2);
        rig.advance(BACKOFF);
        rig.run();
        assert_eq!(magic_of(&last_records(&mut rig)), 2);
        respond(&mut rig, ErrorCode::NoError, 0);
        rig.assert_memory_is_back();
    }
}

/// All batches of a request have the same format: the oldest of those that its batches were built for.
#[test]
fn batches_of_two_formats_are_sent_in_the_older_one() {
    let mut rig = setup(CompressionType::None, Magic::V1).start();
    let _old = rig.send(0, WORDS);
    rig.shared.usable_magic.store(Magic::V2);
    let _new = rig.send(1, WORDS);
    rig.run();
    let (_, request) = rig.client().sent().last().expect("a request was sent");
    let Request::Produce(produce) = request else {
        panic!("not a produce request: {request:?}")
    };
    let formats: Vec<_> = produce.topics[0]
        .partitions
        .iter()
        .map(|partition| magic_of(partition.records.as_ref().expect("a batch")))
        .collect();
    assert_eq!(formats, [1, 1]);
}

#[test]
fn a_message_set_in_an_old_format_is_converted_to_an_older_one() {
    for codec in [CompressionType::None, CompressionType::Snappy] {
        let mut rig = setup(codec, Magic::V1).start();
        let _futures: Vec<_> = (0..3).map(|_| rig.send(0, WORDS)).collect();
        rig.shared.usable_magic.store(Magic::V0);
        rig.run();
        let records = last_records(&mut rig);
        assert_eq!(magic_of(&records), 0);
        let (facts, _) = restage(&records.body, 1 << 20).expect("a message set");
        assert_eq!(facts.record_count, 3);
    }
}

/// Differs from Kafka, which does not split uncompressed message sets (PB-24). After the split, only a message that is
/// too large by itself fails.
#[test]
fn a_message_set_that_is_too_large_is_split_whether_compressed_or_not() {
    for codec in [CompressionType::None, CompressionType::Gzip] {
        for magic in [Magic::V0, Magic::V1] {
            set_is_divided(codec, magic);
        }
    }
}

fn set_is_divided(codec: CompressionType, magic: Magic) {
    let mut rig = setup(codec, magic).start();
    let wrapped: Vec<_> = (0..4).map(|_| rig.send(0, WORDS)).collect();
    rig.run();
    respond(&mut rig, ErrorCode::MessageTooLarge, -1);
    rig.run();
    let mut base = 0;
    while rig.waiting() > 0 {
        let set = last_records(&mut rig).body;
        let (facts, _) = restage(&set, 1 << 20).expect("a message set");
        assert!(facts.record_count < 4);
        respond(&mut rig, ErrorCode::NoError, base);
        base += i64::from(facts.record_count);
        rig.run();
    }
    let offsets: Vec<_> = wrapped.iter().map(offset).collect();
    assert_eq!(offsets, (0..4).map(Some).collect::<Vec<_>>());
    rig.assert_memory_is_back();
}

#[test]
fn a_batch_with_sequence_numbers_is_not_converted_but_fails_with_the_remedy() {
    let mut rig = Setup {
        idempotent: true,
        ..setup(CompressionType::None, Magic::V2)
    }
    .start();
    let future = rig.send(0, WORDS);
    rig.shared.usable_magic.store(Magic::V1);
    rig.run();
    let error = error(&future);
    assert_eq!(*error.kind(), ProduceErrorKind::UnsupportedVersion);
    assert_eq!(error.delivery(), Delivery::NotWritten);
    assert_eq!((error.attempts(), error.in_flight()), (0, Duration::ZERO));
    assert!(
        error.to_string().contains("enable.idempotence=false"),
        "{error}"
    );
    rig.assert_memory_is_back();
}

#[test]
fn zstd_that_the_broker_does_not_support_is_an_error_of_its_own_kind() {
    let mut rig = setup(CompressionType::Zstd, Magic::V2).start();
    let unsupported = Outcome::UnsupportedVersion("it supports Produce 0 to 5".into());
    rig.client().prepare(None, None, unsupported);
    let future = rig.send(0, WORDS);
    rig.run();
    let error = error(&future);
    assert_eq!(*error.kind(), ProduceErrorKind::UnsupportedCompressionType);
    assert_eq!(error.delivery(), Delivery::NotWritten);
    assert_eq!(error.attempts(), 0, "nothing was sent");
    assert!(
        error.to_string().contains("compression.type=zstd"),
        "{error}"
    );
    rig.assert_memory_is_back();
}

/// A forced close also fails batches that are not compressed yet, and batches queued behind them (KP-52).
#[test]
fn a_forced_close_fails_batches_whether_they_are_packed_or_not() {
    let mut rig = setup(CompressionType::Gzip, Magic::V2).start();
    let futures: Vec<_> = (0..200).map(|_| rig.send(0, WORDS)).collect();
    rig.shared.accumulator.close();
    rig.sender.abort_everything();
    for future in &futures {
        assert_eq!(*error(future).kind(), ProduceErrorKind::Closed);
    }
    rig.assert_memory_is_back();
}
