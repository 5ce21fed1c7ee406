//! Features of Kafka's configuration that this version of the library does not support yet.

use std::collections::BTreeMap;

use crate::error::ConfigError;

/// Rejects config provider variables (`${provider:path:key}`). Java resolves them before it parses any key; here they
/// would be taken literally.
pub(crate) fn check(given: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    match given
        .get("config.providers")
        .filter(|names| !names.trim().is_empty())
    {
        None => Ok(()),
        Some(names) => Err(ConfigError::not_built(
            "config.providers",
            Some(names),
            "this version of the library does not resolve variables like ${file:path:key}",
            "Put the values in their place before the configuration is built, and leave the key out",
        )),
    }
}
