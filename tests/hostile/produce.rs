//! Responses to Produce and InitProducerId that are well formed and wrong.

use kafka_producer::{Delivery, ErrorCode, ProduceErrorKind, WaitCause};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse,
};
use kafka_protocol::messages::{InitProducerIdResponse, ProduceResponse, ProducerId};
use kafka_protocol::protocol::StrBytes;

use crate::case::Case;
use crate::exchange::Api;

impl Case {
    /// Changes the first `count` Produce responses.
    fn at_first(
        &self,
        count: usize,
        edit: impl Fn(&mut ProduceResponse) + Send + Sync + Clone + 'static,
    ) {
        self.proxy.tamper_with(Api::Produce, move |exchange| {
            if exchange.nth < count {
                exchange.edited(edit.clone())
            } else {
                crate::exchange::Tampering::Nothing
            }
        });
    }

    fn always_after_batches(
        &self,
        edit: impl Fn(&mut PartitionProduceResponse) + Send + Sync + Clone + 'static,
    ) {
        self.at_first(usize::MAX, move |answer| {
            edit(&mut answer.responses[0].partition_responses[0]);
        });
    }
}

/// Java leaves the batch in flight until it expires (SE-36).
#[test]
fn a_response_without_the_partition_is_no_acknowledgement_and_the_record_arrives_once() {
    let lacking: [fn(&mut ProduceResponse); 4] = [
        |answer| answer.responses.clear(),
        |answer| answer.responses[0].partition_responses.clear(),
        |answer| answer.responses[0].partition_responses[0].index = 9,
        |answer| answer.responses[0].name = StrBytes::from_static_str("u").into(),
    ];
    for edit in lacking {
        let case = Case::warmed();
        case.at_first(2, edit);
        case.written();
        assert_eq!(case.proxy.exchanges_of(Api::Produce), 3);
        case.finish();
    }
}

#[test]
fn responses_that_always_lack_the_partition_are_reported_and_the_record_may_be_written() {
    let case = Case::warmed();
    case.at_first(usize::MAX, |answer| answer.responses.clear());
    case.undelivered(&["the response did not name the partition"]);
    case.finish();
}

/// An unexpected partition in a response causes a `NullPointerException` in Java (SE-35).
#[test]
fn response_partitions_that_were_not_in_the_request_are_ignored() {
    let case = Case::warmed();
    case.at_first(usize::MAX, |answer| {
        let unknown = |index| {
            PartitionProduceResponse::default()
                .with_index(index)
                .with_error_code(1)
        };
        let topic = answer.responses[0].clone();
        let foreign = StrBytes::from_static_str("u").into();
        answer.responses.insert(0, topic.with_name(foreign));
        let partitions = &mut answer.responses[1].partition_responses;
        partitions.splice(0..0, (-20..0).chain(1..20).map(unknown));
        // The correct partition is listed a second time, with an error.
        partitions.push(unknown(0));
    });
    let first = case.written().offset();
    assert_eq!(case.written().offset(), first + 1);
    assert_eq!(case.proxy.exchanges_of(Api::Produce), 2);
    case.finish();
}

/// ER-1
#[test]
fn an_unknown_error_code_fails_the_record_which_may_be_written() {
    let case = Case::warmed();
    case.always_after_batches(|partition| partition.error_code = 9_999);
    let kind = ProduceErrorKind::Broker(ErrorCode::UnknownServerError);
    let error = case.failed(&kind, &["UNKNOWN_SERVER_ERROR"]);
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
    case.finish();
}

#[test]
fn record_errors_with_impossible_indices_are_ignored() {
    let case = Case::warmed();
    case.always_after_batches(|partition| {
        partition.error_code = 87;
        partition.record_errors = [-1, i32::MIN, 1_000_000, i32::MAX, 1_000_000]
            .map(|at| BatchIndexAndErrorMessage::default().with_batch_index(at))
            .into();
        let long = StrBytes::from_string("long ".repeat(6_000));
        partition.error_message = Some(long);
    });
    let kind = ProduceErrorKind::Broker(ErrorCode::InvalidRecord);
    case.failed(&kind, &["INVALID_RECORD", "long long"]);
    // The broker has appended the batch that the changed response rejects, so the last record counts as maybe written.
    case.forget_last();
    case.finish();
}

/// The memory of record errors is bounded by the size of the request, not of the response.
#[test]
fn repeated_errors_for_the_same_records_are_stored_once_per_record() {
    let case = Case::warmed();
    case.always_after_batches(|partition| {
        partition.error_code = 87;
        let named = |at| {
            let words = StrBytes::from_string(format!("reason {at}"));
            BatchIndexAndErrorMessage::default()
                .with_batch_index(at % 4)
                .with_batch_index_error_message(Some(words))
        };
        partition.record_errors = (0..200_000).map(named).collect();
    });
    let kind = ProduceErrorKind::Broker(ErrorCode::InvalidRecord);
    // The first error for a record counts; later errors for the same record are dropped.
    let error = case.failed(&kind, &["INVALID_RECORD: reason 0;"]);
    assert_eq!(
        error.broker_error().unwrap().message.as_deref(),
        Some("reason 0")
    );
    case.forget_last();
    case.finish();
}

#[test]
fn impossible_offsets_and_timestamps_are_passed_on_without_overflow() {
    for number in [i64::MAX, i64::MIN, -2] {
        let case = Case::warmed();
        case.always_after_batches(move |partition| {
            partition.base_offset = number;
            partition.log_append_time_ms = number;
            partition.log_start_offset = number;
        });
        let records = [case.send(), case.send(), case.send()];
        for record in records {
            record.outcome().unwrap();
        }
        case.finish();
    }
}

#[test]
fn an_invalid_producer_id_is_requested_again_and_reported_if_no_valid_one_comes() {
    for (id, epoch) in [(-1, 0), (i64::MIN, 0), (5, -1), (5, i16::MIN)] {
        let case = Case::meeting(|proxy| {
            proxy.tamper_with(Api::InitProducerId, move |exchange| {
                exchange.edited(|answer: &mut InitProducerIdResponse| {
                    answer.producer_id = ProducerId(id);
                    answer.producer_epoch = epoch;
                })
            });
        });
        let parts = ["the broker gave an invalid producer id"];
        let error = case.failed(&ProduceErrorKind::DeliveryTimeout, &parts);
        assert!(matches!(error.cause(), Some(WaitCause::ProducerId { .. })));
        assert_eq!(error.delivery(), Delivery::NotWritten);
        case.finish();
    }
}
