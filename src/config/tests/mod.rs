use std::fs;
use std::time::Duration;

use super::checks::Notice;
use super::*;
use crate::compress::CompressionType;

mod rules;

const MS: fn(u64) -> Duration = Duration::from_millis;

type Entries<'a> = &'a [(&'a str, &'a str)];

fn given(entries: Entries<'_>) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn config(entries: Entries<'_>) -> Result<ProducerConfig, ConfigError> {
    ProducerConfig::from_map(entries.iter().copied())
}

/// Builds a configuration without logging its notices.
fn complete(entries: Entries<'_>) -> Result<ProducerConfig, ConfigError> {
    noticed(entries).map(|(config, _)| config)
}

fn noticed(entries: Entries<'_>) -> Result<(ProducerConfig, Vec<Notice>), ConfigError> {
    ProducerConfig::check_quietly(given(entries), &Strictness::default())
}

fn source(config: &ProducerConfig, key: &str) -> (String, ConfigSource) {
    let entry = config.effective().into_iter().find(|entry| entry.0 == key);
    entry.map(|(_, value, source)| (value, source)).unwrap()
}

#[test]
fn an_empty_configuration_has_kafkas_defaults() {
    let config = config(&[]).unwrap();
    assert_eq!(config.acks(), Acks::All);
    assert_eq!(config.batch_size(), 16_384);
    assert_eq!(config.bootstrap_servers(), <[String; 0]>::default());
    assert_eq!(config.buffer_memory(), 33_554_432);
    assert_eq!(config.client_dns_lookup(), ClientDnsLookup::UseAllDnsIps);
    assert_eq!(config.compression_type(), CompressionType::None);
    assert_eq!(config.compression_level(), None);
    assert_eq!(config.connections_max_idle(), Some(MS(540_000)));
    assert_eq!(config.delivery_timeout(), MS(120_000));
    assert!(config.enable_idempotence());
    assert_eq!(config.interceptor_classes(), <[String; 0]>::default());
    assert_eq!(config.key_serializer_class(), None);
    assert_eq!(config.linger(), Duration::ZERO);
    assert_eq!(config.max_block(), MS(60_000));
    assert_eq!(config.max_in_flight_requests_per_connection(), 5);
    assert_eq!(config.max_request_size(), 1_048_576);
    assert_eq!(config.metadata_max_age(), MS(300_000));
    assert_eq!(config.metadata_max_idle(), MS(300_000));
    assert_eq!(
        config.metadata_recovery_strategy(),
        MetadataRecoveryStrategy::Rebootstrap
    );
    assert_eq!(config.metadata_recovery_rebootstrap_trigger(), MS(300_000));
    assert_eq!(config.metric_reporters(), <[String; 0]>::default());
    assert_eq!(config.metrics_num_samples(), 2);
    assert_eq!(config.metrics_recording_level(), RecordingLevel::Info);
    assert_eq!(config.metrics_sample_window(), MS(30_000));
    assert_eq!(config.partitioner_class(), None);
    assert_eq!(config.receive_buffer_bytes(), Some(32_768));
    assert_eq!(config.reconnect_backoff(), MS(50));
    assert_eq!(config.reconnect_backoff_max(), MS(1000));
    assert_eq!(config.request_timeout(), MS(30_000));
    assert_eq!(config.retries(), 2_147_483_647);
    assert_eq!(config.retry_backoff(), MS(100));
    assert_eq!(config.retry_backoff_max(), None);
    assert_eq!(config.security_protocol(), SecurityProtocol::Plaintext);
    assert_eq!(config.send_buffer_bytes(), Some(131_072));
    assert_eq!(config.socket_connection_setup_timeout(), MS(10_000));
    assert_eq!(config.socket_connection_setup_timeout_max(), MS(30_000));
    assert_eq!(config.ssl_reload_interval(), None);
    assert_eq!(config.transaction_timeout(), MS(60_000));
    assert_eq!(config.transactional_id(), None);
    assert_eq!(config.value_serializer_class(), None);
}

#[test]
fn every_value_set_in_the_builder_is_returned_by_its_getter() {
    let config = ProducerConfig::builder()
        .acks(Acks::Leader)
        .batch_size(1)
        .bootstrap_servers(["a:1", "[::1]:2"])
        .buffer_memory(2)
        .client_dns_lookup(ClientDnsLookup::ResolveCanonicalBootstrapServersOnly)
        .client_id("me")
        .connections_max_idle(None)
        .delivery_timeout(MS(4))
        .enable_idempotence(false)
        .interceptor_classes(["one", "two"])
        .key_serializer_class("k")
        .linger(MS(1))
        .max_block(MS(5))
        .max_in_flight_requests_per_connection(6)
        .max_request_size(7)
        .metadata_max_age(MS(8))
        .metadata_max_idle(MS(5009))
        .metadata_recovery_strategy(MetadataRecoveryStrategy::None)
        .metadata_recovery_rebootstrap_trigger(MS(21))
        .metrics_num_samples(10)
        .metrics_recording_level(RecordingLevel::Trace)
        .metrics_sample_window(MS(11))
        .partitioner_class("p")
        .receive_buffer_bytes(Some(12))
        .reconnect_backoff(MS(13))
        .reconnect_backoff_max(MS(14))
        .request_timeout(MS(3))
        .retries(15)
        .retry_backoff(MS(16))
        .retry_backoff_max(MS(17))
        .send_buffer_bytes(None)
        .set("transaction.timeout.ms", "20")
        .socket_connection_setup_timeout(MS(18))
        .socket_connection_setup_timeout_max(MS(19))
        .ssl_reload_interval(Some(MS(22)))
        .value_serializer_class("v")
        .build()
        .unwrap();
    assert_eq!(config.acks(), Acks::Leader);
    assert_eq!(config.batch_size(), 1);
    assert_eq!(config.bootstrap_servers(), ["a:1", "[::1]:2"]);
    assert_eq!(config.buffer_memory(), 2);
    assert_eq!(
        config.client_dns_lookup(),
        ClientDnsLookup::ResolveCanonicalBootstrapServersOnly
    );
    assert_eq!(config.client_id(), "me");
    assert_eq!(config.connections_max_idle(), None);
    assert_eq!(config.delivery_timeout(), MS(4));
    assert!(!config.enable_idempotence());
    assert_eq!(config.interceptor_classes(), ["one", "two"]);
    assert_eq!(config.key_serializer_class(), Some("k"));
    assert_eq!(config.linger(), MS(1));
    assert_eq!(config.max_block(), MS(5));
    assert_eq!(config.max_in_flight_requests_per_connection(), 6);
    assert_eq!(config.max_request_size(), 7);
    assert_eq!(config.metadata_max_age(), MS(8));
    assert_eq!(config.metadata_max_idle(), MS(5009));
    assert_eq!(
        config.metadata_recovery_strategy(),
        MetadataRecoveryStrategy::None
    );
    assert_eq!(config.metadata_recovery_rebootstrap_trigger(), MS(21));
    assert_eq!(config.metrics_num_samples(), 10);
    assert_eq!(config.metrics_recording_level(), RecordingLevel::Trace);
    assert_eq!(config.metrics_sample_window(), MS(11));
    assert_eq!(config.partitioner_class(), Some("p"));
    assert_eq!(config.receive_buffer_bytes(), Some(12));
    assert_eq!(config.reconnect_backoff(), MS(13));
    assert_eq!(config.reconnect_backoff_max(), MS(14));
    assert_eq!(config.request_timeout(), MS(3));
    assert_eq!(config.retries(), 15);
    assert_eq!(config.retry_backoff(), MS(16));
    assert_eq!(config.retry_backoff_max(), Some(MS(17)));
    assert_eq!(config.send_buffer_bytes(), None);
    assert_eq!(config.socket_connection_setup_timeout(), MS(18));
    assert_eq!(config.socket_connection_setup_timeout_max(), MS(19));
    assert_eq!(config.ssl_reload_interval(), Some(MS(22)));
    assert_eq!(config.transaction_timeout(), MS(20));
    assert_eq!(config.value_serializer_class(), Some("v"));
}

#[test]
fn the_builder_rounds_durations_up_and_reports_those_too_long() {
    let rounded = ProducerConfig::builder()
        .request_timeout(Duration::from_nanos(1))
        .linger(Duration::from_micros(2500))
        .build()
        .unwrap();
    assert_eq!(rounded.request_timeout(), MS(1));
    assert_eq!(rounded.linger(), MS(3));
    let error = ProducerConfig::builder()
        .max_block(Duration::MAX)
        .build()
        .unwrap_err();
    assert_eq!(error.key(), Some("max.block.ms"));
}

/// The number in a generated client id.
fn number(config: &ProducerConfig) -> u64 {
    config
        .client_id()
        .strip_prefix("producer-")
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn missing_client_ids_are_generated_and_given_ones_are_used_unchanged() {
    // Other tests of the process generate client ids too.
    let (first, second) = (config(&[]).unwrap(), config(&[]).unwrap());
    assert!(number(&first) >= 1);
    assert!(number(&second) > number(&first));
    assert_eq!(source(&first, "client.id").1, ConfigSource::Derived);
    assert_eq!(config(&[("client.id", "")]).unwrap().client_id(), "");
    assert_eq!(config(&[("client.id", " me ")]).unwrap().client_id(), "me");
    let named = [("client.id", "me"), ("transactional.id", "t")];
    assert_eq!(complete(&named).unwrap().client_id(), "me");
}

#[test]
fn unsupported_values_are_rejected_only_where_they_would_change_behaviour() {
    let accepted: Entries<'_> = &[
        ("compression.type", "gzip"),
        ("security.protocol", "plaintext"),
        ("metric.reporters", "my.Reporter"),
        ("config.providers", " "),
        ("ssl.truststore.location", "/etc/trust.jks"),
        ("sasl.mechanism", "PLAIN"),
    ];
    assert!(config(accepted).is_ok());
    assert!(config(&[("security.protocol", "sasl_plaintext")]).is_ok());
    for protocol in ["ssl", "SASL_SSL"] {
        let with_tls = config(&[("security.protocol", protocol)]);
        assert_eq!(with_tls.is_ok(), cfg!(feature = "tls-no-provider"));
    }
    let class = ("config.providers.vault.class", "com.example.Vault");
    let error = config(&[("config.providers", "vault"), class]).unwrap_err();
    assert!(error.is_not_built(), "{error}");
    assert_eq!((error.key(), error.value()), (Some(class.0), Some(class.1)));
    // A name that Kafka does not have either is invalid, not unsupported.
    for (key, value) in [("compression.type", "brotli"), ("security.protocol", "TLS")] {
        assert!(!config(&[(key, value)]).unwrap_err().is_not_built());
    }
}

#[test]
fn a_key_of_a_later_kafka_is_refused_if_records_would_be_others_and_warned_of_if_not() {
    let error = config(&[("partitioner.ignore.keys", "true")]).unwrap_err();
    assert!(error.is_not_built(), "{error}");
    assert_eq!(error.key(), Some("partitioner.ignore.keys"));
    let key = "partitioner.adaptive.partitioning.enable";
    let (config, notices) = noticed(&[(key, "true")]).unwrap();
    assert_eq!(notices.len(), 1);
    assert!(notices[0].text.starts_with(key), "{}", notices[0].text);
    assert_eq!(config.unused_keys(), <[&str; 0]>::default());
    let as_here: Entries<'_> = &[
        ("partitioner.ignore.keys", "FALSE"),
        ("partitioner.adaptive.partitioning.enable", "false"),
        ("partitioner.availability.timeout.ms", "0"),
        ("enable.metrics.push", "false"),
    ];
    let (config, notices) = noticed(as_here).unwrap();
    assert_eq!((notices, config.unused_keys()), (Vec::new(), Vec::new()));
}

#[test]
fn a_strict_configuration_refuses_each_unknown_key_and_names_the_one_that_was_meant() {
    let builder = || {
        ProducerConfig::builder()
            .set("linger.sm", "5")
            .set("ssl.keystore.pasword", "hunter2")
            .set("my.level", "3")
            .set("enable.metrics.push", "false")
            .acks(Acks::All)
    };
    assert!(builder().build().is_ok());
    let error = builder().strict().plugin_keys(["my."]).build().unwrap_err();
    let keys: Vec<_> = error.problems().iter().map(|it| it.key()).collect();
    assert_eq!(keys, [Some("linger.sm"), Some("ssl.keystore.pasword")]);
    let text = error.to_string();
    for meant in [
        "Did you mean linger.ms?",
        "Did you mean ssl.keystore.password?",
    ] {
        assert!(text.contains(meant), "{text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn all_problems_are_in_one_error_and_none_follows_from_another() {
    let error = config(&[
        ("acks", "2"),
        ("linger.ms", "soon"),
        ("delivery.timeout.ms", "1"),
        ("batch.size", "100"),
        ("buffer.memory", "10"),
        ("bootstrap.servers", "one:9092,two,:3"),
        ("config.providers", "file"),
        // Conflicts with `acks`, if its value were that of the default.
        ("enable.idempotence", "true"),
    ])
    .unwrap_err();
    let mut keys: Vec<_> = error
        .problems()
        .iter()
        .map(|it| it.key().unwrap())
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "acks",
            "batch.size",
            "bootstrap.servers",
            "bootstrap.servers",
            "config.providers.file.class",
            "linger.ms",
        ],
        "{error}"
    );
}

#[test]
fn unknown_keys_are_kept_and_count_as_used_once_a_plug_in_read_them() {
    let config = config(&[
        ("acks", "all"),
        ("linger.sm", "5"),
        ("my.level", "3"),
        ("security.providers", "x"),
        ("ssl.protocol", "TLSv1.2"),
        ("sasl.mechanism", "PLAIN"),
        ("transaction.timeout.ms", "1000"),
    ])
    .unwrap();
    assert_eq!(config.originals()["my.level"], "3");
    let plugin = config.plugin_config();
    assert_eq!(plugin.client_id(), config.client_id());
    assert_eq!(plugin.get("client.id"), Some(config.client_id()));
    assert!(config.unused_keys().contains(&"my.level"));
    // All views and clones share the set of keys that were read.
    assert_eq!(config.plugin_config().get("my.level"), Some("3"));
    assert_eq!(plugin.iter().count(), 8);
    assert_eq!(
        config.unused_keys(),
        [
            "linger.sm",
            "sasl.mechanism",
            "security.providers",
            "ssl.protocol",
            "transaction.timeout.ms"
        ]
    );
    let ssl = complete(&[
        ("security.protocol", "SSL"),
        ("ssl.protocol", "x"),
        ("sasl.mechanism", "x"),
    ]);
    assert_eq!(ssl.unwrap().unused_keys(), ["sasl.mechanism"]);
}

#[test]
fn effective_values_have_their_source() {
    let config = config(&[("batch.size", " 100 "), ("reconnect.backoff.ms", "7")]).unwrap();
    assert_eq!(config.effective().len(), 88);
    assert_eq!(
        source(&config, "batch.size"),
        ("100".to_owned(), ConfigSource::User)
    );
    assert_eq!(
        source(&config, "linger.ms"),
        ("0".to_owned(), ConfigSource::Default)
    );
    assert_eq!(
        source(&config, "transactional.id"),
        ("null".to_owned(), ConfigSource::Default)
    );
    assert_eq!(
        source(&config, "reconnect.backoff.max.ms"),
        ("7".to_owned(), ConfigSource::Derived)
    );
}

/// Java: ConfigDefTest#testSslPasswords
#[test]
fn no_password_and_no_unknown_value_is_ever_printed() {
    let entries = [
        ("ssl.key.password", "hunter2"),
        ("sasl.jaas.config", "hunter2"),
        ("my.secret", "hunter2"),
        ("acks", "1"),
    ];
    let builder = entries
        .iter()
        .fold(ProducerConfig::builder(), |b, (k, v)| b.set(*k, *v));
    let shown = format!("{builder:?}");
    assert!(
        shown.contains("my.secret") && !shown.contains("hunter2"),
        "{shown}"
    );
    let config = builder.build().unwrap();
    let shown = format!("{config:?} {:?}", config.effective());
    assert!(
        shown.contains("ssl.key.password") && shown.contains("my.secret"),
        "{shown}"
    );
    assert!(
        shown.contains("[hidden]") && !shown.contains("hunter2"),
        "{shown}"
    );
    assert_eq!(config.originals()["ssl.key.password"], "hunter2");
}

#[test]
fn a_secret_in_a_wrong_key_is_not_printed() {
    let login = "x.PlainLoginModule required username=\"a\" password=\"hunter2\";";
    let key = "-----BEGIN PRIVATE KEY----- hunter2 -----END PRIVATE KEY-----";
    for (name, value) in [
        ("sasl.mechanism", login),
        ("sasl.login.class", login),
        ("ssl.keystore.location", key),
        ("interceptor.classes", login),
    ] {
        let builder = ProducerConfig::builder().set(name, value);
        let config = builder.clone().build().unwrap();
        let printed = format!("{builder:?} {config:?} {:?}", config.effective());
        assert!(!printed.contains("hunter2"), "{printed}");
        assert_eq!(config.originals()[name], value);
    }
    let error = config(&[("acks", login)]).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    assert_eq!((error.key(), error.value()), (Some("acks"), None));
}

#[test]
fn a_properties_file_is_read_in_utf_8_and_in_latin_1() {
    let dir = std::env::temp_dir().join(format!("kafka-producer-config-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let path = dir.join("producer.properties");
    let text =
        "# a producer\nbootstrap.servers = a:1,\\\n  b:2\nclient.id=z\u{e4}hler\nlinger.ms: 5\n";
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap()).collect();
    for bytes in [text.as_bytes(), &latin] {
        fs::write(&path, bytes).unwrap();
        let config = ProducerConfig::from_properties_file(&path).unwrap();
        assert_eq!(config.bootstrap_servers(), ["a:1", "b:2"]);
        assert_eq!(config.client_id(), "z\u{e4}hler");
        assert_eq!(config.linger(), MS(5));
    }
    fs::remove_dir_all(&dir).unwrap();
    let error = ProducerConfig::from_properties_file(&path).unwrap_err();
    assert!(
        error.is_unreadable() && error.to_string().contains("producer.properties"),
        "{error}"
    );
}

#[test]
#[cfg(unix)]
fn an_endless_properties_file_is_rejected() {
    let error = ProducerConfig::from_properties_file("/dev/zero").unwrap_err();
    assert!(
        error.is_unreadable() && error.to_string().contains("/dev/zero"),
        "{error}"
    );
}

#[test]
fn a_builder_completes_a_file_that_is_invalid_by_itself() {
    let dir = std::env::temp_dir().join(format!("kafka-producer-builder-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let path = dir.join("producer.properties");
    fs::write(&path, "enable.idempotence=true\nacks=1\nlinger.ms=5\n").unwrap();
    assert!(ProducerConfig::from_properties_file(&path).is_err());
    let builder = ProducerConfig::builder().set("linger.ms", "7");
    let builder = builder.properties_file(&path).unwrap();
    let config = builder.set("acks", "all").build().unwrap();
    assert_eq!((config.acks(), config.linger()), (Acks::All, MS(5)));
    fs::remove_dir_all(&dir).unwrap();
    let error = ProducerConfig::builder()
        .properties_file(&path)
        .unwrap_err();
    assert!(error.is_unreadable(), "{error}");
}

#[test]
fn all_sources_share_one_validation() {
    let built = ProducerConfig::builder()
        .set("acks", "2")
        .build()
        .unwrap_err();
    assert_eq!(config(&[("acks", "2")]).unwrap_err(), built);
    assert_eq!(
        ProducerConfig::from_properties_str("acks=2").unwrap_err(),
        built
    );
}

#[test]
fn a_configuration_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<ProducerConfig>();
    shared::<ProducerConfigBuilder>();
    shared::<PluginConfig>();
    shared::<ConfigError>();
}

#[test]
#[cfg(unix)]
fn a_world_readable_file_with_secrets_causes_a_warning_with_the_key() {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("secrets-{}.properties", std::process::id()));
    fs::write(&path, "sasl.jaas.config=hunter2\nacks=1").unwrap();
    let warning = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        open_file::exposed(&path, &properties::read(&path).unwrap().entries)
    };
    let text = warning(0o644).unwrap();
    assert!(
        text.contains("sasl.jaas.config") && !text.contains("hunter2"),
        "{text}"
    );
    assert_eq!(warning(0o640), None);
    for without in ["acks=1", "sasl.jaas.config=${vault:kafka:login}"] {
        fs::write(&path, without).unwrap();
        assert_eq!(warning(0o644), None, "{without}");
    }
    fs::remove_file(&path).unwrap();
}

#[test]
fn an_enum_is_parsed_from_the_texts_of_its_key() {
    for (text, acks) in [
        ("0", Acks::None),
        ("1", Acks::Leader),
        ("all", Acks::All),
        (" -1 ", Acks::All),
    ] {
        assert_eq!(text.parse(), Ok(acks));
    }
    assert_eq!("use_all_dns_ips".parse(), Ok(ClientDnsLookup::UseAllDnsIps));
    assert_eq!("none".parse(), Ok(MetadataRecoveryStrategy::None));
    assert_eq!("DEBUG".parse(), Ok(RecordingLevel::Debug));
    assert_eq!("sasl_ssl".parse(), Ok(SecurityProtocol::SaslSsl));
}

#[test]
fn the_error_of_an_enum_is_that_of_the_configuration() {
    for (key, error) in [
        ("acks", "x".parse::<Acks>().unwrap_err()),
        (
            "client.dns.lookup",
            "x".parse::<ClientDnsLookup>().unwrap_err(),
        ),
        (
            "metadata.recovery.strategy",
            "x".parse::<MetadataRecoveryStrategy>().unwrap_err(),
        ),
        (
            "metrics.recording.level",
            "x".parse::<RecordingLevel>().unwrap_err(),
        ),
        (
            "security.protocol",
            "x".parse::<SecurityProtocol>().unwrap_err(),
        ),
    ] {
        assert_eq!(error, config(&[(key, "x")]).unwrap_err());
    }
}

#[test]
#[allow(
    clippy::needless_borrows_for_generic_args,
    reason = "what may be lent is tested too"
)]
fn bootstrap_servers_take_one_text_or_a_list() {
    let expected = ["a:1", "b:2"];
    let owned = expected.map(str::to_owned);
    let text = "a:1,b:2".to_owned();
    let builder = ProducerConfig::builder;
    for given in [
        builder().bootstrap_servers("a:1,b:2"),
        builder().bootstrap_servers(&text),
        builder().bootstrap_servers(text),
        builder().bootstrap_servers(expected),
        builder().bootstrap_servers(&expected),
        builder().bootstrap_servers(&expected[..]),
        builder().bootstrap_servers(owned.clone()),
        builder().bootstrap_servers(owned.to_vec()),
        builder().bootstrap_servers(&owned.to_vec()),
        builder().bootstrap_servers(
            owned
                .iter()
                .map(|server| server.trim())
                .collect::<BootstrapServers>(),
        ),
        builder().bootstrap_servers(["a:1, b:2"]),
    ] {
        assert_eq!(given.build().unwrap().bootstrap_servers(), expected);
    }
}
