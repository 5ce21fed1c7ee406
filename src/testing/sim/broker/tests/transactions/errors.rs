//! Errors of transactional requests by version, and effects of rules on these requests.

use super::*;
use crate::testing::script::{AndThen, Api, Rule};

fn added(answer: Response) -> Vec<ErrorCode> {
    match answer {
        Response::AddPartitionsToTxn(answer) => codes(&answer.topics),
        other => panic!("{other:?}"),
    }
}

/// Java: KafkaApisTest#shouldReplaceProducerFencedWithInvalidProducerEpochInAddPartitionToTxnWithOlderClient,
/// #shouldReplaceProducerFencedWithInvalidProducerEpochInEndTxnWithOlderClient
#[test]
fn old_clients_get_an_invalid_epoch_error_instead_of_fencing() {
    let mut it = Broker::new();
    let producer = it.init().unwrap();
    let fenced = bumped(producer);
    for version in 0..=3 {
        let expected = if version < 2 {
            ErrorCode::InvalidProducerEpoch
        } else {
            ErrorCode::ProducerFenced
        };
        let answer = it.ask(&add_request(ID, fenced, &[("t", &[0])]), version);
        assert_eq!(added(answer), [expected], "{version}");
        let Response::EndTxn(answer) = it.ask(&end_request(ID, fenced, true), version) else {
            panic!()
        };
        assert_eq!(answer.error, expected, "{version}");
    }
    for version in 3..=4 {
        let expected = if version < 4 {
            ErrorCode::InvalidProducerEpoch
        } else {
            ErrorCode::ProducerFenced
        };
        assert_eq!(it.init_as(fenced, version), Err(expected));
    }
}

/// Java: KafkaApisTest#testAddPartitionsToTxnWithInvalidPartition
#[test]
fn one_partition_that_cannot_be_added_fails_the_others() {
    let mut it = Broker::new();
    let producer = it.init().unwrap();
    let topics: &[(&str, &[i32])] = &[("t", &[0, 5]), ("none", &[0]), ("__consumer_offsets", &[0])];
    let answer = it.ask(&add_request(ID, producer, topics), 3);
    let expected = [
        ErrorCode::OperationNotAttempted,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::TopicAuthorizationFailed,
    ];
    assert_eq!(added(answer), expected);
    assert_eq!(it.state(), TransactionState::Empty);
}

#[test]
fn an_uninitialized_transactional_id_has_no_transaction() {
    let mut it = Broker::new();
    let producer = it.init().unwrap();
    for (name, expected) in [
        ("none", ErrorCode::InvalidProducerIdMapping),
        ("", ErrorCode::InvalidRequest),
    ] {
        let answer = it.ask(&add_request(name, producer, &[("t", &[0])]), 3);
        assert_eq!(added(answer), [expected]);
        let Response::EndTxn(answer) = it.ask(&end_request(name, producer, true), 3) else {
            panic!()
        };
        assert_eq!(answer.error, expected);
    }
    let other = ProducerIdAndEpoch::new(producer.id + 1, 0);
    let mapping = ErrorCode::InvalidProducerIdMapping;
    assert_eq!(it.add(other, &[0]), [mapping]);
    assert_eq!(it.end(other, true), mapping);
    assert_eq!(it.end(producer, true), ErrorCode::InvalidTxnState);
}

/// Java: TransactionCoordinatorTest#shouldReturnInvalidRequestWhenTransactionalIdIsEmpty
#[test]
fn an_empty_transactional_id_and_a_too_long_time_out_are_refused() {
    let mut it = Broker::new();
    it.options().max_timeout = Duration::from_secs(5);
    let mut ask = |name: &str, timeout| {
        let request = InitProducerIdRequest {
            transactional_id: Some(name.into()),
            transaction_timeout_ms: timeout,
            producer_id: -1,
            producer_epoch: -1,
        };
        match it.ask(&Request::InitProducerId(request), 4) {
            Response::InitProducerId(answer) => answer.error,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask("", 1000), ErrorCode::InvalidRequest);
    for timeout in [0, -1, 5001, i32::MAX] {
        assert_eq!(ask(ID, timeout), ErrorCode::InvalidTransactionTimeout);
    }
    assert_eq!(ask(ID, 5000), ErrorCode::NoError);
}

#[test]
fn a_rule_for_one_partition_fails_the_others_unless_it_applies_afterwards() {
    for (after, other, state) in [
        (
            false,
            ErrorCode::OperationNotAttempted,
            TransactionState::Empty,
        ),
        (true, ErrorCode::NoError, TransactionState::Ongoing),
    ] {
        let mut it = Broker::new();
        let error = ErrorCode::TopicAuthorizationFailed;
        let rule = Rule::on(Api::AddPartitionsToTxn)
            .partition("t", 1)
            .fail(error);
        let rule = if after { rule.after_applying() } else { rule };
        it.cluster.script().add(rule.times(1));
        let producer = it.init().unwrap();
        assert_eq!(it.add(producer, &[0, 1]), [other, error]);
        assert_eq!(it.state(), state);
        assert_eq!(it.add(producer, &[0, 1]), [ErrorCode::NoError; 2]);
    }
}

#[test]
fn a_transaction_ends_even_if_the_response_is_an_error_or_lost() {
    let error = ErrorCode::NotCoordinator;
    let on = || Rule::on(Api::EndTxn).times(1);
    for (rule, ends) in [
        (on().fail(error), false),
        (on().fail(error).after_applying(), true),
        (on().close(), false),
        (on().close().after_applying(), true),
        (on().cut_answer(3, AndThen::Close), true),
    ] {
        let mut it = Broker::new();
        it.cluster.script().add(rule);
        let producer = it.init().unwrap();
        it.add(producer, &[0]);
        let frame = end_request(ID, producer, true).encode(3, 42, None).unwrap();
        let plan = it.cluster.handle(0, &frame.to_payload(), NOW);
        let is_complete = it.state() == TransactionState::CompleteCommit;
        assert_eq!(is_complete, ends, "{plan:?}");
        // The retry succeeds: the transaction has ended.
        assert_eq!(it.end(producer, true), ErrorCode::NoError);
    }
}

#[test]
fn rules_apply_to_each_transactional_request() {
    for (api, request, version) in [
        (
            Api::InitProducerId,
            init_request(ProducerIdAndEpoch::NONE),
            4,
        ),
        (
            Api::EndTxn,
            end_request(ID, ProducerIdAndEpoch::new(1, 0), true),
            3,
        ),
        (
            Api::AddPartitionsToTxn,
            add_request(ID, ProducerIdAndEpoch::new(1, 0), &[("t", &[0])]),
            3,
        ),
        (
            Api::FindCoordinator,
            full_request(ApiKey::FindCoordinator, 4),
            4,
        ),
        (
            Api::AddOffsetsToTxn,
            full_request(ApiKey::AddOffsetsToTxn, 3),
            3,
        ),
        (
            Api::TxnOffsetCommit,
            full_request(ApiKey::TxnOffsetCommit, 3),
            3,
        ),
    ] {
        let mut it = Broker::new();
        let error = ErrorCode::TransactionalIdAuthorizationFailed;
        it.cluster.script().add(Rule::on(api).fail(error).times(1));
        let wait = Duration::from_millis(7);
        it.cluster.script().add(Rule::on(api).throttle(wait));
        let (all, throttle) = match it.ask(&request, version) {
            Response::InitProducerId(it) => (vec![it.error], it.throttle_time_ms),
            Response::EndTxn(it) => (vec![it.error], it.throttle_time_ms),
            Response::AddOffsetsToTxn(it) => (vec![it.error], it.throttle_time_ms),
            Response::AddPartitionsToTxn(it) => (codes(&it.topics), it.throttle_time_ms),
            Response::TxnOffsetCommit(it) => (codes(&it.topics), it.throttle_time_ms),
            Response::FindCoordinator(it) => {
                let errors = it.coordinators.iter().map(|it| it.error);
                (errors.collect(), it.throttle_time_ms)
            }
            other => panic!("{other:?}"),
        };
        assert!(
            !all.is_empty() && all.iter().all(|it| *it == error),
            "{api}"
        );
        assert_eq!(throttle, 7, "{api}");
    }
}
