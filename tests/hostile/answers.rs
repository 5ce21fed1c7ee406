//! Responses that do not belong to the request: with a wrong correlation id, duplicate, unrequested, or of another API.

use kafka_producer::ProduceErrorKind;

use crate::case::Case;
use crate::exchange::{Api, Exchange, Tampering, framed};
use crate::proxy::Treatment;

/// Offsets added to the correct correlation id: off by one, older, later, and extreme ones.
const OFF_BY: [i32; 5] = [1, -1, 1000, i32::MIN, i32::MAX];

fn off_by(exchange: &Exchange, offset: i32) -> Tampering {
    let wrong = exchange.correlation_id.wrapping_add(offset);
    exchange.changed(|bytes| bytes[..4].copy_from_slice(&wrong.to_be_bytes()))
}

#[test]
fn a_wrong_correlation_id_closes_the_connection_and_the_request_is_retried() {
    for api in Api::ALL {
        let case = Case::meeting(|proxy| {
            proxy.tamper_with(api, |exchange| match OFF_BY.get(exchange.nth) {
                Some(offset) => off_by(exchange, *offset),
                None => Tampering::Nothing,
            });
        });
        case.written();
        assert!(case.proxy.exchanges_of(api) > OFF_BY.len(), "{api:?}");
        case.finish();
    }
}

#[test]
fn a_permanently_wrong_correlation_id_is_reported() {
    let case = Case::meeting(|proxy| {
        proxy.tamper_with(Api::Metadata, |exchange| off_by(exchange, 1));
    });
    let address = case.proxy.address();
    let parts = [
        &*address,
        "invalid response to Metadata",
        "correlation id",
        "expected was",
    ];
    case.failed(&ProduceErrorKind::MetadataTimeout, &parts);
    case.proxy.stop_tampering();
    case.written();
    case.proxy
        .tamper_with(Api::Produce, |exchange| off_by(exchange, -1));
    let parts = [
        "invalid response to Produce",
        "correlation id",
        "expected was",
    ];
    case.undelivered(&parts);
    case.finish();
}

#[test]
fn a_duplicate_response_closes_the_connection_and_records_arrive_once() {
    for api in Api::ALL {
        let case = Case::meeting(|proxy| {
            proxy.tamper_with(api, |exchange| match exchange.nth {
                0..3 => Tampering::Raw(framed(&exchange.answer).repeat(2)),
                _ => Tampering::Nothing,
            });
        });
        for _ in 0..5 {
            case.written();
        }
        case.finish();
    }
}

#[test]
fn an_unrequested_response_closes_the_connection() {
    // Many frames at once: they must not accumulate in memory.
    let unasked = framed(&[0; 8]).repeat(100_000);
    let case = Case::meeting(|proxy| {
        proxy.set_treatment(Treatment::SendFirst(unasked));
    });
    let address = case.proxy.address();
    case.failed(&ProduceErrorKind::MetadataTimeout, &[&address]);
    case.finish();
}

#[test]
fn a_response_body_of_another_api_closes_the_connection() {
    // The header of a Metadata response with the body of an ApiVersions response.
    let case = Case::meeting(|proxy| {
        proxy.tamper_with(Api::Metadata, |exchange| {
            let versions: &[u8] = b"\0\0\x02\0\0\0\0\0\x09\0\0\0\0\0\0";
            exchange.with_body(versions)
        });
    });
    let address = case.proxy.address();
    case.failed(&ProduceErrorKind::MetadataTimeout, &[&address]);
    case.finish();
}

/// Frames with the correct correlation id and a garbage body.
#[test]
fn garbage_in_a_frame_closes_the_connection_and_the_request_is_retried() {
    for api in Api::ALL {
        let mut random = fastrand::Rng::with_seed(0x11a5);
        let garbage: Vec<Vec<u8>> = (1..8)
            .map(|size| {
                let mut bytes = vec![0; size * 13];
                random.fill(&mut bytes);
                // Bytes that decode neither as "no error" nor as an empty array, in both encodings.
                bytes[..8].fill(0xff);
                bytes
            })
            .collect();
        let count = garbage.len();
        let case = Case::meeting(|proxy| {
            proxy.tamper_with(api, move |exchange| match garbage.get(exchange.nth) {
                Some(bytes) => exchange.with_body(bytes),
                None => Tampering::Nothing,
            });
        });
        case.written();
        assert!(case.proxy.exchanges_of(api) > count, "{api:?}");
        case.finish();
    }
}
