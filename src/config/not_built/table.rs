//! The table of keys that Kafka's producer has, and this version of the library does not support.

use super::{NotBuilt, Reaction};

const LEAVE_OUT: &str = "Leave the key out";

/// The keys, in the order of Kafka's versions.
pub(super) const NOT_BUILT: &[NotBuilt] = &[
    of_broker("sasl.oauthbearer.clock.skew.seconds", "3.1"),
    of_broker("sasl.oauthbearer.expected.audience", "3.1"),
    of_broker("sasl.oauthbearer.expected.issuer", "3.1"),
    of_broker("sasl.oauthbearer.jwks.endpoint.refresh.ms", "3.1"),
    of_broker("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", "3.1"),
    of_broker("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", "3.1"),
    of_broker("sasl.oauthbearer.jwks.endpoint.url", "3.1"),
    NotBuilt {
        key: "partitioner.adaptive.partitioning.enable",
        since: "3.3",
        same: &["false"],
        reaction: Reaction::Warn,
        lacking: "records without a key go to all available partitions alike, however quick their brokers are",
        remedy: LEAVE_OUT,
    },
    NotBuilt {
        key: "partitioner.availability.timeout.ms",
        since: "3.3",
        same: &["0"],
        reaction: Reaction::Warn,
        lacking: "a partition whose broker takes no batches for a while still gets records without a key",
        remedy: LEAVE_OUT,
    },
    NotBuilt {
        key: "partitioner.ignore.keys",
        since: "3.3",
        same: &["false"],
        reaction: Reaction::Refuse,
        lacking: "this version of the library has no partitioner that ignores keys",
        remedy: "Leave the key out, and use RoundRobinPartitioner or a partitioner of your own",
    },
    NotBuilt {
        key: "auto.include.jmx.reporter",
        since: "3.4",
        same: &["false"],
        reaction: Reaction::LogWithOthers,
        lacking: "there is no JMX in this library",
        remedy: "Leave the key out, and read the metrics with KafkaProducer::metrics or a MetricsReporter",
    },
    NotBuilt {
        key: "enable.metrics.push",
        since: "3.7",
        same: &["false"],
        reaction: Reaction::Warn,
        lacking: "metrics are not pushed to the brokers",
        remedy: "Leave the key out, and read the metrics with KafkaProducer::metrics or a MetricsReporter",
    },
    of_token_request("sasl.oauthbearer.assertion.algorithm", "4.1"),
    of_token_request("sasl.oauthbearer.assertion.claim.aud", "4.1"),
    of_token_request("sasl.oauthbearer.assertion.claim.exp.seconds", "4.1"),
    of_token_request("sasl.oauthbearer.assertion.claim.iss", "4.1"),
    of_token_request("sasl.oauthbearer.assertion.claim.jti.include", "4.1"),
    of_token_request("sasl.oauthbearer.assertion.claim.nbf.seconds", "4.1"),
    of_token_request("sasl.oauthbearer.assertion.claim.sub", "4.1"),
    of_token_request("sasl.oauthbearer.assertion.file", "4.1"),
    of_token_request("sasl.oauthbearer.assertion.private.key.file", "4.1"),
    of_token_request("sasl.oauthbearer.assertion.private.key.passphrase", "4.1"),
    of_token_request("sasl.oauthbearer.assertion.template.file", "4.1"),
    of_token_request("sasl.oauthbearer.jwt.retriever.class", "4.1"),
    of_token_check("sasl.oauthbearer.jwt.validator.class", "4.1"),
    NotBuilt {
        key: "transaction.two.phase.commit.enable",
        since: "4.1",
        same: &["false"],
        reaction: Reaction::Refuse,
        lacking: "this version of the library does not take part in two-phase commits",
        remedy: LEAVE_OUT,
    },
    NotBuilt {
        key: "bootstrap.resolve.timeout.ms",
        since: "4.4",
        same: &["0"],
        reaction: Reaction::Warn,
        lacking: "the names in bootstrap.servers are resolved while the producer is built, and one of them has to be \
                  found",
        remedy: "Leave the key out, and build the producer again if none is found",
    },
    NotBuilt {
        key: "buffer.memory.allocation.strategy",
        since: "4.4",
        same: &["full"],
        reaction: Reaction::Warn,
        lacking: "each batch takes batch.size bytes of buffer.memory from its first record on",
        remedy: "Leave the key out, and set buffer.memory to more than batch.size times the number of partitions",
    },
    NotBuilt {
        key: "client.rack",
        since: "4.4",
        same: &[""],
        reaction: Reaction::Warn,
        lacking: "this producer does not use its own rack",
        remedy: "Leave the key out, or use a partitioner of your own: the cluster that it gets has the brokers' racks",
    },
    NotBuilt {
        key: "metadata.cluster.check.enable",
        since: "4.4",
        same: &["false"],
        reaction: Reaction::Warn,
        lacking: "brokers are not told which cluster and node the producer means, so they do not check it",
        remedy: LEAVE_OUT,
    },
    NotBuilt {
        key: "partitioner.rack.aware",
        since: "4.4",
        same: &["false"],
        reaction: Reaction::Warn,
        lacking: "no partition is preferred because its leader is in the same rack",
        remedy: "Leave the key out, or use a partitioner of your own: the cluster that it gets has the brokers' racks",
    },
    of_broker("sasl.oauthbearer.allow.unverified.audience", "4.4"),
    of_broker("sasl.oauthbearer.allow.unverified.issuer", "4.4"),
];

/// A key with which Kafka's producer requests tokens for OAUTHBEARER by another grant.
const fn of_token_request(key: &'static str, since: &'static str) -> NotBuilt {
    NotBuilt {
        key,
        since,
        same: &[],
        reaction: Reaction::Warn,
        lacking: "this library requests tokens only with a client id and a client secret",
        remedy: "Use these; or request the tokens in a TokenProvider, and give that to ProducerBuilder::token_provider",
    }
}

/// A key with which Kafka's producer checks a token for OAUTHBEARER before it uses the token.
const fn of_token_check(key: &'static str, since: &'static str) -> NotBuilt {
    NotBuilt {
        key,
        since,
        same: &[],
        reaction: Reaction::Warn,
        lacking: "classes are not loaded, and this library reads only the claims that it needs",
        remedy: "Leave that to the brokers, which check every token",
    }
}

/// A key that Kafka's producer accepts, although only brokers use it.
const fn of_broker(key: &'static str, since: &'static str) -> NotBuilt {
    NotBuilt {
        key,
        since,
        same: &[],
        reaction: Reaction::Warn,
        lacking: "only brokers check tokens in this way; Kafka's producer does not use the key either",
        remedy: "Set it on the brokers",
    }
}
