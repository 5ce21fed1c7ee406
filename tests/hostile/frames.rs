//! Invalid frame lengths, and frames that arrive in parts.

use kafka_producer::ProduceErrorKind;

use crate::case::{Case, REQUEST};
use crate::exchange::{Api, Exchange, Tampering, framed};

/// The largest response that is accepted.
const CAP: i32 = 100 * 1024 * 1024;

/// An invalid length, and the error's text.
const LENGTHS: [(i32, &str); 6] = [
    (-1, "a length of -1 bytes"),
    (i32::MIN, "a length of -2147483648 bytes"),
    (0, "ends inside the correlation id"),
    (i32::MAX, "at most 104857600 are accepted"),
    (CAP + 1, "at most 104857600 are accepted"),
    // A valid length, but the bytes never arrive.
    (CAP, "timeout.ms"),
];

fn announced(length: i32) -> Tampering {
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(&[0; 1000]);
    Tampering::Raw(bytes)
}

#[test]
fn an_invalid_length_closes_the_connection_and_the_request_is_retried() {
    for api in Api::ALL {
        let case = Case::meeting(|proxy| {
            proxy.tamper_with(api, |exchange| match LENGTHS.get(exchange.nth) {
                // The valid length would cost a timeout each time.
                Some((length, _)) if *length != CAP => announced(*length),
                _ => Tampering::Nothing,
            });
        });
        case.written();
        assert!(case.proxy.exchanges_of(api) >= LENGTHS.len(), "{api:?}");
        case.finish();
    }
}

#[test]
fn an_invalid_length_is_reported_to_waiters_for_metadata() {
    for (length, words) in LENGTHS {
        let case = Case::meeting(|proxy| {
            proxy.tamper_with(Api::Metadata, move |_| announced(length));
        });
        let address = case.proxy.address();
        case.failed(&ProduceErrorKind::MetadataTimeout, &[&address, words]);
        case.finish();
    }
}

#[test]
fn an_invalid_length_is_reported_to_waiters_for_a_batch() {
    for (length, words) in LENGTHS {
        let case = Case::warmed();
        case.proxy
            .tamper_with(Api::Produce, move |_| announced(length));
        case.undelivered(&[words]);
        case.finish();
    }
}

/// The response, split after `first` bytes of its frame.
fn halves(exchange: &Exchange, first: usize) -> Tampering {
    let whole = framed(&exchange.answer);
    let (first, second) = whole.split_at(first.min(whole.len()));
    Tampering::Halves(first.to_vec(), second.to_vec())
}

#[test]
fn a_response_that_arrives_in_two_parts_with_a_pause_between_is_accepted() {
    // Inside the length field, after it, inside the correlation id, inside the body, before the last byte.
    for first in [1, 4, 6, 20, 40] {
        let case = Case::warmed();
        let connections = case.proxy.connections();
        case.proxy
            .tamper_with(Api::Produce, move |exchange| halves(exchange, first));
        let record = case.send();
        case.proxy.await_half(REQUEST);
        assert!(!record.is_done());
        case.proxy.release();
        record.outcome().unwrap();
        assert_eq!(case.proxy.exchanges_of(Api::Produce), 1);
        assert_eq!(case.proxy.connections(), connections);
        case.finish();
    }
}

#[test]
fn a_response_whose_second_part_never_arrives_times_out_and_the_record_arrives_once() {
    let case = Case::warmed();
    case.proxy
        .tamper_with(Api::Produce, |exchange| match exchange.nth {
            0 => halves(exchange, 20),
            _ => Tampering::Nothing,
        });
    case.written();
    assert_eq!(case.proxy.exchanges_of(Api::Produce), 2);
    case.finish();
}

#[test]
fn a_response_that_is_split_at_any_byte_is_accepted_with_the_next_one_behind_it() {
    let case = Case::warmed();
    for first in 1..12 {
        case.proxy
            .tamper_with(Api::Produce, move |exchange| halves(exchange, first));
        let records = [case.send(), case.send(), case.send()];
        case.proxy.await_half(REQUEST);
        case.proxy.stop_tampering();
        for record in records {
            record.outcome().unwrap();
        }
    }
    case.finish();
}
