//! Each error code that a broker can return for a batch, and the producer's reaction.

use kafka_producer::testing::{Api, Refusal, Rule};
use kafka_producer::{Delivery, ErrorCode, ProduceErrorKind, ProducerConfigBuilder};

use crate::support::{LONG, cluster, config, producer, record};

/// The outcome of a batch of an idempotent producer that is rejected once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The batch is retried unchanged.
    Retried,
    /// The batch is retried with a new sequence number, in a new epoch.
    RetriedInNewEpoch,
    /// The records fail; the next batch begins a new epoch, because the failed batch's sequence numbers are missing.
    Fails,
    /// The records fail, and the producer fails for good.
    ProducerFails,
    /// The broker has the batch already, so the batch counts as written.
    Written,
}

use Delivery::{MaybeWritten, NotWritten};
use Then::{Fails, ProducerFails, Retried, RetriedInNewEpoch, Written};

/// The error codes for batches, their outcome, and whether the records may be in the log with acks=all and no retry
/// left.
/// `MESSAGE_TOO_LARGE` has its own tests.
const TABLE: &[(ErrorCode, Then, Delivery)] = &[
    (ErrorCode::UnknownServerError, Fails, MaybeWritten),
    (ErrorCode::CorruptMessage, Retried, NotWritten),
    (ErrorCode::UnknownTopicOrPartition, Retried, MaybeWritten),
    (ErrorCode::LeaderNotAvailable, Retried, MaybeWritten),
    (ErrorCode::NotLeaderOrFollower, Retried, MaybeWritten),
    (ErrorCode::RequestTimedOut, Retried, MaybeWritten),
    (ErrorCode::ReplicaNotAvailable, Retried, MaybeWritten),
    (ErrorCode::NetworkException, Retried, MaybeWritten),
    (ErrorCode::InvalidTopicException, Fails, NotWritten),
    (ErrorCode::RecordListTooLarge, Fails, NotWritten),
    (ErrorCode::NotEnoughReplicas, Retried, NotWritten),
    (
        ErrorCode::NotEnoughReplicasAfterAppend,
        Retried,
        MaybeWritten,
    ),
    (ErrorCode::InvalidRequiredAcks, Fails, NotWritten),
    (ErrorCode::TopicAuthorizationFailed, Fails, NotWritten),
    (
        ErrorCode::ClusterAuthorizationFailed,
        ProducerFails,
        NotWritten,
    ),
    (ErrorCode::InvalidTimestamp, Fails, NotWritten),
    (ErrorCode::UnsupportedVersion, ProducerFails, NotWritten),
    (ErrorCode::InvalidRequest, Fails, NotWritten),
    (ErrorCode::UnsupportedForMessageFormat, Fails, NotWritten),
    (ErrorCode::PolicyViolation, Fails, NotWritten),
    (
        ErrorCode::OutOfOrderSequenceNumber,
        RetriedInNewEpoch,
        NotWritten,
    ),
    (ErrorCode::DuplicateSequenceNumber, Written, NotWritten),
    (ErrorCode::InvalidProducerEpoch, Fails, NotWritten),
    (ErrorCode::InvalidTxnState, Fails, NotWritten),
    (ErrorCode::InvalidProducerIdMapping, Fails, NotWritten),
    (
        ErrorCode::TransactionalIdAuthorizationFailed,
        ProducerFails,
        NotWritten,
    ),
    (ErrorCode::SecurityDisabled, Fails, NotWritten),
    (ErrorCode::KafkaStorageError, Retried, MaybeWritten),
    (ErrorCode::UnknownProducerId, Retried, NotWritten),
    (ErrorCode::FencedLeaderEpoch, Retried, MaybeWritten),
    (ErrorCode::UnknownLeaderEpoch, Retried, MaybeWritten),
    (ErrorCode::UnsupportedCompressionType, Fails, NotWritten),
    (ErrorCode::InvalidRecord, Fails, NotWritten),
    (ErrorCode::ThrottlingQuotaExceeded, Retried, NotWritten),
    (ErrorCode::ProducerFenced, ProducerFails, NotWritten),
];

/// All other error codes. Brokers do not return them for a batch; the producer retries the retriable ones.
fn others() -> impl Iterator<Item = ErrorCode> {
    (-1..=105)
        .map(ErrorCode::from_code)
        .filter(|code| !matches!(code, ErrorCode::NoError | ErrorCode::MessageTooLarge))
        .filter(|code| TABLE.iter().all(|(listed, ..)| listed != code))
}

/// The observed results of a record that was rejected once, and of the next one.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// The number of attempts.
    attempts: u64,
    error: Option<(ProduceErrorKind, Delivery)>,
    /// How often the record is in the log.
    copies: usize,
    /// The epoch of the next record, 0 without idempotence; `None` if it failed.
    next_epoch: Option<i16>,
}

fn refused_once(
    refusal: impl Into<Refusal>,
    after_applying: bool,
    settings: impl Fn(ProducerConfigBuilder) -> ProducerConfigBuilder,
) -> Outcome {
    let cluster = cluster(1);
    let requests = cluster.script(Rule::on(Api::Produce)).unwrap();
    let mut rule = Rule::on(Api::Produce).times(1).fail(refusal);
    if after_applying {
        rule = rule.after_applying();
    }
    cluster.script(rule).unwrap();
    let producer = producer(settings(config(&cluster)));
    let result = producer.send(record("first")).unwrap().get_timeout(LONG);
    let attempts = requests.fired();
    let next = producer.send(record("next")).unwrap().get_timeout(LONG);
    let records = cluster.records("t", 0);
    let is = |text: &'static str| {
        move |value: &Option<Vec<u8>>| value.as_deref() == Some(text.as_bytes())
    };
    let next_epoch = next.ok().map(|_| {
        let stored = records.iter().find(|record| is("next")(&record.value));
        stored.unwrap().producer.map_or(0, |stamp| stamp.epoch)
    });
    let copies = records.iter().map(|record| &record.value);
    Outcome {
        attempts,
        error: result
            .err()
            .map(|error| (error.kind().clone(), error.delivery())),
        copies: copies.filter(|value| is("first")(value)).count(),
        next_epoch,
    }
}

fn kind_of(code: ErrorCode) -> ProduceErrorKind {
    match code {
        ErrorCode::TopicAuthorizationFailed => ProduceErrorKind::TopicAuthorization,
        ErrorCode::InvalidTopicException => ProduceErrorKind::InvalidTopic,
        code => ProduceErrorKind::Broker(code),
    }
}

/// Prints the table of `docs/RELIABILITY.md` with `--nocapture` (SE-13 to SE-18, TM-42 to TM-46).
#[test]
fn an_idempotent_producer_handles_each_broker_error_as_the_table_shows() {
    println!("| answer | code | then | delivery | next epoch |\n|---|---|---|---|---|");
    for &(code, then, delivery) in TABLE {
        let outcome = refused_once(code, false, |config| config);
        let failed = || Some((kind_of(code), delivery));
        let expected = match then {
            Retried => Outcome {
                attempts: 2,
                error: None,
                copies: 1,
                next_epoch: Some(0),
            },
            RetriedInNewEpoch => Outcome {
                attempts: 2,
                error: None,
                copies: 1,
                next_epoch: Some(1),
            },
            Fails => Outcome {
                attempts: 1,
                error: failed(),
                copies: 0,
                next_epoch: Some(1),
            },
            ProducerFails => Outcome {
                attempts: 1,
                error: failed(),
                copies: 0,
                next_epoch: None,
            },
            // The embedded broker does not have the batch that counts as written. It accepts the next batch as the
            // first one of the producer.
            Written => Outcome {
                attempts: 1,
                error: None,
                copies: 0,
                next_epoch: Some(0),
            },
        };
        assert_eq!(outcome, expected, "{code}");
        let (name, number) = (code.name(), code.code());
        let next = outcome.next_epoch;
        println!("| {name} | {number} | {then:?} | {delivery:?} | {next:?} |");
    }
}

#[test]
fn an_error_that_brokers_do_not_return_for_a_batch_is_retried_if_retriable_and_else_final() {
    for code in others() {
        let outcome = refused_once(code, false, |config| config);
        if code.is_retriable() {
            assert_eq!((outcome.attempts, &outcome.error), (2, &None), "{code}");
        } else {
            let expected = Some((ProduceErrorKind::Broker(code), NotWritten));
            assert_eq!((outcome.attempts, &outcome.error), (1, &expected), "{code}");
        }
        assert!(outcome.next_epoch.is_some(), "{code}: {outcome:?}");
    }
}

/// The error came after the append: the broker recognises the retry as a duplicate.
#[test]
fn a_retry_of_an_idempotent_producer_is_in_the_log_once_even_if_already_written() {
    let retried = TABLE.iter().filter(|(_, then, _)| *then == Retried);
    for (code, ..) in retried {
        let outcome = refused_once(*code, true, |config| config);
        let expected = Outcome {
            attempts: 2,
            error: None,
            copies: 1,
            next_epoch: Some(0),
        };
        assert_eq!(outcome, expected, "{code}");
    }
}

/// This library decides from the error code whether a record may be written; Kafka's client does not report this.
#[test]
fn without_retries_an_error_shows_whether_the_records_may_be_written() {
    for (acks, all) in [("all", true), ("1", false)] {
        for &(code, _, with_all) in TABLE {
            let outcome = refused_once(code, false, |config| {
                config
                    .set("enable.idempotence", "false")
                    .set("retries", "0")
                    .set("acks", acks)
            });
            let delivery = match code {
                // With acks=1 a broker returns these errors only before the append, because it does not wait for
                // replicas.
                ErrorCode::UnknownTopicOrPartition
                | ErrorCode::LeaderNotAvailable
                | ErrorCode::NotLeaderOrFollower
                | ErrorCode::ReplicaNotAvailable
                | ErrorCode::FencedLeaderEpoch
                | ErrorCode::UnknownLeaderEpoch
                    if !all =>
                {
                    NotWritten
                }
                _ => with_all,
            };
            let error =
                (code != ErrorCode::DuplicateSequenceNumber).then(|| (kind_of(code), delivery));
            let expected = Outcome {
                attempts: 1,
                error,
                copies: 0,
                next_epoch: Some(0),
            };
            assert_eq!(outcome, expected, "{code}, acks={acks}");
        }
    }
}

/// If the batch of any attempt may have been written, the record counts as maybe written.
#[test]
fn a_record_that_may_be_written_stays_so_after_later_rejections() {
    let cluster = cluster(1);
    let doubtful = Rule::on(Api::Produce)
        .times(1)
        .fail(ErrorCode::NotEnoughReplicasAfterAppend)
        .after_applying();
    cluster.script(doubtful).unwrap();
    let refused = Rule::on(Api::Produce).fail(ErrorCode::TopicAuthorizationFailed);
    cluster.script(refused).unwrap();
    let producer = producer(config(&cluster));
    let error = producer
        .send(record("v"))
        .unwrap()
        .get_timeout(LONG)
        .unwrap_err();
    assert_eq!(error.kind(), &ProduceErrorKind::TopicAuthorization);
    assert_eq!(error.delivery(), MaybeWritten, "{error}");
    assert_eq!(cluster.record_count("t"), 1);
}

/// The broker has lost the producer's state, because retention has deleted its records (TM-46).
#[test]
fn unknown_producer_id_bumps_the_epoch_if_the_log_start_has_moved() {
    let refusal = Refusal::new(ErrorCode::UnknownProducerId).log_start_offset(5);
    let outcome = refused_once(refusal, false, |config| config);
    assert_eq!((outcome.attempts, outcome.error), (2, None));
    assert_eq!((outcome.copies, outcome.next_epoch), (1, Some(1)));
}

/// If a broker names an invalid record, this record gets the broker's message about it (SE-18). The other records of
/// the batch fail, too, with the broker's message about the batch (PB-16).
#[test]
fn a_named_invalid_record_gets_its_own_message_and_the_others_the_message_of_the_batch() {
    let cluster = cluster(1);
    let refusal = Refusal::new(ErrorCode::InvalidRecord)
        .message("the batch has a bad record")
        .record(1, "no such customer");
    let bad = cluster
        .script(Rule::on(Api::Produce).times(1).fail(refusal))
        .unwrap();
    let linger = std::time::Duration::from_secs(60);
    let producer = producer(config(&cluster).linger(linger));
    let futures: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .map(|value| producer.send(record(value)).unwrap())
        .collect();
    producer.flush().unwrap();
    assert_eq!(bad.fired(), 1);
    let words: Vec<_> = futures
        .iter()
        .map(|future| {
            let error = future.get().unwrap_err();
            assert_eq!(error.delivery(), NotWritten);
            assert_eq!(
                error.kind(),
                &ProduceErrorKind::Broker(ErrorCode::InvalidRecord)
            );
            error.broker_error().unwrap().message.clone().unwrap()
        })
        .collect();
    assert_eq!(&*words[1], "no such customer");
    for other in [&words[0], &words[2]] {
        assert_eq!(&**other, "the batch has a bad record");
    }
    assert_eq!(cluster.record_count("t"), 0);
}
