//! Idempotence and transactions.

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
        "Numbers batches so that a broker drops repeats and keeps their order: a retry neither \
         duplicates nor reorders records. It needs `acks=all`, `retries` above 0 and at most 5 \
         requests in flight. If it is set to true and one of these is not met, the configuration \
         is refused; if it is left to the default, it is switched off and that is logged.",
    )
    .note_of(
        "Follows Kafka 3.0.1. In 3.0.0 the default did not take effect, although it was documented.",
    ),
    row(
        "transactional.id",
        ConfigType::Text,
        None,
        Importance::Low,
        "Switches transactions on. The id must be the same after a restart, so that the \
         transactions of the instance before are ended, and different for each producer that runs \
         at the same time. Needs idempotence.",
    )
    // `producer-` goes before it in the client's name.
    .valid(Validator::Bytes(1, 32_758))
    .note_of("Not built yet: refused if set."),
    row(
        "transaction.timeout.ms",
        ConfigType::Int,
        Some("60000"),
        Importance::Low,
        "After how many milliseconds the coordinator aborts a transaction that was left open. The \
         broker's `transaction.max.timeout.ms` is the upper bound. Without `transactional.id` it has no \
         effect.",
    )
    .valid(Validator::AtLeast(1))
    .note_of("0 and less are refused here; Kafka accepts them and then cannot start transactions."),
];
