//! Keys of TLS.

use super::ConfigType::{Class, List, Long, Password, Text};
use super::Importance::{High, Low, Medium};
use super::{ConfigKey, ConfigType, Group, Importance, Validator};

const fn row(
    name: &'static str,
    config_type: ConfigType,
    default: Option<&'static str>,
    importance: Importance,
    doc: &'static str,
) -> ConfigKey {
    ConfigKey::new(name, config_type, default, importance, doc).group_of(Group::Tls)
}

pub(super) const KEYS: &[ConfigKey] = &[
    row(
        "ssl.truststore.type",
        Text,
        Some("JKS"),
        Medium,
        "The format of the trust store: `JKS`, `PKCS12` or `PEM`.",
    )
    .note_of(
        "`JKS` and `PKCS12` are the same here, as in Java: files of both formats are read under both names (feature \
         `pkcs12`). Other formats, such as `JCEKS` and `BKS`, are rejected.",
    ),
    row(
        "ssl.truststore.location",
        Text,
        None,
        High,
        "The trust store file: the CA certificates that brokers' certificates are verified against.",
    )
    .note_of(
        "If neither this key nor `ssl.truststore.certificates` is set, the operating system's trust store is used.",
    ),
    row(
        "ssl.truststore.password",
        Password,
        None,
        High,
        "The password of the trust store. Without it the file's integrity is not checked; `PEM` files have \
         none.",
    ),
    row(
        "ssl.truststore.certificates",
        Password,
        None,
        High,
        "Trusted CA certificates as inline PEM text. Needs the trust store type `PEM`.",
    ),
    row(
        "ssl.keystore.type",
        Text,
        Some("JKS"),
        Medium,
        "The format of the key store: `JKS`, `PKCS12` or `PEM`.",
    )
    .note_of(
        "See `ssl.truststore.type`.",
    ),
    row(
        "ssl.keystore.location",
        Text,
        None,
        High,
        "The key store file: this client's private key and certificate, for brokers that require client \
         authentication.",
    ),
    row(
        "ssl.keystore.password",
        Password,
        None,
        High,
        "The password of the key store.",
    ),
    row(
        "ssl.key.password",
        Password,
        None,
        High,
        "The password of the private key in the key store.",
    )
    .note_of(
        "Needs the feature `pkcs12`. In `JKS` and `PKCS12` its default is `ssl.keystore.password`. Kafka 3.0 requires \
         it with every key store in `PEM`; here only an encrypted key needs it.",
    ),
    row(
        "ssl.keystore.key",
        Password,
        None,
        High,
        "This client's private key as inline PEM text (PKCS#8). Needs the key store type `PEM`.",
    ),
    row(
        "ssl.keystore.certificate.chain",
        Password,
        None,
        High,
        "The certificate chain of `ssl.keystore.key`, as inline PEM text, the client's own certificate \
         first.",
    ),
    row(
        "ssl.reload.interval.ms",
        Long,
        Some("0"),
        Low,
        "The interval in milliseconds at which the files of `ssl.keystore.location` and `ssl.truststore.location` are \
         read again; 0 disables it. New connections use changed content, and open ones stay as they are. A file that \
         cannot be used changes nothing, and is logged. A value from 1 to 9 is treated as 10.",
    )
    .valid(Validator::AtLeast(0))
    .note_of(
        "Not in Kafka: a key of this library, like `KafkaProducer::reload_tls`, which reads the files at once. Key \
         stores, trust stores and passwords that are in the configuration itself never change.",
    ),
    row(
        "ssl.endpoint.identification.algorithm",
        Text,
        Some("https"),
        Low,
        "Host name verification: with `https` a broker's certificate must be valid for the host name of the \
         connection. An empty value disables the check, and with it the protection against a man in the \
         middle.",
    ),
    row(
        "ssl.protocol",
        Text,
        Some("TLSv1.3"),
        Medium,
        "The TLS version of new connections.",
    )
    .note_of(
        "`TLSv1.3`, `TLSv1.2` (no newer version is negotiated then), or `TLS` for both; others are rejected.",
    ),
    row(
        "ssl.enabled.protocols",
        List,
        Some("TLSv1.2,TLSv1.3"),
        Medium,
        "The TLS versions that may be negotiated.",
    )
    .note_of(
        "Versions before `TLSv1.2` are ignored with a warning, and rejected if none is left.",
    ),
    row(
        "ssl.cipher.suites",
        List,
        None,
        Low,
        "The cipher suites that may be negotiated; without it, all that the TLS library considers safe.",
    )
    .note_of(
        "Unsupported suites are ignored with a warning, and rejected if none is left.",
    ),
    row(
        "ssl.provider",
        Text,
        None,
        Medium,
        "The security provider of the Java virtual machine.",
    )
    .note_of(
        "Not applicable outside Java: rejected with `SSL` and `SASL_SSL`. To choose the cryptography \
         provider, use `ProducerBuilder::tls_crypto_provider`.",
    ),
    row(
        "ssl.keymanager.algorithm",
        Text,
        Some("SunX509"),
        Low,
        "The key manager's algorithm of the Java virtual machine.",
    )
    .note_of(
        "The names of Java's own algorithms are accepted and have no effect; others are rejected with `SSL` \
         and `SASL_SSL`.",
    ),
    row(
        "ssl.trustmanager.algorithm",
        Text,
        Some("PKIX"),
        Low,
        "The trust manager's algorithm of the Java virtual machine.",
    )
    .note_of(
        "The names of Java's own algorithms are accepted and have no effect; others are rejected with `SSL` \
         and `SASL_SSL`.",
    ),
    row(
        "ssl.secure.random.implementation",
        Text,
        None,
        Low,
        "The random number generator of the Java virtual machine.",
    )
    .note_of(
        "Not applicable outside Java: rejected with `SSL` and `SASL_SSL`.",
    ),
    row(
        "ssl.engine.factory.class",
        Class,
        None,
        Low,
        "The Java class that creates TLS engines.",
    )
    .note_of(
        "Rejected with `SSL` and `SASL_SSL`: no Java class can be loaded.",
    ),
];
