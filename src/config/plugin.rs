//! The configuration as plug-ins see it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::key_name::shown_key;
use super::value::shown;
use crate::sync::{Mutex, Rank};

/// The keys that plug-ins have read, shared by all views of one configuration.
pub(crate) type Reads = Arc<Mutex<BTreeSet<String>>>;

/// The configuration that a plug-in (serializer, partitioner, interceptor, metrics reporter) gets: all keys that the
/// user gave, unknown keys included, as text, and `client.id`, which is generated if the user gave none. The variables
/// of config providers are replaced.
///
/// Reading a key with [`get`](Self::get) marks it as used; unused keys are reported as possible misspellings.
///
/// ```
/// use kafka_producer::PluginConfig;
///
/// // As a serializer's `configure` gets it.
/// let config = PluginConfig::new("billing", [("registry.url", "http://registry:8081")]);
/// assert_eq!(config.get("registry.url"), Some("http://registry:8081"));
/// assert_eq!(config.client_id(), "billing");
/// ```
///
/// # Kafka
/// The map handed to `Configurable#configure`.
#[derive(Clone)]
pub struct PluginConfig {
    entries: Arc<BTreeMap<String, String>>,
    client_id: Arc<str>,
    reads: Reads,
}

impl PluginConfig {
    /// A view of these entries, to test a plug-in by itself.
    pub fn new<K, V>(client_id: &str, entries: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        let entries = entries
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        Self::of(
            entries,
            client_id,
            Arc::new(Mutex::new(Rank::LEAF, BTreeSet::new())),
        )
    }

    /// A copy with other values for some keys.
    pub(crate) fn with(&self, changes: &BTreeMap<String, String>) -> Self {
        let mut entries = (*self.entries).clone();
        entries.extend(changes.clone());
        Self::of(entries, &self.client_id, Arc::clone(&self.reads))
    }

    /// The keys of `entries` whose value differs from that in this configuration.
    pub(crate) fn changed_by<'e>(
        &self,
        entries: &'e BTreeMap<String, String>,
    ) -> impl Iterator<Item = &'e str> {
        entries
            .iter()
            .filter(|(key, value)| self.entries.get(*key) != Some(value))
            .map(|(key, _)| key.as_str())
    }

    pub(crate) fn of(mut entries: BTreeMap<String, String>, client_id: &str, reads: Reads) -> Self {
        entries.insert("client.id".to_owned(), client_id.to_owned());
        Self {
            entries: Arc::new(entries),
            client_id: client_id.into(),
            reads,
        }
    }

    /// The text given for a key; `None` if it was not given. Marks the key as used.
    pub fn get(&self, key: &str) -> Option<&str> {
        let (key, value) = self.entries.get_key_value(key)?;
        let mut reads = self.reads.lock();
        // Most keys are read repeatedly: allocate only for the first read.
        if !reads.contains(key) {
            reads.insert(key.clone());
        }
        Some(value)
    }

    /// All keys and their text, in the order of the keys. Does not mark them as used: call [`get`](Self::get) for the
    /// keys that are used.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The producer's `client.id`.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }
}

/// Prints the keys only: any value may be a secret.
impl fmt::Debug for PluginConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.entries.keys().map(|key| shown_key(key));
        f.debug_struct("PluginConfig")
            .field("client_id", &shown(&self.client_id))
            .field("keys", &keys.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plug-ins are configured with the keys as the user gave them, and with the effective client id (KP-4).
    #[test]
    fn a_plug_in_sees_all_given_keys_and_the_client_id() {
        let config = PluginConfig::new("producer-7", [("my.key", "1"), ("acks", "all")]);
        assert_eq!(config.get("my.key"), Some("1"));
        assert_eq!(config.get("client.id"), Some("producer-7"));
        assert_eq!(config.client_id(), "producer-7");
        assert_eq!(config.get("other"), None);
        assert_eq!(config.iter().count(), 3);
    }

    #[test]
    fn a_view_prints_keys_but_no_values() {
        let text = format!("{:?}", PluginConfig::new("c", [("my.secret", "hunter2")]));
        assert!(
            text.contains("my.secret") && !text.contains("hunter2"),
            "{text}"
        );
        let text = format!("{:?}", PluginConfig::new("password=hunter2", [("a", "b")]));
        assert!(!text.contains("hunter2"), "{text}");
    }
}
