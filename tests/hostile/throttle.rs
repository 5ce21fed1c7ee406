//! Throttle times longer than any timeout.

use kafka_producer::{Delivery, ProduceErrorKind, WaitCause};
use kafka_protocol::messages::{MetadataResponse, ProduceResponse};

use crate::case::{Case, REQUEST, assert_error};
use crate::exchange::{Api, Tampering, framed};

/// The longest throttle time, in milliseconds: more than 24 days.
const LONGEST: i32 = i32::MAX;

/// The client respects the throttle time, as Java's does; the records' own timeouts still apply. The throttle ends with
/// the connection (NC-24).
#[test]
fn the_error_of_the_next_record_names_a_throttle_of_24_days() {
    let case = Case::warmed();
    case.proxy.tamper_with(Api::Produce, |exchange| {
        exchange.edited(|answer: &mut ProduceResponse| answer.throttle_time_ms = LONGEST)
    });
    case.written();
    let parts = ["broker 0 is throttling this client", "delivery.timeout.ms"];
    let error = case.failed(&ProduceErrorKind::DeliveryTimeout, &parts);
    assert_eq!(error.cause(), Some(&WaitCause::Throttled { node: 0 }));
    assert_eq!(error.delivery(), Delivery::NotWritten);
    assert_eq!(case.proxy.exchanges_of(Api::Produce), 1, "nothing was sent");
    case.proxy.close_connections();
    case.finish();
}

#[test]
fn the_error_of_a_new_topic_names_a_throttled_metadata_request() {
    let case = Case::warmed();
    case.proxy.tamper_with(Api::Produce, |exchange| {
        exchange.edited(|answer: &mut ProduceResponse| answer.throttle_time_ms = LONGEST)
    });
    case.written();
    let error = case.failed_for("unheard-of");
    let parts = ["broker 0 is throttling this client", "max.block.ms"];
    assert_error(&error, &ProduceErrorKind::MetadataTimeout, &parts);
    case.proxy.close_connections();
    case.finish();
}

/// A throttle time applies to one connection; the connection to the leader is another one than that to the bootstrap
/// server.
#[test]
fn a_throttle_of_the_bootstrap_server_does_not_hold_up_the_leader() {
    let case = Case::meeting(|proxy| {
        proxy.tamper_with(Api::Metadata, |exchange| match exchange.nth {
            0 => exchange.edited(|answer: &mut MetadataResponse| {
                answer.throttle_time_ms = LONGEST;
            }),
            _ => Tampering::Nothing,
        });
    });
    case.written();
    case.finish();
}

#[test]
fn a_negative_throttle_time_is_ignored() {
    let case = Case::warmed();
    for millis in [-1, i32::MIN] {
        case.proxy.tamper_with(Api::Produce, move |exchange| {
            exchange.edited(|answer: &mut ProduceResponse| answer.throttle_time_ms = millis)
        });
        case.written();
        case.written();
    }
    case.finish();
}

/// Throttle time does not count for the request timeout (KAFKA-16083). A record's own timeout still applies.
#[test]
fn a_record_in_flight_behind_a_throttle_of_24_days_still_times_out() {
    // An idempotent producer would not send the second batch before the response to the first, which is delayed.
    let case = Case::configured(|_| {}, |config| config.enable_idempotence(false));
    case.written();
    // The response to the first batch arrives, with the throttle time, when the second batch is in flight already.
    case.proxy
        .tamper_with(Api::Produce, |exchange| match exchange.nth {
            0 => {
                let answer = exchange.edited_payload(|answer: &mut ProduceResponse| {
                    answer.throttle_time_ms = LONGEST;
                });
                Tampering::Halves(Vec::new(), framed(&answer))
            }
            _ => Tampering::Silence,
        });
    let first = case.send();
    case.proxy.await_half(REQUEST);
    let second = case.send();
    case.await_in_flight(2);
    case.proxy.release();
    first.outcome().unwrap();
    let error = second.outcome().unwrap_err();
    assert_error(
        &error,
        &ProduceErrorKind::DeliveryTimeout,
        &["did not answer"],
    );
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
    case.proxy.close_connections();
    case.finish();
}
