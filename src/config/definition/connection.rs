//! Sockets, reconnects, metadata.

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
        "What to do with a host name of several addresses. `use_all_dns_ips` tries them one after \
         the other until a connection stands. `resolve_canonical_bootstrap_servers_only` replaces \
         each bootstrap entry by the canonical names of its addresses, for clusters behind one \
         round-robin name whose brokers authenticate by host name.",
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
        "A connection without traffic for this many milliseconds is closed. Keep it below what \
         brokers, firewalls and load balancers allow, so that this side closes first, and above \
         `request.timeout.ms`, for waiting for an answer is no traffic. A negative value keeps \
         connections for ever.",
    ),
    row(
        "send.buffer.bytes",
        ConfigType::Int,
        "131072",
        Importance::Medium,
        "The socket's send buffer (`SO_SNDBUF`) in bytes. -1 leaves it to the operating system, \
         which is best where it tunes buffers by itself, for example over long distances.",
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
        "The pause in milliseconds before a broker is connected to again after a failure. It \
         doubles with each failure up to `reconnect.backoff.max.ms`. Less than 10 counts as 10; more than \
         that maximum stays as it is.",
    )
    .valid(Validator::AtLeast(0)),
    row(
        "reconnect.backoff.max.ms",
        ConfigType::Long,
        "1000",
        Importance::Low,
        "The longest pause in milliseconds between two tries to connect to one broker. A random \
         part of 20% is added or taken, so that many clients do not return at once. Less than 10 \
         counts as 10.",
    )
    .valid(Validator::AtLeast(0))
    .note_of(
        "If `reconnect.backoff.ms` is set and this is not, it takes that value: the pause is \
         constant then.",
    ),
    row(
        "socket.connection.setup.timeout.ms",
        ConfigType::Long,
        "10000",
        Importance::Medium,
        "How long, in milliseconds, a first try to connect may take. It doubles with each failure \
         up to `socket.connection.setup.timeout.max.ms`. Less than 10 counts as 10.",
    )
    .valid(Validator::AtLeast(0))
    .note_of("Negative values are refused here; Kafka does not check."),
    row(
        "socket.connection.setup.timeout.max.ms",
        ConfigType::Long,
        "30000",
        Importance::Medium,
        "The longest time in milliseconds that a try to connect may take. A random part of 20% is \
         added or taken.",
    )
    .valid(Validator::AtLeast(0))
    .note_of("Negative values are refused here; Kafka does not check."),
    row(
        "metadata.max.age.ms",
        ConfigType::Long,
        "300000",
        Importance::Low,
        "After this many milliseconds the cluster is asked again who leads which partition, even \
         if nothing failed, so that new brokers and partitions are noticed. They are not asked more \
         often than once in `retry.backoff.ms`.",
    )
    .valid(Validator::AtLeast(0)),
    row(
        "metadata.max.idle.ms",
        ConfigType::Long,
        "300000",
        Importance::Low,
        "A topic that nothing was sent to for this many milliseconds is forgotten. The next record \
         for it has to wait for its metadata again.",
    )
    .valid(Validator::AtLeast(5000)),
    row(
        "metadata.recovery.strategy",
        ConfigType::Text,
        "rebootstrap",
        Importance::Low,
        "What to do when the known brokers cannot be reached. `rebootstrap` looks up and asks \
         `bootstrap.servers` again as soon as every known broker has failed to be connected to, or \
         when none has answered for metadata for `metadata.recovery.rebootstrap.trigger.ms`; what \
         is known stays in use meanwhile, and brokers that come back are used again. `none` tries \
         the known brokers for ever, which is in vain if all of them were replaced.",
    )
    .valid(Validator::OneOf(&["none", "rebootstrap"]))
    .note_of("Comes from Kafka 3.8 (KIP-899); on by default since Kafka 4.0, and here."),
    row(
        "metadata.recovery.rebootstrap.trigger.ms",
        ConfigType::Long,
        "300000",
        Importance::Low,
        "When metadata was asked for and not got for this many milliseconds, `bootstrap.servers` \
         are asked again, even if known brokers can be connected to. It is looked at when a request \
         for metadata is due, so a request under way is waited for. With 0 every request goes to \
         `bootstrap.servers`. Without effect if `metadata.recovery.strategy` is `none`.",
    )
    .valid(Validator::AtLeast(0))
    .note_of("Comes from Kafka 4.0 (KIP-1102)."),
];
