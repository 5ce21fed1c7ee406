//! Encryption.

use super::ConfigType::{Class, List, Password, Text};
use super::Importance::{High, Low, Medium};
use super::{ConfigKey, ConfigType, Group, Importance};

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
        "`JKS` and `PKCS12` are the same here, as in Java: files in the format PKCS#12 can be read (feature \
         `pkcs12`), those in Java's own format are refused with the command that converts them.",
    ),
    row(
        "ssl.truststore.location",
        Text,
        None,
        High,
        "The file with the certificates of the authorities that brokers' certificates are checked \
         against.",
    )
    .note_of(
        "Without it and `ssl.truststore.certificates`, the authorities that the system trusts are.",
    ),
    row(
        "ssl.truststore.password",
        Password,
        None,
        High,
        "The password of the trust store. Without it the file's integrity is not checked; `PEM` \
         files have none.",
    ),
    row(
        "ssl.truststore.certificates",
        Password,
        None,
        High,
        "Trusted certificates given in place, as PEM text. Needs the trust store type `PEM`.",
    ),
    row(
        "ssl.keystore.type",
        Text,
        Some("JKS"),
        Medium,
        "The format of the key store: `JKS`, `PKCS12` or `PEM`.",
    )
    .note_of(
        "As `ssl.truststore.type`.",
    ),
    row(
        "ssl.keystore.location",
        Text,
        None,
        High,
        "The file with this client's own key and certificate, for brokers that ask clients for one.",
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
        "The password of the private key inside the key store.",
    )
    .note_of(
        "Needs the feature `pkcs12`. Kafka 3.0 asks for it with every key store in `PEM`; here only an encrypted \
         key needs it.",
    ),
    row(
        "ssl.keystore.key",
        Password,
        None,
        High,
        "This client's private key given in place, as PEM text (PKCS#8). Needs the key store type \
         `PEM`.",
    ),
    row(
        "ssl.keystore.certificate.chain",
        Password,
        None,
        High,
        "The certificates that belong to `ssl.keystore.key`, as PEM text, the client's own first.",
    ),
    row(
        "ssl.endpoint.identification.algorithm",
        Text,
        Some("https"),
        Low,
        "`https` checks that a broker's certificate is made out for the host that was connected \
         to. An empty value switches this check off, and with it the protection against someone in \
         between.",
    ),
    row(
        "ssl.protocol",
        Text,
        Some("TLSv1.3"),
        Medium,
        "The protocol version that a connection is opened with.",
    )
    .note_of(
        "`TLSv1.3`, `TLSv1.2` (nothing newer is agreed on then), or `TLS` for both; others are refused.",
    ),
    row(
        "ssl.enabled.protocols",
        List,
        Some("TLSv1.2,TLSv1.3"),
        Medium,
        "The protocol versions that may be agreed on.",
    )
    .note_of(
        "Versions before `TLSv1.2` are passed over with a warning, and refused if none is left.",
    ),
    row(
        "ssl.cipher.suites",
        List,
        None,
        Low,
        "The cipher suites that may be agreed on; without it, all that the TLS library considers \
         safe.",
    )
    .note_of(
        "Suites that cannot be had here are passed over with a warning, and refused if none is left.",
    ),
    row(
        "ssl.provider",
        Text,
        None,
        Medium,
        "The security provider of the Java virtual machine.",
    )
    .note_of(
        "Has no meaning outside Java: refused with `SSL` and `SASL_SSL`. A provider of cryptography is given \
         to `ProducerBuilder::tls_crypto_provider`.",
    ),
    row(
        "ssl.keymanager.algorithm",
        Text,
        Some("SunX509"),
        Low,
        "The key manager's algorithm of the Java virtual machine.",
    )
    .note_of(
        "Names of Java's own are accepted and mean nothing; others are refused with `SSL` and `SASL_SSL`.",
    ),
    row(
        "ssl.trustmanager.algorithm",
        Text,
        Some("PKIX"),
        Low,
        "The trust manager's algorithm of the Java virtual machine.",
    )
    .note_of(
        "Names of Java's own are accepted and mean nothing; others are refused with `SSL` and `SASL_SSL`.",
    ),
    row(
        "ssl.secure.random.implementation",
        Text,
        None,
        Low,
        "The random number generator of the Java virtual machine.",
    )
    .note_of(
        "Has no meaning outside Java: refused with `SSL` and `SASL_SSL`.",
    ),
    row(
        "ssl.engine.factory.class",
        Class,
        None,
        Low,
        "The Java class that makes TLS engines.",
    )
    .note_of(
        "Refused with `SSL` and `SASL_SSL`: no Java class can be loaded.",
    ),
];
