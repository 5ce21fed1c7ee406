//! What counts as delivered, how often and how long delivery is tried.

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
        "What a broker must have done before a record counts as delivered. `all` (or `-1`): every \
         in-sync replica has it, so it survives as long as one of them does. `1`: the leader wrote \
         it, and it is lost if the leader fails before it is copied. `0`: no answer is waited for; \
         offsets are unknown and losses go unseen. Anything but `all` switches idempotence off.",
    )
    .valid(Validator::OneOf(&["all", "-1", "0", "1"])),
    row(
        "delivery.timeout.ms",
        ConfigType::Int,
        Some("120000"),
        Importance::Medium,
        "The time in milliseconds after which a record has either been delivered or failed, \
         retries and waiting included, counted from the creation of its batch. This, rather than \
         `retries`, is the key by which to say how long to try. It must be at least `linger.ms` \
         plus `request.timeout.ms`.",
    )
    .valid(Validator::AtLeast(0))
    .note_of(
        "If it was not set and would be below that sum, it is raised to the sum and a warning is \
         logged.",
    ),
    row(
        "request.timeout.ms",
        ConfigType::Int,
        Some("30000"),
        Importance::Medium,
        "How long, in milliseconds, the answer to one request is waited for before the connection \
         is given up and the request tried again. It should be more than the broker's \
         `replica.lag.time.max.ms`, or batches are sent twice while replicas catch up.",
    )
    .valid(Validator::AtLeast(0)),
    row(
        "retries",
        ConfigType::Int,
        Some("2147483647"),
        Importance::High,
        "How many times a batch is sent again after a failure that may pass. Best left alone: \
         `delivery.timeout.ms` bounds the effort. 0 switches idempotence off.",
    )
    .valid(Validator::Between(0, 2_147_483_647)),
    row(
        "retry.backoff.ms",
        ConfigType::Long,
        Some("100"),
        Importance::Low,
        "The pause in milliseconds before a failed batch or metadata request is tried again. It is \
         the same each time unless `retry.backoff.max.ms` is set. Less than 10 counts as 10.",
    )
    .valid(Validator::AtLeast(0)),
    row(
        "retry.backoff.max.ms",
        ConfigType::Long,
        None,
        Importance::Low,
        "Set it to let the pause between retries double with each failure, from `retry.backoff.ms` \
         up to this many milliseconds, with some random variation. Without it the pause is \
         constant, as in Kafka 3.0.",
    )
    .valid(Validator::AtLeast(0))
    .note_of("Comes from Kafka 3.7 (KIP-580), where it is on by default with 1000."),
    row(
        "max.in.flight.requests.per.connection",
        ConfigType::Int,
        Some("5"),
        Importance::Low,
        "How many requests may be unanswered on one connection. With idempotence up to 5 keep the \
         order of records. Without it, more than 1 can change the order when a batch is retried. \
         More than 5 switches idempotence off.",
    )
    .valid(Validator::AtLeast(1)),
];
