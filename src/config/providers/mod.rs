//! Config providers: values like `${file:/etc/kafka/secrets.properties:password}` are replaced before anything else is
//! done with the configuration (KIP-297, KIP-421).
//!
//! [`resolve`] makes the providers that `config.providers` names (`registry`), finds the variables in all values
//! (`variables`), requests each path once, and replaces the variables (`transformer`). Values of providers are not
//! resolved again.

mod allowed_paths;
mod directory;
mod env_var;
mod file;
mod registry;
mod regular_file;
mod source;
mod transformer;
mod variables;

use std::collections::{BTreeMap, BTreeSet};

use super::checks::Notice;
use super::definition;
use super::given::GivenKeys;
use crate::error::{BoxError, ConfigError};
use crate::util::log::Level;
use registry::ProviderRegistry;
#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) use transformer::check_text;

/// The key that names the providers.
const KEY: &str = "config.providers";

/// Prefix of the keys of single providers.
const PREFIX: &str = "config.providers.";

/// A source of configuration values, such as a secret store.
///
/// The value of a key may contain variables `${provider:path:key}` or `${provider:key}`. They are replaced by the
/// values of the provider with that name while the configuration is built. Kafka's providers for files, directories and
/// environment variables are named by `config.providers`; others are given to
/// [`config_provider`](crate::ProducerConfigBuilder::config_provider). A closure with the signature of
/// [`get`](Self::get) is a provider, too.
///
/// A value is put in as it is, as in Java. If a password of a provider is inside quotation marks in `sasl.jaas.config`,
/// the provider must escape `"` and `\` in it by a backslash.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use kafka_producer::{BoxError, ConfigProvider, ProducerConfig};
///
/// struct Vault;
///
/// impl ConfigProvider for Vault {
///     fn get(&self, path: &str, keys: &[&str]) -> Result<BTreeMap<String, String>, BoxError> {
///         // A real one would request `path` from its server.
///         let all = BTreeMap::from([("user".to_owned(), format!("{path}-7"))]);
///         Ok(all.into_iter().filter(|(key, _)| keys.contains(&&**key)).collect())
///     }
/// }
///
/// let config = ProducerConfig::builder()
///     .config_provider("vault", Vault)
///     .set("client.id", "${vault:billing:user}")
///     .build()?;
/// assert_eq!(config.client_id(), "billing-7");
/// # Ok::<(), kafka_producer::ConfigError>(())
/// ```
///
/// # Kafka
/// `org.apache.kafka.common.config.provider.ConfigProvider`. Differs: a provider has no `configure`, no `close` and no
/// subscriptions, and its values have no time to live, which Kafka's producer ignores.
pub trait ConfigProvider: Send + Sync {
    /// The values of these keys at a path. The path is empty for a variable without one. A key without a value is left
    /// out of the map, which is an error of the configuration; further keys in the map are ignored.
    ///
    /// # Errors
    /// If the values cannot be read. The error's text is a part of the configuration's error, so it must not contain
    /// secrets.
    ///
    /// # Blocking
    /// May block: it is called by the methods that build a configuration, on their thread, once for each path. A panic
    /// is an error of the configuration.
    fn get(&self, path: &str, keys: &[&str]) -> Result<BTreeMap<String, String>, BoxError>;
}

impl<F> ConfigProvider for F
where
    F: Fn(&str, &[&str]) -> Result<BTreeMap<String, String>, BoxError> + Send + Sync,
{
    fn get(&self, path: &str, keys: &[&str]) -> Result<BTreeMap<String, String>, BoxError> {
        self(path, keys)
    }
}

/// Whether it is `config.providers`, or a key of a single provider.
pub(super) fn is_key(key: &str) -> bool {
    key == KEY || key.starts_with(PREFIX)
}

/// Whether a value contains a variable, of whichever provider.
pub(super) fn has_variable(value: &str) -> bool {
    variables::variables(value).next().is_some()
}

/// The keys and values after all variables have been replaced.
#[derive(Default)]
pub(super) struct ResolvedKeys {
    /// Without the keys whose values could not be resolved.
    pub(super) entries: BTreeMap<String, String>,
    /// The keys whose values contain a value of a provider, which may be a secret.
    pub(super) resolved: BTreeSet<String>,
    /// The keys of providers that were used.
    pub(super) used: BTreeSet<String>,
}

/// Replaces the variables in all values.
///
/// # Kafka
/// `AbstractConfig#resolveConfigVariables`. Variables of an unknown provider are left as they are, as in Java. Differs:
/// a key that the provider does not have is an error, where Java would use the text of the variable as the value; so is
/// a provider without a class.
pub(super) fn resolve(
    given: &GivenKeys,
    notices: &mut Vec<Notice>,
    problems: &mut Vec<ConfigError>,
) -> ResolvedKeys {
    if let Some(before) = &given.resolved_before {
        return ResolvedKeys {
            entries: given.entries.clone(),
            resolved: before.resolved.clone(),
            used: before.used.clone(),
        };
    }
    let registry = ProviderRegistry::of(given, notices, problems);
    let mut answer = transformer::transform(&given.entries, &registry.sources, problems);
    notices.extend(unknown_providers(&given.entries, &registry));
    answer.used = registry.used;
    answer
}

/// The notice about variables of providers that do not exist, in keys of this library. Neither variable nor value is
/// shown: a password may contain such a text.
fn unknown_providers(
    entries: &BTreeMap<String, String>,
    registry: &ProviderRegistry,
) -> Option<Notice> {
    let is_ours = |key: &str| definition::key(key).is_some() || registry.used.contains(key);
    let is_unknown = |key: &str, value: &str| {
        // The keys of providers are used as they are.
        let is_unresolved =
            |provider: &str| is_key(key) || !registry.sources.contains_key(provider);
        variables::variables(value).any(|variable| is_unresolved(variable.provider))
    };
    let keys: Vec<_> = entries
        .iter()
        .filter(|(key, value)| is_ours(key) && is_unknown(key, value))
        .map(|(key, _)| key.as_str())
        .collect();
    (!keys.is_empty()).then(|| Notice {
        level: Level::Warn,
        text: format!(
            "a variable like ${{provider:path:key}} was not replaced, since config.providers does not name its \
             provider, or the key belongs to a provider itself: {}",
            keys.join(", ")
        ),
    })
}

#[cfg(test)]
mod tests;
