//! Keys that every producer needs, and plug-ins.

use super::{ConfigKey, ConfigType, Group, Importance, Validator};

const fn row(
    name: &'static str,
    config_type: ConfigType,
    default: Option<&'static str>,
    importance: Importance,
    doc: &'static str,
) -> ConfigKey {
    ConfigKey::new(name, config_type, default, importance, doc).group_of(Group::General)
}

pub(super) const KEYS: &[ConfigKey] = &[
    row(
        "bootstrap.servers",
        ConfigType::List,
        Some(""),
        Importance::High,
        "The brokers to connect to first, as `host:port` separated by commas; an IPv6 address goes in \
         brackets, as in `[::1]:9092`. One that responds is enough, since it names all the others, but give \
         two or three so that the producer can start while one is down.",
    )
    .note_of(
        "The syntax of each entry is checked when the configuration is built; that the list is not empty is \
         checked when the producer is built.",
    ),
    row(
        "client.id",
        ConfigType::Text,
        Some(""),
        Importance::Medium,
        "The name of this producer in the logs, quotas and metrics of brokers, and in its own log lines and \
         thread name. Give each application one that its operators recognise. If the key is absent a name is \
         generated: `producer-1`, `producer-2` and so on in the order of building, or `producer-` and the \
         transactional id. An empty value is used as it is.",
    )
    // The bound of a string in the request header, where the client id is encoded.
    .valid(Validator::Bytes(0, 32_767))
    .note_of("The limit is that of the protocol; Java fails with the first request."),
    row(
        "key.serializer",
        ConfigType::Class,
        None,
        Importance::High,
        "The serializer of record keys by name: the Java class name of one of Kafka's own, or a name \
         registered with this library.",
    )
    .note_of(
        "Not needed when a serializer is passed as a value, which is the usual way here.",
    ),
    row(
        "value.serializer",
        ConfigType::Class,
        None,
        Importance::High,
        "The serializer of record values by name: the Java class name of one of Kafka's own, or a name \
         registered with this library.",
    )
    .note_of(
        "Not needed when a serializer is passed as a value, which is the usual way here.",
    ),
    row(
        "partitioner.class",
        ConfigType::Class,
        Some("org.apache.kafka.clients.producer.internals.DefaultPartitioner"),
        Importance::Medium,
        "The partitioner for records without a partition. The default hashes the key; records without a key \
         go to one sticky partition until its batch is full or sent. The Java class names of Kafka's own \
         partitioners are accepted, and names registered with this library.",
    ),
    row(
        "interceptor.classes",
        ConfigType::List,
        Some(""),
        Importance::Low,
        "Interceptors by name, called in this order: each may change a record before it is serialized, and \
         is called with its acknowledgement. Names are those registered with this library.",
    ),
    row(
        "security.protocol",
        ConfigType::Text,
        Some("PLAINTEXT"),
        Importance::Medium,
        "The protocol of connections to brokers: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`, in any \
         case. It must match the listener behind `bootstrap.servers`.",
    )
    .note_of("`SSL` and `SASL_SSL` need the feature `tls`, which is on by default."),
    row(
        "security.providers",
        ConfigType::Text,
        None,
        Importance::Low,
        "Security providers of the Java virtual machine.",
    )
    .note_of(
        "Not applicable outside Java: reported as unused, and rejected with `SSL` and `SASL_SSL`.",
    ),
];
