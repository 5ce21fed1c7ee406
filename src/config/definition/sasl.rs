//! Authentication.

use super::ConfigType::{Class, Double, Long, Password, Short, Text};
use super::Importance::{Low, Medium};
use super::{ConfigKey, ConfigType, Group, Importance, Validator};

const fn row(
    name: &'static str,
    config_type: ConfigType,
    default: Option<&'static str>,
    importance: Importance,
    doc: &'static str,
) -> ConfigKey {
    ConfigKey::new(name, config_type, default, importance, doc).group_of(Group::Sasl)
}

pub(super) const KEYS: &[ConfigKey] = &[
    row(
        "sasl.mechanism",
        Text,
        Some("GSSAPI"),
        Medium,
        "How to authenticate: `GSSAPI`, `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`. \
         The broker's listener must offer it.",
    )
    .note_of("`GSSAPI`, the default, is not built: a producer that uses SASL needs another."),
    row(
        "sasl.jaas.config",
        Password,
        None,
        Medium,
        "The login in Java's notation: one login module, a control flag and its options, ended by \
         a semicolon. It holds secrets, so it is never printed.",
    )
    .note_of(
        "There are Kafka's own `PlainLoginModule`, `ScramLoginModule` and `OAuthBearerLoginModule`. Not \
         needed where the producer is given a `TokenProvider`.",
    ),
    row(
        "sasl.client.callback.handler.class",
        Class,
        None,
        Medium,
        "The plug-in that answers the questions of a SASL mechanism.",
    )
    .note_of("There are no such plug-ins: the class that Kafka takes by itself is accepted, and others are refused."),
    row(
        "sasl.login.callback.handler.class",
        Class,
        None,
        Medium,
        "The plug-in that supplies what a login needs, for example tokens.",
    )
    .note_of(
        "Classes are not loaded: give the producer a `TokenProvider`, which takes the place of whatever is \
         named here.",
    ),
    row(
        "sasl.login.class",
        Class,
        None,
        Medium,
        "The plug-in that logs in.",
    )
    .note_of("There are no such plug-ins: the classes that Kafka takes by itself are accepted, and others are refused."),
    row(
        "sasl.kerberos.service.name",
        Text,
        None,
        Medium,
        "The first part of the brokers' Kerberos principal.",
    )
    .note_of("No effect: Kerberos is not built."),
    row(
        "sasl.kerberos.kinit.cmd",
        Text,
        Some("/usr/bin/kinit"),
        Low,
        "The path of Kerberos' `kinit`.",
    )
    .note_of("No effect: Kerberos is not built."),
    row(
        "sasl.kerberos.ticket.renew.window.factor",
        Double,
        Some("0.80"),
        Low,
        "After which part of its lifetime a Kerberos ticket is renewed.",
    )
    .note_of("No effect: Kerberos is not built."),
    row(
        "sasl.kerberos.ticket.renew.jitter",
        Double,
        Some("0.05"),
        Low,
        "The random part added to the time of a ticket's renewal.",
    )
    .note_of("No effect: Kerberos is not built."),
    row(
        "sasl.kerberos.min.time.before.relogin",
        Long,
        Some("60000"),
        Low,
        "The milliseconds between two tries to renew a ticket.",
    )
    .note_of("No effect: Kerberos is not built."),
    row(
        "sasl.login.refresh.window.factor",
        Double,
        Some("0.80"),
        Low,
        "After which part of its lifetime a token is refreshed (OAUTHBEARER).",
    )
    .valid(Validator::Fraction(0.5, 1.0)),
    row(
        "sasl.login.refresh.window.jitter",
        Double,
        Some("0.05"),
        Low,
        "The random part of a token's lifetime that is added to the time of its refresh.",
    )
    .valid(Validator::Fraction(0.0, 0.25)),
    row(
        "sasl.login.refresh.min.period.seconds",
        Short,
        Some("60"),
        Low,
        "The least seconds to wait before a token is refreshed.",
    )
    .valid(Validator::Between(0, 900)),
    row(
        "sasl.login.refresh.buffer.seconds",
        Short,
        Some("300"),
        Low,
        "How many seconds before a token ends it should be refreshed at the latest.",
    )
    .valid(Validator::Between(0, 3600)),
];
