use proptest::prelude::*;

use super::fixture::{BatchSpec, Plain, encode_record, seal};
use super::*;
use crate::compress::DecompressError;
use crate::util::varint::{VarintError, put_varint};

/// A batch around `payload`, with a valid length and checksum.
fn wrap(payload: &[u8], count: i32) -> Vec<u8> {
    BatchSpec::default().wrap(payload, count)
}

fn encode(records: &[Plain]) -> Vec<u8> {
    BatchSpec::of(records.to_vec()).encode().to_vec()
}

fn parse(bytes: &[u8]) -> Result<RecordBatch, BatchError> {
    RecordBatch::parse(&Bytes::copy_from_slice(bytes))
}

/// Parses one batch, and reads all its records.
fn read(bytes: &[u8]) -> Result<Vec<Plain>, BatchError> {
    let batch = parse(bytes)?;
    let records = batch.records()?.collect::<Result<Vec<_>, _>>()?;
    Ok(records.iter().map(to_plain).collect())
}

fn to_plain(view: &RecordView<'_>) -> Plain {
    Plain {
        timestamp_delta: view.timestamp_delta,
        key: view.key.map(<[u8]>::to_vec),
        value: view.value.map(<[u8]>::to_vec),
        headers: view
            .headers
            .iter()
            .map(|(k, v)| (k.to_owned(), v.map(<[u8]>::to_vec)))
            .collect(),
    }
}

fn some_records() -> Vec<Plain> {
    vec![
        Plain {
            value: Some(b"value".to_vec()),
            ..Plain::default()
        },
        Plain {
            timestamp_delta: 7,
            key: Some(b"key".to_vec()),
            value: None,
            headers: vec![("h".into(), Some(b"1".to_vec())), ("h".into(), None)],
        },
    ]
}

/// A transactional batch with the records `("k", "v", header a=null)` and `(null, "")`, put together
/// by hand from the format's description; the checksum was computed bit by bit.
#[rustfmt::skip]
const KNOWN: [u8; 80] = [
    0, 0, 0, 0, 0, 0, 0, 5, // base offset
    0, 0, 0, 68, // length
    0, 0, 0, 9, // leader epoch
    2, // magic
    0x3e, 0x05, 0x92, 0xa6, // checksum
    0, 0x10, // transactional
    0, 0, 0, 1, // last offset delta
    0, 0, 0, 0, 0, 0, 3, 232, // first timestamp
    0, 0, 0, 0, 0, 0, 3, 231, // largest timestamp
    0, 0, 0, 0, 0, 0, 0, 77, // producer id
    0, 3, // epoch
    0, 0, 0, 11, // base sequence
    0, 0, 0, 2, // count
    22, 0, 0, 0, 2, b'k', 2, b'v', 2, 2, b'a', 1, // 11 bytes; deltas 0 and 0
    12, 0, 1, 2, 1, 0, 0, // 6 bytes; timestamp delta -1, offset delta 1
];

#[test]
fn known_bytes_are_read_field_by_field() {
    let batch = parse(&KNOWN).unwrap();
    assert_eq!(batch.base_offset(), 5);
    assert_eq!(batch.partition_leader_epoch(), 9);
    assert!(batch.attributes().is_transactional());
    assert_eq!(batch.last_offset_delta(), 1);
    assert_eq!(
        (batch.first_timestamp(), batch.max_timestamp()),
        (1000, 999)
    );
    assert_eq!(
        (
            batch.producer_id(),
            batch.producer_epoch(),
            batch.base_sequence()
        ),
        (77, 3, 11)
    );
    assert!(batch.has_producer_id());
    assert_eq!(batch.records_count(), 2);
    assert_eq!((batch.size_bytes(), batch.bytes().len()), (80, 80));
    let records: Vec<_> = batch.records().unwrap().map(Result::unwrap).collect();
    assert_eq!(
        (records[0].key, records[0].value),
        (Some(&b"k"[..]), Some(&b"v"[..]))
    );
    assert_eq!(records[0].headers.len(), 1);
    assert_eq!(records[0].headers.iter().collect::<Vec<_>>(), [("a", None)]);
    assert_eq!(
        (records[1].timestamp_delta, records[1].offset_delta),
        (-1, 1)
    );
    assert_eq!((records[1].key, records[1].value), (None, Some(&b""[..])));
}

/// Java: DefaultRecordBatchTest#testInvalidRecordSize
#[test]
fn a_batch_cut_off_at_any_byte_is_refused() {
    for end in 0..KNOWN.len() {
        assert!(
            matches!(parse(&KNOWN[..end]), Err(BatchError::Truncated { available, .. }) if available == end),
            "{end}"
        );
    }
}

/// Java: DefaultRecordBatchTest#testInvalidCrc
#[test]
fn a_flipped_bit_is_found_in_every_byte_that_the_checksum_covers() {
    for at in CRC_OFFSET..KNOWN.len() {
        for bit in 0..8 {
            let mut bytes = KNOWN;
            bytes[at] ^= 1 << bit;
            assert!(
                matches!(parse(&bytes), Err(BatchError::Checksum { .. })),
                "{at} {bit}"
            );
        }
    }
}

#[test]
fn the_checksum_does_not_cover_offset_and_leader_epoch() {
    let mut bytes = KNOWN;
    bytes[..LENGTH_OFFSET].copy_from_slice(&99i64.to_be_bytes());
    bytes[crate::record::format::PARTITION_LEADER_EPOCH_OFFSET..MAGIC_OFFSET]
        .copy_from_slice(&4i32.to_be_bytes());
    let batch = parse(&bytes).unwrap();
    assert_eq!(
        (batch.base_offset(), batch.partition_leader_epoch()),
        (99, 4)
    );
}

/// Java: DefaultRecordBatchTest#testInvalidRecordSize
#[test]
fn a_length_shorter_than_a_header_is_refused() {
    for length in [i32::MIN, -1, 0, 48] {
        let mut bytes = KNOWN;
        bytes[LENGTH_OFFSET..LOG_OVERHEAD].copy_from_slice(&length.to_be_bytes());
        assert_eq!(parse(&bytes), Err(BatchError::InvalidLength(length)));
    }
    let mut bytes = KNOWN;
    bytes[LENGTH_OFFSET..LOG_OVERHEAD].copy_from_slice(&i32::MAX.to_be_bytes());
    assert!(matches!(parse(&bytes), Err(BatchError::Truncated { .. })));
}

#[test]
fn the_error_for_another_format_names_its_magic() {
    for magic in [0, 1, 3, 0xff] {
        let mut bytes = KNOWN;
        bytes[MAGIC_OFFSET] = magic;
        assert_eq!(
            parse(&bytes),
            Err(BatchError::UnsupportedMagic(magic as i8))
        );
    }
}

/// Java: DefaultRecordBatchTest#testInvalidRecordCountTooManyNonCompressedV2
#[test]
fn a_record_count_above_the_number_of_records_is_an_error() {
    let mut payload = Vec::new();
    encode_record(&mut payload, 0, &some_records()[0]);
    assert!(matches!(
        read(&wrap(&payload, 2)),
        Err(BatchError::Record {
            index: 1,
            error: InvalidRecord::Varint(VarintError::Truncated)
        })
    ));
}

/// Java: DefaultRecordBatchTest#testInvalidRecordCountTooLittleNonCompressedV2
#[test]
fn a_record_count_below_the_number_of_records_is_an_error() {
    let mut payload = Vec::new();
    encode_record(&mut payload, 0, &some_records()[0]);
    let size = payload.len();
    encode_record(&mut payload, 1, &some_records()[0]);
    assert_eq!(
        read(&wrap(&payload, 1)).unwrap_err(),
        BatchError::BytesAfterRecords(size)
    );
    assert_eq!(
        read(&wrap(&payload, -1)).unwrap_err(),
        BatchError::InvalidCount(-1)
    );
}

/// Java: DefaultRecordTest#testInvalidKeySize, #testInvalidValueSize, #testInvalidNumHeaders,
/// #testInvalidHeaderKey, #testInvalidHeaderValue, #testInvalidSizeOfBodyInBytes
#[test]
fn a_field_that_does_not_fit_its_record_is_named() {
    let cases: [(&[i32], &str); 8] = [
        (&[0, 0, 0, 100], "key"),
        (&[0, 0, 0, -2], "key"),
        (&[0, 0, 0, -1, 100], "value"),
        (&[0, 0, 0, -1, -1, -1], "headers"),
        (&[0, 0, 0, -1, -1, 1, -1], "header key"),
        (&[0, 0, 0, -1, -1, 1, 50], "header key"),
        (&[0, 0, 0, -1, -1, 1, 0, 50], "header value"),
        (&[], "attributes"),
    ];
    for (fields, name) in cases {
        let mut body = Vec::new();
        for number in fields {
            put_varint(&mut body, *number);
        }
        let mut payload = Vec::new();
        put_varint(&mut payload, body.len() as i32);
        payload.extend_from_slice(&body);
        match read(&wrap(&payload, 1)) {
            Err(BatchError::Record {
                index: 0,
                error: InvalidRecord::Length { field, .. },
            }) => {
                assert_eq!(field, name);
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// Java: DefaultRecordTest#testInvalidNumHeadersPartial
#[test]
fn a_huge_header_count_is_an_error_at_the_end_of_the_bytes() {
    let mut body = vec![0];
    for number in [0, 0, -1, -1, i32::MAX] {
        put_varint(&mut body, number);
    }
    let mut payload = Vec::new();
    put_varint(&mut payload, body.len() as i32);
    payload.extend_from_slice(&body);
    assert!(matches!(
        read(&wrap(&payload, 1)),
        Err(BatchError::Record {
            error: InvalidRecord::Varint(VarintError::Truncated),
            ..
        })
    ));
}

/// Java: DefaultRecordTest#testInvalidSizeOfBodyInBytes
#[test]
fn a_record_shorter_than_its_length_says_is_an_error() {
    let mut payload = Vec::new();
    encode_record(&mut payload, 0, &some_records()[0]);
    payload[0] += 4;
    payload.extend_from_slice(&[0, 0]);
    let error = InvalidRecord::Unused(2);
    assert_eq!(
        read(&wrap(&payload, 1)).unwrap_err(),
        BatchError::Record { index: 0, error }
    );
    let negative = wrap(&[1], 1);
    assert!(matches!(read(&negative), Err(BatchError::Record { .. })));
}

#[test]
fn a_header_key_that_is_not_utf8_is_an_error() {
    let mut payload = Vec::new();
    let header = ("a".to_owned(), None);
    encode_record(
        &mut payload,
        0,
        &Plain {
            headers: vec![header],
            ..Plain::default()
        },
    );
    let at = payload.iter().position(|byte| *byte == b'a').unwrap();
    payload[at] = 0xff;
    let error = InvalidRecord::HeaderKey;
    assert_eq!(
        read(&wrap(&payload, 1)).unwrap_err(),
        BatchError::Record { index: 0, error }
    );
}

#[test]
fn compressed_records_are_not_read_as_if_they_were_plain() {
    let mut bytes = encode(&some_records());
    bytes[ATTRIBUTES_OFFSET + 1] = 4;
    seal(&mut bytes);
    let batch = parse(&bytes).unwrap();
    assert_eq!(batch.records().unwrap_err(), BatchError::Compressed(4));
    assert_eq!(batch.records_in(batch.payload()).unwrap().count(), 2);
}

/// Java: MemoryRecordsTest#testIterator
#[test]
fn records_are_uncompressed_by_the_codec_in_the_attributes() {
    let spec = BatchSpec::of(some_records());
    let limit = parse(&spec.encode()).unwrap().payload().len();
    for codec in (0..=4).filter_map(CompressionType::from_id) {
        let batch = parse(&spec.encode_with(codec)).unwrap();
        let payload = batch.uncompressed(limit).unwrap();
        let records = batch.records_in(&payload).unwrap();
        let records: Result<Vec<_>, _> = records.map(|r| r.map(|r| to_plain(&r))).collect();
        assert_eq!(records.unwrap(), some_records(), "{codec}");
        if codec == CompressionType::None {
            continue;
        }
        let limit_bytes = limit - 1;
        let too_large = BatchError::Uncompress(DecompressError::TooLarge { limit_bytes });
        assert_eq!(batch.uncompressed(limit_bytes), Err(too_large), "{codec}");
        let cut = &batch.payload()[..batch.payload().len() - 1];
        assert!(matches!(
            parse(&spec.wrap_with(codec, cut))
                .unwrap()
                .uncompressed(limit),
            Err(BatchError::Uncompress(DecompressError::Corrupt { .. }))
        ));
    }
    for codec in 5..=7 {
        let mut bytes = spec.encode().to_vec();
        bytes[ATTRIBUTES_OFFSET + 1] = codec;
        seal(&mut bytes);
        let error = parse(&bytes).unwrap().uncompressed(limit).unwrap_err();
        assert_eq!(error, BatchError::UnknownCodec(codec));
    }
}

#[test]
fn the_records_of_a_batch_end_at_the_first_error() {
    let mut bytes = encode(&some_records());
    let at = RECORD_BATCH_OVERHEAD;
    bytes[at] = 0xff;
    seal(&mut bytes);
    let batch = parse(&bytes).unwrap();
    let mut records = batch.records().unwrap();
    assert!(matches!(records.next(), Some(Err(_))));
    assert!(records.next().is_none());
}

#[test]
fn adjacent_batches_are_read_one_by_one_until_the_first_invalid_one() {
    let one = encode(&some_records());
    let mut two = [one.clone(), one.clone()].concat();
    let batches =
        |bytes: &[u8]| RecordBatches::new(&Bytes::copy_from_slice(bytes)).collect::<Vec<_>>();
    assert_eq!(batches(&two), [parse(&one), parse(&one)]);
    assert_eq!(parse(&two), Err(BatchError::TrailingBytes(one.len())));
    assert!(batches(&[]).is_empty());
    two[RECORD_BATCH_OVERHEAD] ^= 1;
    let found = batches(&two);
    assert_eq!(found.len(), 1);
    assert!(matches!(found[0], Err(BatchError::Checksum { .. })));
}

#[test]
fn errors_name_the_field_and_its_length() {
    let error = InvalidRecord::Length {
        field: "key",
        length: 100,
        available: 2,
    };
    let error = BatchError::Record { index: 3, error };
    assert_eq!(
        error.to_string(),
        "record 3: key of length 100 where 2 bytes are left"
    );
}

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200))
}

fn plain() -> impl Strategy<Value = Plain> {
    let headers = proptest::collection::vec(("[a-zé]{0,5}", bytes()), 0..4);
    (any::<i64>(), bytes(), bytes(), headers).prop_map(|(timestamp_delta, key, value, headers)| {
        Plain {
            timestamp_delta,
            key,
            value,
            headers,
        }
    })
}

proptest! {
    #[test]
    fn encoded_records_are_read_back(records in proptest::collection::vec(plain(), 0..20)) {
        prop_assert_eq!(read(&encode(&records)).unwrap(), records);
    }

    #[test]
    fn arbitrary_bytes_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..300), count in any::<i32>()) {
        let _ = parse(&payload);
        let batch = parse(&wrap(&payload, count)).unwrap();
        if let Ok(records) = batch.records() {
            for record in records.flatten() {
                prop_assert_eq!(record.headers.len(), record.headers.iter().count());
            }
        }
    }

    #[test]
    fn a_corrupt_payload_with_a_valid_checksum_never_panics(
        records in proptest::collection::vec(plain(), 1..5), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = encode(&records);
        let at = at.index(bytes.len() - RECORD_BATCH_OVERHEAD) + RECORD_BATCH_OVERHEAD;
        bytes[at] = byte;
        seal(&mut bytes);
        let _ = read(&bytes);
    }
}
