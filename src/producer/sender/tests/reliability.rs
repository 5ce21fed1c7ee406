//! The effect of each error code of a broker on a batch. It is determined by running the sender, and written into
//! `docs/RELIABILITY.md`.

use std::fmt::Write as _;

use super::*;

/// The error codes with which a broker may answer for a batch, and the advice to an application whose record has failed
/// with the code.
const ADVICE: &[(ErrorCode, &str)] = &[
    (
        ErrorCode::CorruptMessage,
        "if the topic is compacted, give the record a key; else suspect the network, or memory",
    ),
    (
        ErrorCode::UnknownTopicOrPartition,
        "create the topic, or give the cluster longer (`delivery.timeout.ms`)",
    ),
    (ErrorCode::LeaderNotAvailable, WAIT),
    (ErrorCode::NotLeaderOrFollower, WAIT),
    (ErrorCode::ReplicaNotAvailable, WAIT),
    (ErrorCode::FencedLeaderEpoch, WAIT),
    (ErrorCode::UnknownLeaderEpoch, WAIT),
    (ErrorCode::KafkaStorageError, "look at the broker's disk"),
    (
        ErrorCode::RequestTimedOut,
        "replicas are slow: look at the cluster, or raise `request.timeout.ms`",
    ),
    (ErrorCode::NotEnoughReplicas, REPLICAS),
    (ErrorCode::NotEnoughReplicasAfterAppend, REPLICAS),
    (
        ErrorCode::ThrottlingQuotaExceeded,
        "send less, or have the quota raised",
    ),
    (ErrorCode::NetworkException, WAIT),
    (
        ErrorCode::UnknownServerError,
        "read the broker's log; after an upgrade of the cluster, upgrade this library",
    ),
    (
        ErrorCode::MessageTooLarge,
        "a batch of several records was split first, so this is one record: make it smaller, or raise \
         the topic's `max.message.bytes`",
    ),
    (
        ErrorCode::RecordListTooLarge,
        "set `batch.size` below the topic's `segment.bytes`",
    ),
    (
        ErrorCode::InvalidTopicException,
        "use another name, or do not write to an internal topic",
    ),
    (ErrorCode::InvalidRequiredAcks, "set `acks` to 0, 1 or all"),
    (
        ErrorCode::TopicAuthorizationFailed,
        "grant Write on the topic",
    ),
    (
        ErrorCode::ClusterAuthorizationFailed,
        "grant IdempotentWrite, or set `enable.idempotence=false`; then build a new producer",
    ),
    (
        ErrorCode::InvalidTimestamp,
        "correct the timestamp, or the topic's `message.timestamp.difference.max.ms`",
    ),
    (
        ErrorCode::InvalidRecord,
        "correct the record that the error names; send the others of its batch again",
    ),
    (
        ErrorCode::UnsupportedForMessageFormat,
        "the topic's message format is too old for headers or idempotence: raise it",
    ),
    (
        ErrorCode::UnsupportedCompressionType,
        "choose another `compression.type`",
    ),
    (
        ErrorCode::UnsupportedVersion,
        "upgrade the brokers; build a new producer",
    ),
    (
        ErrorCode::InvalidRequest,
        "client and broker do not understand each other: report it",
    ),
    (
        ErrorCode::PolicyViolation,
        "ask the operator of the cluster",
    ),
    (
        ErrorCode::OutOfOrderSequenceNumber,
        "records before this one are lost to the broker: look at its log, then decide",
    ),
    (
        ErrorCode::DuplicateSequenceNumber,
        "nothing: the record is in the log; its offset is not known",
    ),
    (
        ErrorCode::UnknownProducerId,
        "as for OUT_OF_ORDER_SEQUENCE_NUMBER; usually the topic's retention is shorter than the pause",
    ),
    (
        ErrorCode::InvalidProducerEpoch,
        "another producer goes on under this id: send with one of them; in a transaction, abort it",
    ),
    (
        ErrorCode::ProducerFenced,
        "another producer has taken over: close this one",
    ),
    (
        ErrorCode::TransactionalIdAuthorizationFailed,
        "grant Write on the transactional id; build a new producer",
    ),
    (
        ErrorCode::InvalidProducerIdMapping,
        "the transactional id has expired: build a new producer",
    ),
    (ErrorCode::InvalidTxnState, "abort the transaction"),
    (ErrorCode::TransactionAbortable, "abort the transaction"),
];

const WAIT: &str = "look at the cluster; raise `delivery.timeout.ms` if elections take longer";
const REPLICAS: &str =
    "bring back replicas; `min.insync.replicas` of the topic says how many it takes";

/// The reaction of one kind of producer to an error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reaction {
    Written,
    /// The batch is retried. If no retry is left, its error has this delivery.
    Retries(Delivery),
    Fails(Delivery),
    /// The producer cannot send any more; the batch's error has this delivery.
    Ends(Delivery),
}

fn find_out(code: ErrorCode, setup: impl Fn() -> Setup) -> Reaction {
    let mut rig = setup().start();
    let future = rig.launch(0, "v");
    rig.respond(code, -1);
    rig.advance(BACKOFF);
    rig.run();
    if !future.is_done() {
        assert_eq!(rig.waiting(), 1, "{code:?}: sent again after the backoff");
        let mut last = setup().with(|o| o.retries = 0).start();
        let future = last.launch(0, "v");
        last.respond(code, -1);
        return Reaction::Retries(error(&future).delivery());
    }
    let Err(error) = future.get() else {
        return Reaction::Written;
    };
    let transactions = rig.sender.transactions.as_ref();
    if transactions.is_some_and(|transactions| transactions.fatal_error().is_some()) {
        Reaction::Ends(error.delivery())
    } else {
        Reaction::Fails(error.delivery())
    }
}

fn words(reaction: Reaction) -> String {
    let then = |delivery| match delivery {
        Delivery::NotWritten => "not written",
        Delivery::MaybeWritten => "maybe written",
    };
    match reaction {
        Reaction::Written => "written".to_owned(),
        Reaction::Retries(delivery) => format!("retried; else {}", then(delivery)),
        Reaction::Fails(delivery) => then(delivery).to_owned(),
        Reaction::Ends(delivery) => {
            format!("{}; the producer cannot send any more", then(delivery))
        }
    }
}

fn idempotent() -> Setup {
    Setup::idempotent()
}

fn plain() -> Setup {
    Setup::default().with(|o| o.acks = 1)
}

fn table() -> String {
    let mut out = String::from(
        "| error code | idempotent, acks=all | acks=1, not idempotent | what to do when a record fails with it |\n\
         |---|---|---|---|\n",
    );
    for (code, advice) in ADVICE {
        let (one, other) = (find_out(*code, idempotent), find_out(*code, plain));
        let row = writeln!(
            out,
            "| `{}` | {} | {} | {advice} |",
            code.name(),
            words(one),
            words(other)
        );
        row.expect("a string takes everything");
    }
    out
}

/// The document agrees with the code (SE-13 to SE-19).
#[test]
fn reliability_doc_agrees_with_the_sender() {
    const BEGIN: &str = "<!-- answers: begin -->\n";
    const END: &str = "<!-- answers: end -->";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/RELIABILITY.md");
    let document = std::fs::read_to_string(path).expect("the document");
    let (before, rest) = document.split_once(BEGIN).expect("where the table begins");
    let (written, after) = rest.split_once(END).expect("where the table ends");
    let table = table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let document = format!("{before}{BEGIN}{table}{END}{after}");
        std::fs::write(path, document).expect("the document is written");
    } else {
        assert_eq!(
            written, table,
            "docs/RELIABILITY.md is out of date; run: UPDATE_DOCS=1 cargo test reliability_doc"
        );
    }
}

/// Checked for every error code, except those with a meaning of their own.
#[test]
fn exactly_the_retriable_codes_are_retried() {
    let special = [
        ErrorCode::NoError,
        ErrorCode::DuplicateSequenceNumber,
        ErrorCode::OutOfOrderSequenceNumber,
        ErrorCode::UnknownProducerId,
    ];
    for code in ErrorCode::ALL.iter().filter(|code| !special.contains(code)) {
        let reaction = find_out(*code, plain);
        let retried = matches!(reaction, Reaction::Retries(_));
        assert_eq!(retried, code.is_retriable(), "{code:?}: {reaction:?}");
    }
}
