//! Keys of SASL.

use super::ConfigType::{Boolean, Class, Double, Int, Long, Password, Short, Text};
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

/// Note of the keys for the renewal of Kerberos tickets.
const RENEWED_BY_THE_LIBRARY: &str = "Has no effect: when a connection is opened, the Kerberos library renews a ticket \
                                      that it got with a keytab and whose lifetime is half over.";

pub(super) const KEYS: &[ConfigKey] = &[
    row(
        "sasl.mechanism",
        Text,
        Some("GSSAPI"),
        Medium,
        "The SASL mechanism: `GSSAPI`, `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`. The \
         broker's listener must have it enabled.",
    )
    .note_of("`GSSAPI` (Kerberos), the default, needs the feature `gssapi`; in other builds it is rejected."),
    row(
        "sasl.jaas.config",
        Password,
        None,
        Medium,
        "The login module in JAAS syntax: its class name, a control flag and its options, ended by a \
         semicolon. It contains secrets, so it is never printed.",
    )
    .note_of(
        "The login modules are Kafka's own `PlainLoginModule`, `ScramLoginModule` and \
         `OAuthBearerLoginModule`, and the JDK's `Krb5LoginModule` with the feature `gssapi`. Not needed if the \
         producer is given a `TokenProvider`.",
    ),
    row(
        "sasl.client.callback.handler.class",
        Class,
        None,
        Medium,
        "The callback handler of a SASL mechanism.",
    )
    .note_of(
        "Not supported: Kafka's default classes are accepted, and Amazon's for MSK; others are rejected.",
    ),
    row(
        "sasl.login.callback.handler.class",
        Class,
        None,
        Medium,
        "The callback handler of a login, for example one that supplies tokens.",
    )
    .note_of(
        "Classes are not loaded. `org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler`, and \
         the same in the package `….oauthbearer.secured`, stand for tokens of an identity provider (OIDC), with the \
         feature `oidc`; Amazon's `software.amazon.msk.auth.iam.IAMOAuthBearerLoginCallbackHandler` for MSK with IAM, \
         with the feature `msk-iam`. A `TokenProvider` that the producer is given takes precedence over the class.",
    ),
    row(
        "sasl.login.class",
        Class,
        None,
        Medium,
        "The class that performs the login.",
    )
    .note_of("Not supported: Kafka's default classes are accepted, and others are rejected."),
    row(
        "sasl.kerberos.service.name",
        Text,
        None,
        Medium,
        "The service name in the brokers' Kerberos principal.",
    )
    .note_of(
        "With `GSSAPI` required, unless `sasl.jaas.config` has the option `serviceName`. The rest of the principal is \
         the broker's host name in `bootstrap.servers` or `advertised.listeners`.",
    ),
    row(
        "sasl.kerberos.kinit.cmd",
        Text,
        Some("/usr/bin/kinit"),
        Low,
        "The path of Kerberos' `kinit`.",
    )
    .note_of("Has no effect: no program is run, and a ticket cache is not renewed."),
    row(
        "sasl.kerberos.ticket.renew.window.factor",
        Double,
        Some("0.80"),
        Low,
        "The fraction of its lifetime after which a Kerberos ticket is renewed.",
    )
    .note_of(RENEWED_BY_THE_LIBRARY),
    row(
        "sasl.kerberos.ticket.renew.jitter",
        Double,
        Some("0.05"),
        Low,
        "Random jitter of the time of a ticket's renewal, as a fraction.",
    )
    .note_of(RENEWED_BY_THE_LIBRARY),
    row(
        "sasl.kerberos.min.time.before.relogin",
        Long,
        Some("60000"),
        Low,
        "The minimum time in milliseconds between two attempts to renew a ticket.",
    )
    .note_of(RENEWED_BY_THE_LIBRARY),
    row(
        "sasl.login.refresh.window.factor",
        Double,
        Some("0.80"),
        Low,
        "The fraction of its lifetime after which a token is refreshed (OAUTHBEARER).",
    )
    .valid(Validator::Fraction(0.5, 1.0)),
    row(
        "sasl.login.refresh.window.jitter",
        Double,
        Some("0.05"),
        Low,
        "Random jitter of the time of a token's refresh, as a fraction of its lifetime.",
    )
    .valid(Validator::Fraction(0.0, 0.25)),
    row(
        "sasl.login.refresh.min.period.seconds",
        Short,
        Some("60"),
        Low,
        "The minimum time in seconds before a token is refreshed.",
    )
    .valid(Validator::Between(0, 900)),
    row(
        "sasl.login.refresh.buffer.seconds",
        Short,
        Some("300"),
        Low,
        "The time in seconds before a token expires at which it should be refreshed at the latest.",
    )
    .valid(Validator::Between(0, 3600)),
    row(
        "sasl.login.connect.timeout.ms",
        Int,
        None,
        Low,
        "The time in milliseconds to connect to the identity provider (OIDC): name look-up, TCP and TLS.",
    )
    .valid(Validator::AtLeast(1))
    .note_of("10 seconds if it is not set; Kafka's producer then has no limit."),
    row(
        "sasl.login.read.timeout.ms",
        Int,
        None,
        Low,
        "The time in milliseconds for the request of a token and its whole response (OIDC).",
    )
    .valid(Validator::AtLeast(1))
    .note_of("10 seconds if it is not set; Kafka's producer then has no limit."),
    row(
        "sasl.login.retry.backoff.ms",
        Long,
        Some("100"),
        Low,
        "The first back-off in milliseconds after a transient error of the identity provider (OIDC). It doubles with \
         each attempt. With 0 there is one attempt.",
    )
    .valid(Validator::AtLeast(0)),
    row(
        "sasl.login.retry.backoff.max.ms",
        Long,
        Some("10000"),
        Low,
        "The time in milliseconds after the first attempt in which transient errors of the identity provider are \
         retried (OIDC).",
    )
    .valid(Validator::AtLeast(0))
    .note_of(
        "As in Kafka it bounds the time of all attempts, not each back-off. A fetch that fails is repeated after 10 \
         seconds; while there is no valid token after one second, doubled each time up to a minute.",
    ),
    row(
        "sasl.oauthbearer.token.endpoint.url",
        Text,
        None,
        Medium,
        "The token endpoint of the identity provider (OIDC), as `https://HOST/PATH`; or `file:///PATH` for a file that \
         contains a token.",
    )
    .note_of(
        "Redirects are not followed, and proxies not used. A file is read for each token; Kafka's producer reads it \
         once.",
    ),
    row(
        "sasl.oauthbearer.client.credentials.client.id",
        Text,
        None,
        Medium,
        "The client id at the identity provider (OIDC). It takes precedence over the option `clientId` of \
         `sasl.jaas.config`.",
    ),
    row(
        "sasl.oauthbearer.client.credentials.client.secret",
        Password,
        None,
        Medium,
        "The client secret at the identity provider (OIDC). It takes precedence over the option `clientSecret` of \
         `sasl.jaas.config`.",
    ),
    row(
        "sasl.oauthbearer.scope",
        Text,
        None,
        Medium,
        "The scope of the tokens (OIDC), several separated by spaces. It takes precedence over the option `scope` of \
         `sasl.jaas.config`.",
    ),
    row(
        "sasl.oauthbearer.header.urlencode",
        Boolean,
        Some("false"),
        Low,
        "Whether client id and secret are encoded as in a form before they are sent, as RFC 6749 demands (OIDC).",
    ),
    row(
        "sasl.oauthbearer.scope.claim.name",
        Text,
        Some("scope"),
        Low,
        "The claim of a token that has its scopes (OIDC).",
    ),
    row(
        "sasl.oauthbearer.sub.claim.name",
        Text,
        Some("sub"),
        Low,
        "The claim of a token that has its subject (OIDC).",
    ),
];
