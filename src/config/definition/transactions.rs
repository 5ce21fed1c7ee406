//! Keys of idempotence and transactions.

use super::{ConfigKey, ConfigType, Group, Importance, Validator};

const fn row(
    name: &'static str,
    config_type: ConfigType,
    default: Option<&'static str>,
    importance: Importance,
    doc: &'static str,
) -> ConfigKey {
    ConfigKey::new(name, config_type, default, importance, doc).group_of(Group::Transactions)
}

pub(super) const KEYS: &[ConfigKey] = &[
    row(
        "enable.idempotence",
        ConfigType::Boolean,
        Some("true"),
        Importance::Low,
        "Sends sequence numbers with batches, by which a broker discards duplicates and keeps the order: a \
         retry neither duplicates nor reorders records. It needs `acks=all`, `retries` above 0 and at most 5 \
         requests in flight. If it is set to true and one of these is not met, the configuration is \
         rejected; if it is not set, idempotence is disabled, and a line is logged.",
    )
    .note_of(
        "Follows Kafka 3.0.1. In 3.0.0 the default did not take effect, although it was documented.",
    ),
    row(
        "transactional.id",
        ConfigType::Text,
        None,
        Importance::Low,
        "Enables transactions. The id must be the same after a restart, so that the open transactions of the \
         previous instance are aborted, and different for each producer that runs at the same time. Needs \
         idempotence.",
    )
    // The generated client id is `producer-` followed by this id, and must fit into a string of the protocol.
    .valid(Validator::Bytes(1, 32_758)),
    row(
        "transaction.timeout.ms",
        ConfigType::Int,
        Some("60000"),
        Importance::Low,
        "The time in milliseconds after which the coordinator aborts a transaction that was left open. The \
         broker's `transaction.max.timeout.ms` is the upper bound. No effect without `transactional.id`.",
    )
    .valid(Validator::AtLeast(1))
    .note_of("0 and negative values are rejected here; Kafka accepts them and then cannot start \
        transactions."),
];
