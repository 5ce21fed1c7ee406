//! The configuration of the producer: the tool's defaults, the properties file, properties, and options.

use std::error::Error;

use kafka_producer::{ConfigError, ConfigProblem, ProducerConfig, ProducerConfigBuilder};

use crate::flags::{ACKS, ACKS_KEY, FLAGS, LINGER};
use crate::options::ProducerOptions;

const SERIALIZERS: [&str; 2] = ["key.serializer", "value.serializer"];

/// The serializer of keys and values. It overrides the configuration, because the records are bytes.
const BYTES: &str = "org.apache.kafka.common.serialization.ByteArraySerializer";

/// Builds the configuration. Later ones of these override earlier ones: the tool's defaults, `--producer.config`,
/// `--producer-property`, other options.
///
/// # Kafka
/// The precedence of Kafka's tool. Differs in three defaults. There, `compression.type` of the file or of a property is
/// always overridden by `--compression-codec` or its default; `linger.ms` is 1000 with `--sync` too; and
/// `enable.idempotence=true` without `acks` is an error, because `acks` is 1. Here, `acks` is then `all`.
pub(crate) fn config(options: &ProducerOptions) -> Result<ProducerConfig, Box<dyn Error>> {
    for (key, _) in &options.properties {
        // A file is not warned of: it may be that of an application.
        if SERIALIZERS.contains(&key.as_str()) {
            log::warn!("{key} has no effect: lines are sent as bytes");
        }
    }
    let config = with_default_acks(&builder(options)?)?;
    if config.transactional_id().is_some() {
        return Err("transactional.id: this tool does not send transactions; leave it out".into());
    }
    Ok(config)
}

/// The value of `acks` in [`builder`] if nothing sets the key. It is invalid, so that such a configuration is refused.
const NO_ACKS: &str = "not given";

/// Builds the configuration, with the tool's default of `acks`, or with `all` if that default conflicts with other
/// keys. A value that was given is kept. The builder is cloned, because a file that is a pipe can be read only once.
fn with_default_acks(builder: &ProducerConfigBuilder) -> Result<ProducerConfig, ConfigError> {
    let lacks_acks = |error: &ConfigError| {
        let mut problems = error.problems().iter();
        problems.any(|it| it.key() == Some(ACKS_KEY) && it.value() == Some(NO_ACKS))
    };
    match builder.clone().build() {
        Err(error) if lacks_acks(&error) => {}
        built => return built,
    }
    let default = FLAGS.iter().find(|flag| flag.option == ACKS);
    let default = default.and_then(|flag| flag.default).unwrap_or("all");
    match builder.clone().set(ACKS_KEY, default).build() {
        Err(error) if concerns_acks(&error) => builder.clone().set(ACKS_KEY, "all").build(),
        built => built,
    }
}

fn concerns_acks(error: &ConfigError) -> bool {
    let mut keys = error.problems().iter().flat_map(ConfigProblem::keys);
    keys.any(|key| key == ACKS_KEY)
}

fn builder(options: &ProducerOptions) -> Result<ProducerConfigBuilder, ConfigError> {
    let mut builder = ProducerConfig::builder().set("client.id", "console-producer");
    for flag in &FLAGS {
        match (flag.option, flag.default) {
            (ACKS, _) => builder = builder.set(flag.key, NO_ACKS),
            // While the tool waits for one record, no other one can join its batch.
            (LINGER, _) if options.is_sync => {}
            (_, Some(default)) => builder = builder.set(flag.key, default),
            (_, None) => {}
        }
    }
    if let Some(path) = &options.config_file {
        builder = builder.properties_file(path)?;
    }
    for (key, value) in &options.properties {
        builder = builder.set(key, value);
    }
    for flag in &FLAGS {
        if let Some(value) = options.flags.get(flag.option) {
            builder = builder.set(flag.key, value);
        }
    }
    builder = builder.set("bootstrap.servers", &options.servers);
    for key in SERIALIZERS {
        builder = builder.set(key, BYTES);
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kafka_producer::{Acks, CompressionType};

    use super::*;
    use crate::flags::CODEC;

    fn options(properties: &[(&str, &str)], flags: &[(&'static str, &str)]) -> ProducerOptions {
        let properties = properties.iter();
        let flags = flags.iter();
        ProducerOptions {
            is_sync: false,
            servers: "a:1".to_owned(),
            config_file: None,
            properties: properties
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            flags: flags
                .map(|(option, value)| (*option, (*value).to_owned()))
                .collect(),
        }
    }

    fn of(properties: &[(&str, &str)], flags: &[(&'static str, &str)]) -> ProducerConfig {
        config(&options(properties, flags)).unwrap()
    }

    #[test]
    fn defaults_are_those_of_kafkas_tool() {
        let config = of(&[], &[]);
        assert_eq!(config.client_id(), "console-producer");
        assert_eq!(config.acks(), Acks::Leader);
        assert_eq!(config.batch_size(), 16_384);
        assert_eq!(config.buffer_memory(), 33_554_432);
        assert_eq!(config.compression_type(), CompressionType::None);
        assert_eq!(config.linger(), Duration::from_secs(1));
        assert_eq!(config.request_timeout(), Duration::from_millis(1500));
        assert_eq!(config.retries(), 3);
        assert_eq!(config.retry_backoff(), Duration::from_millis(100));
        assert_eq!(config.max_block(), Duration::from_secs(60));
        assert_eq!(config.metadata_max_age(), Duration::from_secs(300));
        assert_eq!(config.send_buffer_bytes(), Some(102_400));
    }

    #[test]
    fn a_record_that_is_waited_for_does_not_linger_by_default() {
        let with = |properties: &[(&str, &str)]| {
            let mut options = options(properties, &[]);
            options.is_sync = true;
            config(&options).unwrap().linger()
        };
        assert_eq!(with(&[]), Duration::ZERO);
        assert_eq!(with(&[("linger.ms", "3")]), Duration::from_millis(3));
    }

    #[test]
    fn an_option_overrides_a_property_and_a_property_overrides_a_default() {
        let properties = [
            ("linger.ms", "7"),
            ("client.id", "mine"),
            ("compression.type", "gzip"),
            ("bootstrap.servers", "b:2"),
        ];
        let config = of(&properties, &[]);
        assert_eq!(config.linger(), Duration::from_millis(7));
        assert_eq!(config.client_id(), "mine");
        assert_eq!(config.compression_type(), CompressionType::Gzip);
        assert_eq!(config.bootstrap_servers(), ["a:1"]);
        let config = of(&properties, &[("timeout", "8"), (CODEC, "none")]);
        assert_eq!(config.linger(), Duration::from_millis(8));
        assert_eq!(config.compression_type(), CompressionType::None);
    }

    #[test]
    fn the_size_of_a_batch_has_two_options() {
        let small = ("batch-size", "100");
        assert_eq!(of(&[], &[small]).batch_size(), 100);
        let both = [small, ("max-partition-memory-bytes", "200")];
        assert_eq!(of(&[], &both).batch_size(), 200);
    }

    #[test]
    fn idempotence_that_is_asked_for_changes_the_default_of_acks_but_no_value_that_is_given() {
        let idempotent = ("enable.idempotence", "true");
        let config = of(&[idempotent], &[]);
        assert_eq!(config.acks(), Acks::All);
        assert!(config.enable_idempotence());
        for error in [
            config_error(&options(&[idempotent, ("acks", "1")], &[])),
            config_error(&options(&[idempotent], &[(ACKS, "1")])),
            config_error(&options(&[("acks", "2")], &[])),
        ] {
            assert!(error.contains("acks"), "{error}");
            assert!(!error.contains(NO_ACKS), "{error}");
        }
    }

    #[test]
    fn an_error_of_another_key_does_not_name_the_missing_acks() {
        for key in ["linger.ms", "batch.size"] {
            let error = config_error(&options(&[(key, "x")], &[]));
            assert!(error.contains(key) && !error.contains("acks"), "{error}");
        }
    }

    #[test]
    fn a_transactional_id_is_refused() {
        let error = config_error(&options(&[("transactional.id", "x")], &[]));
        assert!(error.contains("transactional.id"), "{error}");
    }

    fn config_error(options: &ProducerOptions) -> String {
        config(options).unwrap_err().to_string()
    }
}
