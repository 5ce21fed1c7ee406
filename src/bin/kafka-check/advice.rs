//! Likely reasons of a failure, and the keys to change.

use std::time::Duration;

use kafka_producer::probe::{ConnectionProbe, ProbeFailure, ProbeFailureKind, ProbeStage};
use kafka_producer::{Error, ErrorCode, ProduceError, ProduceErrorKind, ProducerConfig};

use crate::finding::{CheckProblem, KeySide};
use crate::keys::{self, PassedSteps};

/// Where an address comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressSource {
    /// `bootstrap.servers`.
    Bootstrap,
    /// The metadata: a broker's `advertised.listeners`.
    Advertised,
}

/// A host name that cannot be resolved.
pub(crate) fn unresolved(why: String, source: AddressSource) -> CheckProblem {
    let problem = CheckProblem::failure(why);
    match source {
        AddressSource::Bootstrap => problem
            .likely("the name is misspelled, or the name service of this machine does not know it")
            .change("bootstrap.servers", KeySide::Client, "host names that this machine resolves"),
        AddressSource::Advertised => problem
            .likely(
                "the broker advertises a name that is known in its own network only, such as that of a container",
            )
            .change(
                "advertised.listeners",
                KeySide::Broker,
                "a name that its clients resolve; or make the name known here, by DNS or the hosts file",
            ),
    }
}

/// No TCP connection to an address.
pub(crate) fn unconnected(failure: &ProbeFailure, at: &str, source: AddressSource) -> CheckProblem {
    let likely = if failure.timed_out() {
        "a firewall drops the packets, or this machine has no route to the address"
    } else {
        "no broker listens on this port, or it is not running, or a firewall rejects the connection"
    };
    let problem = CheckProblem::failure(format!("{at}: {}", failure.reason)).likely(likely);
    match source {
        AddressSource::Bootstrap => problem
            .change("bootstrap.servers", KeySide::Client, "host and port of a running broker")
            .change("listeners", KeySide::Broker, "the address and port on which the broker listens"),
        AddressSource::Advertised => problem
            .likely(
                "the broker advertises an address that can be reached in its own network only, such as localhost or \
                 that of a container",
            )
            .change(
                "advertised.listeners",
                KeySide::Broker,
                "an address and port that its clients can reach",
            ),
    }
}

/// A connection that failed after TCP was connected.
pub(crate) fn of_stage(
    failure: &ProbeFailure,
    probe: &ConnectionProbe,
    config: &ProducerConfig,
    source: AddressSource,
) -> CheckProblem {
    let problem = CheckProblem::failure(reason(failure, source));
    let hangs_at_metadata = failure.timed_out() && failure.stage == ProbeStage::Metadata;
    let problem = match failure.kind {
        ProbeFailureKind::TimedOut | ProbeFailureKind::ConnectionLost
            if source == AddressSource::Advertised && !hangs_at_metadata =>
        {
            at_advertised(problem, failure)
        }
        ProbeFailureKind::TimedOut => timed_out(problem, failure.stage, &probe.stages()),
        ProbeFailureKind::Credentials if config.sasl_mechanism() == "OAUTHBEARER" => problem
            .likely("the token is wrong or expired, or the broker does not accept its issuer"),
        ProbeFailureKind::Credentials if config.sasl_mechanism() == "GSSAPI" => problem.likely(
            "there is no valid ticket, or the broker's principal has another service or host name",
        ),
        ProbeFailureKind::Credentials => problem.likely(
            "user or password are wrong, or the broker does not know them for this mechanism",
        ),
        ProbeFailureKind::ConnectionLost => closed(problem, failure.stage, &probe.stages()),
        ProbeFailureKind::Other if failure.stage == ProbeStage::Tls => {
            closed(problem, failure.stage, &probe.stages())
        }
        // The reason explains itself.
        _ => problem,
    };
    let passed = PassedSteps::before(failure.stage, &probe.stages(), source);
    keys::with_keys(problem, config.security_protocol(), failure, passed)
}

/// The reason of a failure. A broker that closes the connection at the metadata request has answered the first request,
/// the one for its API versions, and at an advertised address its protocol is right.
fn reason(failure: &ProbeFailure, source: AddressSource) -> String {
    let reason = &*failure.reason;
    if failure.stage != ProbeStage::Metadata {
        return reason.to_owned();
    }
    match reason.split_once(" without a response to its first request") {
        None => reason.to_owned(),
        Some((begin, hint)) => {
            let hint = if source == AddressSource::Bootstrap {
                hint
            } else {
                ""
            };
            format!("{begin} without a response to the metadata request{hint}")
        }
    }
}

/// A broker that a bootstrap server has advertised, which accepts the same security protocol.
fn at_advertised(problem: CheckProblem, failure: &ProbeFailure) -> CheckProblem {
    let problem = problem.likely(
        "the address is that of another listener, such as the one between brokers, or of another server: a bootstrap \
         server accepts this protocol",
    );
    problem.likely(if failure.timed_out() {
        "the broker hangs, or is overloaded"
    } else {
        "the broker shuts down, or the network fails now and then"
    })
}

/// A stage that took too long. `stages` are those of the security protocol.
fn timed_out(problem: CheckProblem, stage: ProbeStage, stages: &[ProbeStage]) -> CheckProblem {
    match stage {
        ProbeStage::Tls => problem.likely(
            "the listener does not expect TLS, and takes the handshake for a request; or the server hangs",
        ),
        ProbeStage::Sasl => problem.likely("the listener does not expect SASL, or the broker hangs"),
        ProbeStage::ApiVersions if !has_passed_security(stages) => problem
            .likely("the listener expects TLS, and waits for the handshake")
            .likely("the server is not a Kafka broker, or it hangs"),
        _ => problem.likely("the broker hangs, or is overloaded"),
    }
}

/// Whether TLS or SASL has passed before the API versions.
fn has_passed_security(stages: &[ProbeStage]) -> bool {
    stages.contains(&ProbeStage::Tls) || stages.contains(&ProbeStage::Sasl)
}

/// A connection that the server closed. `stages` are those of the security protocol.
fn closed(problem: CheckProblem, stage: ProbeStage, stages: &[ProbeStage]) -> CheckProblem {
    match stage {
        ProbeStage::Tls => problem
            .likely("the listener accepts plain text only")
            .likely("a firewall or a proxy closes the connection"),
        ProbeStage::Sasl if stages.contains(&ProbeStage::Tls) => problem
            .likely("the broker is older than 1.0, and rejects the credentials by closing the connection")
            .likely("the broker shuts down"),
        ProbeStage::Sasl => problem
            .likely("the listener expects TLS")
            .likely("the broker is older than 1.0, and rejects the credentials by closing the connection"),
        ProbeStage::ApiVersions if stages.contains(&ProbeStage::Sasl) => {
            problem.likely("the broker shuts down, or the network fails now and then")
        }
        ProbeStage::ApiVersions if stages.contains(&ProbeStage::Tls) => problem
            .likely("the listener expects SASL")
            .likely("a firewall or a proxy closes the connection, or the server is not a Kafka broker"),
        ProbeStage::ApiVersions => problem
            .likely("the listener expects TLS or SASL")
            .likely("a firewall or a proxy closes the connection, or the server is not a Kafka broker"),
        ProbeStage::Metadata if !stages.contains(&ProbeStage::Sasl) => problem
            .likely("the listener expects SASL: it answers no request of a client without a login but the first")
            .likely("the broker shuts down"),
        _ => problem.likely("the broker shuts down, or the network fails now and then"),
    }
}

/// A topic that the broker does not describe.
pub(crate) fn of_topic(topic: &str, code: ErrorCode) -> CheckProblem {
    let problem = |text: String| CheckProblem::failure(text);
    match code {
        ErrorCode::UnknownTopicOrPartition => problem(format!("topic {topic} does not exist"))
            .likely("its name is misspelled, it was not created yet, or it is in another cluster")
            .likely("the client may not describe it: then brokers answer as if it did not exist")
            .change(
                "auto.create.topics.enable",
                KeySide::Broker,
                "creates a topic when it is first sent to; better create it with kafka-topics.sh",
            ),
        ErrorCode::TopicAuthorizationFailed => {
            problem(format!("the client is not authorized for topic {topic}"))
                .likely("its user has no ACL for the topic: Describe and Write are needed")
                .change("sasl.jaas.config", KeySide::Client, "a user that has them")
        }
        ErrorCode::InvalidTopicException => {
            problem(format!("{topic} is not a valid name of a topic"))
        }
        code => problem(format!("{}: {}", code.name(), code.message())),
    }
}

/// Time limits of the configuration that are shorter than that of a step, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShortTimeouts {
    /// `max.block.ms`.
    max_block: Option<u128>,
    /// `delivery.timeout.ms`.
    delivery: Option<u128>,
}

impl ShortTimeouts {
    /// `timeout` is the time limit of a step.
    pub(crate) fn of(config: &ProducerConfig, timeout: Duration) -> Self {
        let if_short = |limit: Duration| (limit < timeout).then_some(limit.as_millis());
        Self {
            max_block: if_short(config.max_block()),
            delivery: if_short(config.delivery_timeout()),
        }
    }
}

/// A test record that was not acknowledged.
pub(crate) fn of_record(error: &Error, short: ShortTimeouts) -> CheckProblem {
    let problem = CheckProblem::failure(error.to_string());
    let produce = match error {
        Error::Produce(error) => Some(error),
        _ => None,
    };
    // Else the code of the last response, after which the time for further attempts ran out.
    let last_response = || Some(produce?.broker_error()?.code);
    match error.code().or_else(last_response) {
        Some(ErrorCode::NotEnoughReplicas | ErrorCode::NotEnoughReplicasAfterAppend) => problem
            .likely("fewer replicas are in sync than min.insync.replicas: brokers are down or slow")
            .change(
                "min.insync.replicas",
                KeySide::Topic,
                "at most the replicas that are up",
            ),
        Some(ErrorCode::TopicAuthorizationFailed) => problem
            .likely("the user of the client has no ACL Write for the topic")
            .change("sasl.jaas.config", KeySide::Client, "a user that has it"),
        Some(ErrorCode::ClusterAuthorizationFailed) => problem
            .likely("brokers before 2.8 require the ACL IdempotentWrite on the cluster")
            .change(
                "enable.idempotence",
                KeySide::Client,
                "false, without that ACL",
            ),
        Some(ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge) => problem
            .likely("the record is larger than the topic allows")
            .change(
                "max.message.bytes",
                KeySide::Topic,
                "above the size of the largest record",
            ),
        Some(ErrorCode::InvalidRecord) => problem
            .likely("the broker validates records: a compacted topic requires a key (--key)")
            .change("cleanup.policy", KeySide::Topic, "compact requires keys"),
        Some(_) => problem,
        None => without_response(problem, produce.map(ProduceError::kind), short),
    }
}

/// A test record for which no broker has sent an error.
fn without_response(
    problem: CheckProblem,
    kind: Option<&ProduceErrorKind>,
    short: ShortTimeouts,
) -> CheckProblem {
    let above = |ms: u128| format!("above {ms}");
    match (kind, short) {
        (
            Some(ProduceErrorKind::MetadataTimeout),
            ShortTimeouts {
                max_block: Some(ms),
                ..
            },
        ) => problem
            .likely("the time is too short: the first record of a topic waits for its metadata")
            .change("max.block.ms", KeySide::Client, above(ms)),
        (
            Some(ProduceErrorKind::DeliveryTimeout),
            ShortTimeouts {
                delivery: Some(ms), ..
            },
        ) => problem
            .likely("the time is too short for the first connection to the leader")
            .change("delivery.timeout.ms", KeySide::Client, above(ms)),
        (Some(ProduceErrorKind::DeliveryTimeout | ProduceErrorKind::MetadataTimeout), _) => problem
            .likely("the leader of the partition cannot be reached, or does not answer in time"),
        (Some(ProduceErrorKind::RecordTooLarge { key, .. }), _) => problem.change(
            *key,
            KeySide::Client,
            "above the size of the largest record",
        ),
        // The error explains itself.
        _ => problem,
    }
}
