//! Keys of connections and metadata.

use super::{ConfigKey, ConfigType, Group, Importance, Validator};

const fn row(
    name: &'static str,
    config_type: ConfigType,
    default: &'static str,
    importance: Importance,
    doc: &'static str,
) -> ConfigKey {
    ConfigKey::new(name, config_type, Some(default), importance, doc).group_of(Group::Connection)
}

pub(super) const KEYS: &[ConfigKey] = &[
    row(
        "client.dns.lookup",
        ConfigType::Text,
        "use_all_dns_ips",
        Importance::Medium,
        "How a host name with several addresses is used. `use_all_dns_ips` tries them one after the other \
         until a connection is established. `resolve_canonical_bootstrap_servers_only` replaces each \
         bootstrap entry by the canonical names of its addresses, for clusters behind one round-robin name \
         whose brokers authenticate by host name.",
    )
    .valid(Validator::OneOf(&[
        "use_all_dns_ips",
        "resolve_canonical_bootstrap_servers_only",
    ])),
    row(
        "connections.max.idle.ms",
        ConfigType::Long,
        "540000",
        Importance::Medium,
        "The idle timeout of a connection, in milliseconds. Keep it below that of brokers, firewalls and \
         load balancers, so that this side closes first, and above `request.timeout.ms`, because waiting for \
         a response counts as idle. A negative value disables it.",
    ),
    row(
        "send.buffer.bytes",
        ConfigType::Int,
        "131072",
        Importance::Medium,
        "The socket's send buffer (`SO_SNDBUF`) in bytes. -1 leaves it to the operating system, which is \
         best where the system tunes its buffers, for example over long distances.",
    )
    .valid(Validator::AtLeast(-1)),
    row(
        "receive.buffer.bytes",
        ConfigType::Int,
        "32768",
        Importance::Medium,
        "The socket's receive buffer (`SO_RCVBUF`) in bytes; -1 leaves it to the operating system.",
    )
    .valid(Validator::AtLeast(-1)),
    row(
        "reconnect.backoff.ms",
        ConfigType::Long,
        "50",
        Importance::Low,
        "The back-off in milliseconds before the client reconnects to a broker after a failure. It doubles \
         with each failure up to `reconnect.backoff.max.ms`. A value below 10 is treated as 10; one above \
         the maximum is used unchanged.",
    )
    .valid(Validator::AtLeast(0)),
    row(
        "reconnect.backoff.max.ms",
        ConfigType::Long,
        "1000",
        Importance::Low,
        "The maximum back-off in milliseconds between two attempts to connect to one broker. 20% random \
         jitter is applied, so that many clients do not reconnect at once. A value below 10 is treated as \
         10.",
    )
    .valid(Validator::AtLeast(0))
    .note_of(
        "If only `reconnect.backoff.ms` is set, this key takes its value, so the back-off is constant.",
    ),
    row(
        "socket.connection.setup.timeout.ms",
        ConfigType::Long,
        "10000",
        Importance::Medium,
        "The timeout in milliseconds of the first attempt to connect. It doubles with each failure up to \
         `socket.connection.setup.timeout.max.ms`. A value below 10 is treated as 10.",
    )
    .valid(Validator::AtLeast(0))
    .note_of("Negative values are rejected here; Kafka does not check."),
    row(
        "socket.connection.setup.timeout.max.ms",
        ConfigType::Long,
        "30000",
        Importance::Medium,
        "The maximum timeout in milliseconds of an attempt to connect. 20% random jitter is applied.",
    )
    .valid(Validator::AtLeast(0))
    .note_of("Negative values are rejected here; Kafka does not check."),
    row(
        "metadata.max.age.ms",
        ConfigType::Long,
        "300000",
        Importance::Low,
        "The age in milliseconds at which metadata is refreshed even if nothing failed, so that new brokers \
         and partitions are discovered. Requests for metadata are at least `retry.backoff.ms` apart.",
    )
    .valid(Validator::AtLeast(0)),
    row(
        "metadata.max.idle.ms",
        ConfigType::Long,
        "300000",
        Importance::Low,
        "The metadata of a topic is evicted when no record was sent to it for this many milliseconds. The \
         next record has to wait for it again.",
    )
    .valid(Validator::AtLeast(5000)),
    row(
        "metadata.recovery.strategy",
        ConfigType::Text,
        "rebootstrap",
        Importance::Low,
        "What to do when the known brokers cannot be reached. `rebootstrap` resolves and tries \
         `bootstrap.servers` again as soon as connecting to every known broker has failed, or when no \
         metadata request has succeeded for `metadata.recovery.rebootstrap.trigger.ms`; the cached metadata \
         stays in use meanwhile, and brokers that come back are used again. `none` retries the known brokers \
         for ever, which never succeeds if all of them were replaced.",
    )
    .valid(Validator::OneOf(&["none", "rebootstrap"]))
    .note_of("Added in Kafka 3.8 (KIP-899); the default since Kafka 4.0, and here."),
    row(
        "metadata.recovery.rebootstrap.trigger.ms",
        ConfigType::Long,
        "300000",
        Importance::Low,
        "When metadata was requested without success for this many milliseconds, `bootstrap.servers` are \
         tried again, even if known brokers can be connected to. It is checked only when a metadata \
         request is due, so not while one is in flight. With 0 every request goes to `bootstrap.servers`. No \
         effect if `metadata.recovery.strategy` is `none`.",
    )
    .valid(Validator::AtLeast(0))
    .note_of("Added in Kafka 4.0 (KIP-1102)."),
];
