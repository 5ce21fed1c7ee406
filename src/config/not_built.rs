//! Kafka configuration that this version of the library cannot act on yet.
//!
//! A key is refused only if its value would change what the producer does: `security.protocol=PLAINTEXT`
//! is fine. When a feature is built, its row goes.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::value::Value;
use crate::error::ConfigError;

/// One thing that is not built yet.
pub(crate) struct NotBuilt {
    key: &'static str,
    /// Whether this value asks for it.
    asks_for_it: fn(&Value) -> bool,
    what: &'static str,
    remedy: &'static str,
}

/// Everything in the table of keys that is not built yet.
pub(crate) const NOT_BUILT: &[NotBuilt] = &[
    NotBuilt {
        key: "transactional.id",
        asks_for_it: |_| true,
        what: "run transactions",
        remedy: "Leave the key out; idempotence, which needs no transactional id, is on by default",
    },
    NotBuilt {
        key: "metric.reporters",
        asks_for_it: |value| !matches!(value, Value::List(names) if names.is_empty()),
        what: "load metrics reporters",
        remedy: "Leave the key out",
    },
];

/// Refuses what is in `not_built`, and variables, which are resolved before any key is parsed in
/// Java and would be taken literally here.
pub(crate) fn check(
    draft: &Draft,
    given: &BTreeMap<String, String>,
    not_built: &[NotBuilt],
) -> Result<(), ConfigError> {
    for feature in not_built {
        let Some(value) = draft.value(feature.key) else {
            continue;
        };
        if (feature.asks_for_it)(value) {
            return Err(ConfigError::not_built(
                feature.key,
                Some(&value.to_string()),
                format!("this version of the library does not {} yet", feature.what),
                feature.remedy,
            ));
        }
    }
    match given
        .get("config.providers")
        .filter(|names| !names.trim().is_empty())
    {
        None => Ok(()),
        Some(names) => Err(ConfigError::not_built(
            "config.providers",
            Some(names),
            "this version of the library does not replace variables like ${file:path:key}",
            "Put the values in their place before the configuration is built, and leave the key out",
        )),
    }
}
