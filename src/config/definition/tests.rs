use std::collections::BTreeSet;

use super::*;
use crate::config::value::{self, ConfigValue};

/// Type, default and range of every key: (key, type, default, valid values, invalid values).
///
/// The 70 keys of Kafka 3.0, `retry.backoff.max.ms`, the compression levels of Kafka 3.8, the metadata recovery of
/// Kafka 4.0, the keys of OIDC of Kafka 3.1 to 4.1, and this library's own `ssl.reload.interval.ms`.
type Row = (
    &'static str,
    &'static str,
    Option<&'static str>,
    &'static [&'static str],
    &'static [&'static str],
);

const FROM_0: &[&str] = &["0", "1", "2147483647"];
const BELOW_0: &[&str] = &["-1"];
const PAST_32_BITS: &[&str] = &["-1", "2147483648"];
const ANY: &[&str] = &["", "anything"];
const NONE: &[&str] = &[];
const LONGS: &[&str] = &["0", "2147483648"];

const ROWS: &[Row] = &[
    (
        "bootstrap.servers",
        "list",
        Some(""),
        &["a:1", "a:1,b:2"],
        NONE,
    ),
    (
        "client.dns.lookup",
        "string",
        Some("use_all_dns_ips"),
        &[
            "use_all_dns_ips",
            "resolve_canonical_bootstrap_servers_only",
        ],
        &["default", "USE_ALL_DNS_IPS", ""],
    ),
    ("buffer.memory", "long", Some("33554432"), LONGS, BELOW_0),
    ("retries", "int", Some("2147483647"), FROM_0, PAST_32_BITS),
    (
        "acks",
        "string",
        Some("all"),
        &["all", "-1", "0", "1"],
        &["2", "ALL", ""],
    ),
    (
        "compression.type",
        "string",
        Some("none"),
        &["none", "gzip", "snappy", "lz4", "zstd"],
        &["brotli", "GZIP"],
    ),
    (
        "compression.gzip.level",
        "int",
        Some("-1"),
        &["-1", "1", "9"],
        &["-2", "0", "10"],
    ),
    (
        "compression.lz4.level",
        "int",
        Some("9"),
        &["1", "9", "17"],
        &["0", "18"],
    ),
    (
        "compression.zstd.level",
        "int",
        Some("3"),
        &["-131072", "0", "22"],
        &["-131073", "23"],
    ),
    ("batch.size", "int", Some("16384"), FROM_0, PAST_32_BITS),
    ("linger.ms", "long", Some("0"), LONGS, BELOW_0),
    (
        "delivery.timeout.ms",
        "int",
        Some("120000"),
        FROM_0,
        PAST_32_BITS,
    ),
    ("client.id", "string", Some(""), ANY, NONE),
    (
        "send.buffer.bytes",
        "int",
        Some("131072"),
        &["-1", "0"],
        &["-2"],
    ),
    (
        "receive.buffer.bytes",
        "int",
        Some("32768"),
        &["-1", "0"],
        &["-2"],
    ),
    (
        "max.request.size",
        "int",
        Some("1048576"),
        FROM_0,
        PAST_32_BITS,
    ),
    ("reconnect.backoff.ms", "long", Some("50"), LONGS, BELOW_0),
    (
        "reconnect.backoff.max.ms",
        "long",
        Some("1000"),
        LONGS,
        BELOW_0,
    ),
    ("retry.backoff.ms", "long", Some("100"), LONGS, BELOW_0),
    ("retry.backoff.max.ms", "long", None, LONGS, BELOW_0),
    ("max.block.ms", "long", Some("60000"), LONGS, BELOW_0),
    (
        "request.timeout.ms",
        "int",
        Some("30000"),
        FROM_0,
        PAST_32_BITS,
    ),
    (
        "metadata.max.age.ms",
        "long",
        Some("300000"),
        LONGS,
        BELOW_0,
    ),
    (
        "metadata.max.idle.ms",
        "long",
        Some("300000"),
        &["5000"],
        &["4999"],
    ),
    (
        "metadata.recovery.strategy",
        "string",
        Some("rebootstrap"),
        &["none", "rebootstrap"],
        &["REBOOTSTRAP", "both", ""],
    ),
    (
        "metadata.recovery.rebootstrap.trigger.ms",
        "long",
        Some("300000"),
        LONGS,
        BELOW_0,
    ),
    (
        "metrics.sample.window.ms",
        "long",
        Some("30000"),
        LONGS,
        BELOW_0,
    ),
    ("metrics.num.samples", "int", Some("2"), &["1"], &["0"]),
    (
        "metrics.recording.level",
        "string",
        Some("INFO"),
        &["INFO", "DEBUG", "TRACE"],
        &["info", "WARN"],
    ),
    ("metric.reporters", "list", Some(""), ANY, NONE),
    (
        "max.in.flight.requests.per.connection",
        "int",
        Some("5"),
        &["1", "100"],
        &["0"],
    ),
    ("key.serializer", "class", None, ANY, NONE),
    ("value.serializer", "class", None, ANY, NONE),
    (
        "socket.connection.setup.timeout.ms",
        "long",
        Some("10000"),
        LONGS,
        BELOW_0,
    ),
    (
        "socket.connection.setup.timeout.max.ms",
        "long",
        Some("30000"),
        LONGS,
        BELOW_0,
    ),
    (
        "connections.max.idle.ms",
        "long",
        Some("540000"),
        &["-1", "0", "2147483648"],
        NONE,
    ),
    (
        "partitioner.class",
        "class",
        Some("org.apache.kafka.clients.producer.internals.DefaultPartitioner"),
        ANY,
        NONE,
    ),
    ("interceptor.classes", "list", Some(""), ANY, NONE),
    ("security.protocol", "string", Some("PLAINTEXT"), ANY, NONE),
    ("security.providers", "string", None, ANY, NONE),
    (
        "enable.idempotence",
        "boolean",
        Some("true"),
        &["true", "False"],
        &["yes"],
    ),
    (
        "transaction.timeout.ms",
        "int",
        Some("60000"),
        &["1"],
        &["0", "-1"],
    ),
    ("transactional.id", "string", None, &["id"], &["", "  "]),
    ("ssl.protocol", "string", Some("TLSv1.3"), ANY, NONE),
    ("ssl.provider", "string", None, ANY, NONE),
    ("ssl.cipher.suites", "list", None, ANY, NONE),
    (
        "ssl.enabled.protocols",
        "list",
        Some("TLSv1.2,TLSv1.3"),
        ANY,
        NONE,
    ),
    ("ssl.keystore.type", "string", Some("JKS"), ANY, NONE),
    ("ssl.keystore.location", "string", None, ANY, NONE),
    ("ssl.keystore.password", "password", None, ANY, NONE),
    ("ssl.key.password", "password", None, ANY, NONE),
    ("ssl.keystore.key", "password", None, ANY, NONE),
    (
        "ssl.keystore.certificate.chain",
        "password",
        None,
        ANY,
        NONE,
    ),
    ("ssl.truststore.certificates", "password", None, ANY, NONE),
    ("ssl.truststore.type", "string", Some("JKS"), ANY, NONE),
    ("ssl.truststore.location", "string", None, ANY, NONE),
    ("ssl.truststore.password", "password", None, ANY, NONE),
    ("ssl.reload.interval.ms", "long", Some("0"), LONGS, BELOW_0),
    (
        "ssl.keymanager.algorithm",
        "string",
        Some("SunX509"),
        ANY,
        NONE,
    ),
    (
        "ssl.trustmanager.algorithm",
        "string",
        Some("PKIX"),
        ANY,
        NONE,
    ),
    (
        "ssl.endpoint.identification.algorithm",
        "string",
        Some("https"),
        ANY,
        NONE,
    ),
    (
        "ssl.secure.random.implementation",
        "string",
        None,
        ANY,
        NONE,
    ),
    ("ssl.engine.factory.class", "class", None, ANY, NONE),
    ("sasl.mechanism", "string", Some("GSSAPI"), ANY, NONE),
    ("sasl.jaas.config", "password", None, ANY, NONE),
    (
        "sasl.client.callback.handler.class",
        "class",
        None,
        ANY,
        NONE,
    ),
    (
        "sasl.login.callback.handler.class",
        "class",
        None,
        ANY,
        NONE,
    ),
    ("sasl.login.class", "class", None, ANY, NONE),
    ("sasl.kerberos.service.name", "string", None, ANY, NONE),
    (
        "sasl.kerberos.kinit.cmd",
        "string",
        Some("/usr/bin/kinit"),
        ANY,
        NONE,
    ),
    (
        "sasl.kerberos.ticket.renew.window.factor",
        "double",
        Some("0.80"),
        &["0.1", "7"],
        &["a"],
    ),
    (
        "sasl.kerberos.ticket.renew.jitter",
        "double",
        Some("0.05"),
        &["0.1"],
        &["a"],
    ),
    (
        "sasl.kerberos.min.time.before.relogin",
        "long",
        Some("60000"),
        &["-1", "2147483648"],
        &["a"],
    ),
    (
        "sasl.login.refresh.window.factor",
        "double",
        Some("0.80"),
        &["0.5", "1"],
        &["0.4", "1.1"],
    ),
    (
        "sasl.login.refresh.window.jitter",
        "double",
        Some("0.05"),
        &["0", "0.25"],
        &["-0.1", "0.26"],
    ),
    (
        "sasl.login.refresh.min.period.seconds",
        "short",
        Some("60"),
        &["0", "900"],
        &["-1", "901"],
    ),
    (
        "sasl.login.refresh.buffer.seconds",
        "short",
        Some("300"),
        &["0", "3600"],
        &["-1", "3601"],
    ),
    (
        "sasl.login.connect.timeout.ms",
        "int",
        None,
        &["1", "2147483647"],
        &["0", "-1", "2147483648"],
    ),
    (
        "sasl.login.read.timeout.ms",
        "int",
        None,
        &["1", "2147483647"],
        &["0", "-1", "2147483648"],
    ),
    (
        "sasl.login.retry.backoff.ms",
        "long",
        Some("100"),
        LONGS,
        BELOW_0,
    ),
    (
        "sasl.login.retry.backoff.max.ms",
        "long",
        Some("10000"),
        LONGS,
        BELOW_0,
    ),
    (
        "sasl.oauthbearer.token.endpoint.url",
        "string",
        None,
        ANY,
        NONE,
    ),
    (
        "sasl.oauthbearer.client.credentials.client.id",
        "string",
        None,
        ANY,
        NONE,
    ),
    (
        "sasl.oauthbearer.client.credentials.client.secret",
        "password",
        None,
        ANY,
        NONE,
    ),
    ("sasl.oauthbearer.scope", "string", None, ANY, NONE),
    (
        "sasl.oauthbearer.header.urlencode",
        "boolean",
        Some("false"),
        &["true", "FALSE"],
        &["yes"],
    ),
    (
        "sasl.oauthbearer.scope.claim.name",
        "string",
        Some("scope"),
        ANY,
        NONE,
    ),
    (
        "sasl.oauthbearer.sub.claim.name",
        "string",
        Some("sub"),
        ANY,
        NONE,
    ),
];

/// Java: ConfigDefTest#testValidators, #testInvalidDefaultRange
#[test]
fn every_key_has_the_type_default_and_range_of_kafka() {
    for (name, kind, default, accepted, refused) in ROWS {
        let row = key(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(row.config_type().name(), *kind, "{name}");
        assert_eq!(row.default_value(), *default, "{name}");
        for text in *accepted {
            value::parse(row, text).unwrap_or_else(|error| panic!("{error}"));
        }
        for text in *refused {
            let error = value::parse(row, text).expect_err(name);
            assert_eq!(error.key(), Some(*name));
            assert!(!error.remedy().is_empty() && !error.problem().is_empty());
        }
    }
}

/// Java: ConfigDefTest#testNames, #testDefinedTwice
#[test]
fn the_table_holds_each_key_of_kafka_once_and_no_other() {
    let expected: BTreeSet<_> = ROWS.iter().map(|row| row.0).collect();
    let names: BTreeSet<_> = keys().map(ConfigKey::name).collect();
    assert_eq!(names, expected);
    assert_eq!(keys().count(), 88);
}

/// Java: ConfigDefTest#testInvalidDefault
#[test]
fn every_default_is_valid() {
    for row in keys() {
        if let Some(default) = row.default_value() {
            value::parse(row, default).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

#[test]
fn every_key_is_described_in_full_sentences() {
    for row in keys() {
        for text in [Some(row.documentation()), row.note()]
            .into_iter()
            .flatten()
        {
            assert!(text.ends_with('.'), "{}: {text}", row.name());
            assert!(!text.contains("  "), "{}: {text}", row.name());
        }
    }
}

/// Java: ConfigDefTest#testSslPasswords
#[test]
fn secrets_are_passwords_and_are_never_shown() {
    let passwords: Vec<_> = keys().filter(|row| row.is_password()).collect();
    assert_eq!(passwords.len(), 8);
    for row in passwords {
        let value = value::parse(row, "hunter2").unwrap();
        assert_eq!(value.to_string(), "[hidden]");
        assert!(!format!("{value:?}").contains("hunter2"));
        assert!(matches!(value, ConfigValue::Password(password) if password.expose() == "hunter2"));
    }
}

/// A key that is accepted must do something: it is read outside of the configuration, by its name or by its getter.
#[test]
fn every_key_is_read_or_is_said_to_have_no_effect() {
    let mut sources = String::new();
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.file_stem().is_some_and(|name| name == "tests");
            let is_other = path.ends_with("src/config") || path.ends_with("src/testing");
            if is_test || is_other {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    for key in keys() {
        let name = key.name();
        let base = match name {
            "compression.gzip.level" | "compression.lz4.level" | "compression.zstd.level" => {
                "compression_level".to_owned()
            }
            _ => {
                let unit = [".ms", ".seconds"]
                    .iter()
                    .find_map(|it| name.strip_suffix(it));
                unit.unwrap_or(name).replace('.', "_")
            }
        };
        let reads = [
            format!("\"{name}\""),
            format!(".{base}()"),
            format!(".{base}_class()"),
        ];
        let is_read = reads.iter().any(|read| sources.contains(read));
        let says_so = key.note().is_some_and(|note| {
            note.contains("no effect") || note.contains("not supported") || note.contains("ignored")
        });
        assert!(is_read || says_so, "nothing reads {name}");
    }
}
