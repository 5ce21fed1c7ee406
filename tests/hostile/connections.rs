//! Peers that are not Kafka brokers: they close the connection, stay silent, or use another protocol.

use kafka_producer::{Delivery, ProduceErrorKind, WaitCause};

use crate::case::Case;
use crate::exchange::{Api, Tampering};
use crate::proxy::Treatment;

#[test]
fn the_error_names_a_peer_that_closes_at_once_and_the_likely_cause() {
    let case = Case::meeting(|proxy| {
        proxy.set_treatment(Treatment::Close);
    });
    let address = case.proxy.address();
    let parts = [&*address, "closed the connection", "max.block.ms"];
    case.failed(&ProduceErrorKind::MetadataTimeout, &parts);
    assert!(case.proxy.connections() > 3, "it is tried again");
    assert!(case.proxy.connections() < 100, "with pauses");
    case.finish();
}

#[test]
fn a_peer_that_accepts_and_stays_silent_is_named_with_the_key_of_the_time_out() {
    let case = Case::meeting(|proxy| {
        proxy.set_treatment(Treatment::Silence);
    });
    let address = case.proxy.address();
    let parts = [&*address, "timeout.ms"];
    case.failed(&ProduceErrorKind::MetadataTimeout, &parts);
    case.finish();
}

/// Other servers write before the client does, or write something else than a response.
#[test]
fn a_peer_with_another_protocol_is_reported_as_no_kafka_broker() {
    let foreign: [&[u8]; 4] = [
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        // A TLS alert.
        b"\x15\x03\x03\x00\x02\x02\x46",
        b"\xff\xfe\xfd\xfc\xfb\xfa",
    ];
    for words in foreign {
        let case = Case::meeting(|proxy| {
            proxy.set_treatment(Treatment::SendFirst(words.to_vec()));
        });
        let address = case.proxy.address();
        let parts = [&*address, "bad frame", "not a Kafka broker", "TLS"];
        case.failed(&ProduceErrorKind::MetadataTimeout, &parts);
        case.finish();
    }
}

#[test]
fn a_connection_that_closes_instead_of_a_response_is_reopened_and_records_arrive_once() {
    for api in Api::ALL {
        let case = Case::meeting(|proxy| {
            proxy.tamper_with(api, |exchange| match exchange.nth {
                0 | 1 => Tampering::Close,
                _ => Tampering::Nothing,
            });
        });
        case.written();
        assert!(case.proxy.exchanges_of(api) > 2, "{api:?}");
        case.finish();
    }
}

#[test]
fn a_batch_whose_connections_always_close_before_the_response_may_be_written() {
    let case = Case::warmed();
    case.proxy.tamper_with(Api::Produce, |_| Tampering::Close);
    let error = case.undelivered(&["closed the connection"]);
    assert!(error.attempts() > 3, "{error}");
    case.finish();
}

#[test]
fn a_batch_without_a_response_may_be_written() {
    let case = Case::warmed();
    case.proxy.tamper_with(Api::Produce, |_| Tampering::Silence);
    let parts = ["request.timeout.ms", "delivery.timeout.ms"];
    let error = case.failed(&ProduceErrorKind::DeliveryTimeout, &parts);
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
    case.finish();
}

#[test]
fn a_send_times_out_if_version_or_metadata_requests_get_no_response() {
    for (api, key) in [
        (Api::ApiVersions, "socket.connection.setup.timeout.ms"),
        (Api::Metadata, "request.timeout.ms"),
    ] {
        let case = Case::meeting(|proxy| {
            proxy.tamper_with(api, |_| Tampering::Silence);
        });
        let address = case.proxy.address();
        case.failed(&ProduceErrorKind::MetadataTimeout, &[&address, key]);
        case.finish();
    }
}

#[test]
fn the_error_of_a_record_names_the_missing_producer_id() {
    let case = Case::meeting(|proxy| {
        proxy.tamper_with(Api::InitProducerId, |_| Tampering::Silence);
    });
    let parts = ["no producer id could be obtained", "request.timeout.ms"];
    let error = case.failed(&ProduceErrorKind::DeliveryTimeout, &parts);
    assert_eq!(error.delivery(), Delivery::NotWritten);
    assert!(matches!(error.cause(), Some(WaitCause::ProducerId { .. })));
    case.finish();
}
