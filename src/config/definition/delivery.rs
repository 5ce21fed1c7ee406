//! Keys of delivery and retries.

use super::{ConfigKey, ConfigType, Group, Importance, Validator};

const fn row(
    name: &'static str,
    config_type: ConfigType,
    default: Option<&'static str>,
    importance: Importance,
    doc: &'static str,
) -> ConfigKey {
    ConfigKey::new(name, config_type, default, importance, doc).group_of(Group::Delivery)
}

pub(super) const KEYS: &[ConfigKey] = &[
    row(
        "acks",
        ConfigType::Text,
        Some("all"),
        Importance::Low,
        "The acknowledgement that a record needs to count as delivered. `all` (or `-1`): every in-sync \
         replica has it, so it survives as long as one of them does. `1`: the leader has written it, and it \
         is lost if the leader fails before it is replicated. `0`: no response is awaited; offsets are \
         unknown and losses go unnoticed. Any other value than `all` disables idempotence.",
    )
    .valid(Validator::OneOf(&["all", "-1", "0", "1"])),
    row(
        "delivery.timeout.ms",
        ConfigType::Int,
        Some("120000"),
        Importance::Medium,
        "The time in milliseconds after which a record has either been delivered or failed, retries and \
         waiting included, counted from the creation of its batch. To limit the time of retries, set this \
         key rather than `retries`. It must be at least `linger.ms` plus `request.timeout.ms`.",
    )
    .valid(Validator::AtLeast(0))
    .note_of(
        "If it was not set and would be below that sum, it is raised to the sum and a warning is logged.",
    ),
    row(
        "request.timeout.ms",
        ConfigType::Int,
        Some("30000"),
        Importance::Medium,
        "The timeout of one request in milliseconds; after it the connection is closed and the request is \
         retried. It should be more than the broker's `replica.lag.time.max.ms`, or batches are sent twice \
         while replicas catch up.",
    )
    .valid(Validator::AtLeast(0)),
    row(
        "retries",
        ConfigType::Int,
        Some("2147483647"),
        Importance::High,
        "How many times a batch is retried after a retriable error. Best left alone: `delivery.timeout.ms` \
         limits the retries. 0 disables idempotence.",
    )
    .valid(Validator::Between(0, 2_147_483_647)),
    row(
        "retry.backoff.ms",
        ConfigType::Long,
        Some("100"),
        Importance::Low,
        "The back-off in milliseconds before a failed batch or metadata request is retried. It is constant \
         unless `retry.backoff.max.ms` is set. A value below 10 is treated as 10.",
    )
    .valid(Validator::AtLeast(0)),
    row(
        "retry.backoff.max.ms",
        ConfigType::Long,
        None,
        Importance::Low,
        "Makes the back-off between retries exponential: it doubles with each failure, from \
         `retry.backoff.ms` up to this many milliseconds, with random jitter. Without it the back-off is \
         constant, as in Kafka 3.0.",
    )
    .valid(Validator::AtLeast(0))
    .note_of("Added in Kafka 3.7 (KIP-580), where it is on by default with 1000."),
    row(
        "max.in.flight.requests.per.connection",
        ConfigType::Int,
        Some("5"),
        Importance::Low,
        "The maximum number of requests in flight on one connection. With idempotence up to 5 keep the order \
         of records. Without it, more than 1 can reorder records when a batch is retried. More than 5 \
         disables idempotence.",
    )
    .valid(Validator::AtLeast(1)),
];
