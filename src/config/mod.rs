//! Configuration: Kafka's keys with their types, defaults and validation, and the typed getters that the rest of the
//! library uses.
//!
//! There are several sources (a builder, a map, a `.properties` file, environment variables) and one validation:
//! replace the variables of config providers, parse each key, reject what is not supported yet, check keys against each
//! other, derive the values that follow from other keys. It collects all problems.

mod bootstrap;
mod builder;
mod checks;
mod definition;
mod draft;
mod environment;
mod given;
mod jaas_text;
mod key_name;
mod kinds;
mod markdown;
#[cfg(feature = "msk-iam")]
mod msk_iam;
mod not_built;
mod open_file;
mod password;
mod plugin;
mod properties;
mod providers;
mod redaction;
mod settings;
mod strictness;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub(crate) use bootstrap::{distinct_servers, listed_servers};
pub use builder::{BootstrapServers, ProducerConfigBuilder};
pub use definition::{ConfigKey, ConfigType, Group, Importance};
pub use draft::ConfigSource;
pub(crate) use key_name::shown_key;
pub use kinds::{
    Acks, ClientDnsLookup, MetadataRecoveryStrategy, RecordingLevel, SecurityProtocol,
};
#[cfg(feature = "msk-iam")]
pub use msk_iam::MskIamOptions;
#[cfg(feature = "tls-no-provider")]
pub(crate) use open_file::is_open_to_all;
pub use password::Password;
pub use plugin::PluginConfig;
pub use providers::ConfigProvider;
#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) use providers::check_text as check_variables;

use crate::error::ConfigError;
use crate::sync::{Mutex, Rank};
use crate::util::log::{self, Level, LogContext};
use draft::Draft;
use given::GivenKeys;
#[cfg(any(feature = "cli", feature = "testing"))]
use given::ResolvedBefore;
use plugin::Reads;
use redaction::Redaction;
use settings::Settings;
use strictness::Strictness;
pub(crate) use strictness::nearest_key;

/// The validated configuration of a producer.
///
/// Built by [`builder`](Self::builder), [`from_map`](Self::from_map), [`from_env`](Self::from_env) or
/// [`from_properties_file`](Self::from_properties_file), each of which validates all keys. A getter has the name of its
/// key, with underscores for dots and without the unit; the keys are documented in `docs/CONFIGURATION.md` and by
/// [`keys`](Self::keys).
///
/// A clone shares the client id and the set of keys that were read. Build one configuration for each producer, so that
/// each gets a client id of its own.
///
/// ```
/// use std::time::Duration;
///
/// use kafka_producer::{Acks, ProducerConfig};
///
/// let config = ProducerConfig::builder()
///     .bootstrap_servers(["kafka-1:9092", "kafka-2:9092"])
///     .linger(Duration::from_millis(5))
///     .build()?;
/// assert_eq!(config.acks(), Acks::All);
/// assert!(config.enable_idempotence());
///
/// // The same as the text of a properties file.
/// let text = "bootstrap.servers=kafka-1:9092,kafka-2:9092\nlinger.ms=5";
/// let same = ProducerConfig::from_properties_str(text)?;
/// assert_eq!(same.linger(), config.linger());
///
/// // An error names the key and says what to do.
/// let error = ProducerConfig::from_map([("acks", "2")]).unwrap_err();
/// assert_eq!(error.key(), Some("acks"));
/// # Ok::<(), kafka_producer::ConfigError>(())
/// ```
///
/// # Kafka
/// `ProducerConfig`. Differs: serializer keys are not mandatory, since serializers are usually passed as values; rules
/// that Kafka checks in the producer's constructor are checked here.
#[derive(Clone)]
pub struct ProducerConfig {
    settings: Settings,
    draft: Arc<Draft>,
    originals: Arc<BTreeMap<String, String>>,
    /// The keys whose values contain a value of a config provider.
    resolved: Arc<BTreeSet<String>>,
    /// The unknown keys whose names may be secrets, each with the text that is shown instead.
    labels: Arc<BTreeMap<String, String>>,
    reads: Reads,
}

impl ProducerConfig {
    /// A builder with a setter for each key.
    pub fn builder() -> ProducerConfigBuilder {
        ProducerConfigBuilder::new()
    }

    /// Builds a configuration from keys and values. The last value of a key wins.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kafka_producer::ProducerConfig;
    ///
    /// let config = ProducerConfig::from_map([("bootstrap.servers", "broker:9092"), ("linger.ms", "5")])?;
    /// assert_eq!(config.bootstrap_servers(), ["broker:9092"]);
    ///
    /// let error = ProducerConfig::from_map([("bootstrap.servers", "broker:9092"), ("acks", "most")]).unwrap_err();
    /// assert_eq!(error.key(), Some("acks"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If a value is invalid, values conflict, a value needs a feature that this version of the library does not have,
    /// or a config provider fails.
    ///
    /// # Blocking
    /// As [`ProducerConfigBuilder::build`].
    pub fn from_map<K, V>(entries: impl IntoIterator<Item = (K, V)>) -> Result<Self, ConfigError>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let entries = entries
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()));
        let given: BTreeMap<String, String> = entries.collect();
        Self::check(given, &Strictness::default())
    }

    /// Builds a configuration from the text of a Java `.properties` file.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kafka_producer::ProducerConfig;
    ///
    /// let text = "bootstrap.servers=broker:9092\n# a comment\nclient.id = billing\n";
    /// let config = ProducerConfig::from_properties_str(text)?;
    /// assert_eq!(config.client_id(), "billing");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`from_map`](Self::from_map), and if the text has a malformed escape.
    pub fn from_properties_str(text: &str) -> Result<Self, ConfigError> {
        Self::check(properties::parse(text)?, &Strictness::default())
    }

    /// Builds a configuration from a Java `.properties` file in UTF-8 or ISO-8859-1.
    ///
    /// ```no_run
    /// let config = kafka_producer::ProducerConfig::from_properties_file("/etc/billing/producer.properties")?;
    /// println!("{} server(s)", config.bootstrap_servers().len());
    /// # Ok::<(), kafka_producer::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_properties_str`](Self::from_properties_str), and if the file cannot be read.
    ///
    /// # Blocking
    /// Reads the file. A pipe is read until its writer closes it.
    pub fn from_properties_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        ProducerConfigBuilder::new().properties_file(path)?.build()
    }

    /// Builds a configuration from environment variables: `KAFKA_BOOTSTRAP_SERVERS` with the prefix `KAFKA_` is
    /// `bootstrap.servers`. See [`ProducerConfigBuilder::env`], also for defaults, and for a
    /// [`strict`](ProducerConfigBuilder::strict) configuration: `ProducerConfig::builder().env("KAFKA_")?.strict()`.
    ///
    /// ```no_run
    /// let config = kafka_producer::ProducerConfig::from_env("KAFKA_")?;
    /// # Ok::<(), kafka_producer::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_map`](Self::from_map) and [`env`](ProducerConfigBuilder::env).
    pub fn from_env(prefix: &str) -> Result<Self, ConfigError> {
        ProducerConfigBuilder::new().env(prefix)?.build()
    }

    /// This configuration with changes to its keys. The values of config providers are kept; a variable in a changed
    /// value is not replaced.
    #[cfg(any(feature = "cli", feature = "testing"))]
    pub(crate) fn changed(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<Self, ConfigError> {
        let mut given = GivenKeys::from((*self.originals).clone());
        change(&mut given.entries);
        let is_kept = |key: &&String| given.entries.get(*key) == self.originals.get(*key);
        let resolved = self.resolved.iter().filter(is_kept).cloned().collect();
        let of_providers = |key: &&String| providers::is_key(key);
        let used = self
            .reads
            .lock()
            .iter()
            .filter(of_providers)
            .cloned()
            .collect();
        let kept_labels = self.labels.iter().filter(|(key, _)| is_kept(key));
        let kept_labels: Vec<_> = kept_labels.map(|(k, v)| (k.clone(), v.clone())).collect();
        given.resolved_before = Some(ResolvedBefore { resolved, used });
        let mut config = Self::check(given, &Strictness::default())?;
        // They have the numbers of lines.
        Arc::make_mut(&mut config.labels).extend(kept_labels);
        Ok(config)
    }

    /// The validation that all sources share.
    fn check(given: impl Into<GivenKeys>, strictness: &Strictness) -> Result<Self, ConfigError> {
        let (config, notices) = Self::check_quietly(given, strictness)?;
        let log = LogContext::of_producer(config.client_id(), config.transactional_id());
        for notice in notices {
            log::log!(notice.level, log, "{}", notice.text);
        }
        Ok(config)
    }

    fn check_quietly(
        given: impl Into<GivenKeys>,
        strictness: &Strictness,
    ) -> Result<(Self, Vec<checks::Notice>), ConfigError> {
        let given = given.into();
        let labels = given.labels();
        let (mut notices, mut of_providers) = (Vec::new(), Vec::new());
        // First, so that everything below uses the values of config providers.
        let keys = providers::resolve(&given, &mut notices, &mut of_providers);
        let mut problems = strictness.unknown_keys(&given, &keys.used);
        problems.extend(of_providers);
        let (entries, resolved) = (keys.entries, keys.resolved);
        let mut draft = Draft::parse(&entries, &resolved, &mut problems);
        notices.extend(not_built::check(
            &entries,
            |key| strictness.is_of_plugin(key),
            &mut problems,
        ));
        let security_protocol = checks::run(&mut draft, &mut notices, &mut problems);
        let redaction = Redaction {
            entries: &entries,
            resolved: &resolved,
        };
        if let Some(error) = ConfigError::all(problems) {
            return Err(redaction.without_values(error));
        }
        for notice in &mut notices {
            notice.text = redaction.hidden_in(&notice.text);
        }
        let warnings = given.warnings.into_iter();
        notices.extend(warnings.map(|text| checks::Notice {
            level: Level::Warn,
            text,
        }));
        // Last, so that a rejected configuration does not use up a generated client id.
        checks::client_id(&mut draft);
        let config = Self {
            settings: Settings::of(&draft, security_protocol),
            draft: Arc::new(draft),
            originals: Arc::new(entries),
            resolved: Arc::new(resolved),
            labels: Arc::new(labels),
            reads: Arc::new(Mutex::new(Rank::LEAF, keys.used)),
        };
        Ok((config, notices))
    }

    /// The keys and values as they were given, unknown keys and passwords included, with the variables of config
    /// providers replaced.
    ///
    /// # Kafka
    /// `AbstractConfig#originals`, which has the values of config providers, too.
    pub fn originals(&self) -> &BTreeMap<String, String> {
        &self.originals
    }

    fn redaction(&self) -> Redaction<'_> {
        Redaction {
            entries: &self.originals,
            resolved: &self.resolved,
        }
    }

    /// An error about keys of this configuration without the values of config providers.
    pub(crate) fn without_resolved_values(&self, error: ConfigError) -> ConfigError {
        self.redaction().without_values(error)
    }

    /// Any text, such as that of a plug-in's error, in which each value of a config provider is replaced by `[hidden]`.
    pub(crate) fn with_resolved_values_hidden(&self, text: &str) -> String {
        self.redaction().hidden_in(text)
    }

    /// The configuration that plug-ins get. The keys that they read are recorded in this configuration as used.
    pub fn plugin_config(&self) -> PluginConfig {
        PluginConfig::of(
            (*self.originals).clone(),
            self.client_id(),
            Arc::clone(&self.reads),
        )
    }

    /// Keys that were given and never read: misspelled keys, and keys that have no effect in combination with the other
    /// keys.
    ///
    /// The list is final once the producer and its plug-ins are constructed. A key is `[hidden]` if it does not look
    /// like one, since it may be a password on a line of its own; the number of the line is added if it is known.
    ///
    /// ```
    /// let text = "bootstrap.servers=127.0.0.1:9092\nlinger.millis=5";
    /// let config = kafka_producer::ProducerConfig::from_properties_str(text)?;
    /// assert_eq!(config.unused_keys(), ["linger.millis"]);
    /// # Ok::<(), kafka_producer::ConfigError>(())
    /// ```
    ///
    /// # Kafka
    /// `AbstractConfig#unused`. Differs: keys of TLS and SASL count as unused with a security protocol that does not
    /// use them.
    pub fn unused_keys(&self) -> Vec<&str> {
        let reads = self.reads.lock();
        self.originals
            .keys()
            .filter(|key| !self.has_effect(key) && !reads.contains(*key))
            // Those are logged when the configuration is built.
            .filter(|key| !not_built::is_known(key))
            .map(|key| self.label(key))
            .collect()
    }

    /// The name of a key as it is shown.
    fn label<'c>(&'c self, key: &'c str) -> &'c str {
        self.labels.get(key).map_or(key, String::as_str)
    }

    fn has_effect(&self, key: &str) -> bool {
        let Some(row) = definition::key(key) else {
            return false;
        };
        match row.group() {
            Group::Tls => self.security_protocol().uses_tls(),
            // The Kerberos library renews tickets by rules of its own.
            Group::Sasl => {
                let is_used = match key {
                    "sasl.kerberos.service.name" => self.sasl_mechanism() == "GSSAPI",
                    _ if is_of_login(key) => self.sasl_login_callback_handler_class().is_some(),
                    _ => !key.starts_with("sasl.kerberos."),
                };
                is_used && self.security_protocol().uses_sasl()
            }
            _ => match key {
                "security.providers" => false,
                "transaction.timeout.ms" => self.transactional_id().is_some(),
                "compression.gzip.level" | "compression.lz4.level" | "compression.zstd.level" => {
                    settings::compression_level_key(self.compression_type()) == Some(key)
                }
                _ => true,
            },
        }
    }

    /// The effective value of every key of the table, and its source. For logs: passwords, and values with a value of a
    /// config provider in them, are `[hidden]`. Unset keys without a default are `null`.
    ///
    /// ```
    /// # let config = kafka_producer::ProducerConfig::builder().build()?;
    /// for (key, value, source) in config.effective() {
    ///     println!("{key} = {value} ({source:?})");
    /// }
    /// # Ok::<(), kafka_producer::ConfigError>(())
    /// ```
    pub fn effective(&self) -> Vec<(&'static str, String, ConfigSource)> {
        self.draft.printable().collect()
    }

    /// All keys of this library.
    ///
    /// ```
    /// let linger = kafka_producer::ProducerConfig::keys().find(|key| key.name() == "linger.ms").unwrap();
    /// assert_eq!(linger.default_value(), Some("0"));
    /// println!("{}", linger.documentation());
    /// ```
    pub fn keys() -> impl Iterator<Item = &'static ConfigKey> {
        definition::keys()
    }

    /// The documentation of all keys as Markdown: the text of `docs/CONFIGURATION.md`.
    pub fn documentation() -> String {
        markdown::render_markdown()
    }
}

/// True if only a login handler that requests tokens uses the key.
fn is_of_login(key: &str) -> bool {
    key.starts_with("sasl.oauthbearer.")
        || matches!(
            key,
            "sasl.login.connect.timeout.ms"
                | "sasl.login.read.timeout.ms"
                | "sasl.login.retry.backoff.ms"
                | "sasl.login.retry.backoff.max.ms"
        )
}

/// Prints the effective values; passwords and values of config providers are hidden. Of keys unknown to this library it
/// prints the names only: their values may be secrets.
impl fmt::Debug for ProducerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = self
            .originals
            .keys()
            .filter(|key| definition::key(key).is_none());
        f.debug_map()
            .entries(self.draft.printable().map(|(key, value, _)| (key, value)))
            .entries(unknown.map(|key| (self.label(key), Password::HIDDEN)))
            .finish()
    }
}

#[cfg(test)]
mod tests;
