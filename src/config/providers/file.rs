//! The provider of values in `.properties` files.

use std::collections::BTreeMap;

use super::allowed_paths::AllowedPaths;
use super::regular_file;
use super::source::{ProviderFailure, shown_part};
use crate::config::properties::{self, SAVE_AS_UTF_8};
use crate::error::ConfigError;

/// `${file:PATH:KEY}`: the value of a key in a `.properties` file.
///
/// # Kafka
/// `FileConfigProvider`. Differs: the file must be a regular one of at most 16 MiB, and may be in ISO-8859-1; a path
/// that is empty or not allowed is an error.
pub(super) struct FileConfigProvider {
    allowed: AllowedPaths,
}

impl FileConfigProvider {
    pub(super) fn new(allowed: AllowedPaths) -> Self {
        Self { allowed }
    }

    pub(super) fn get(
        &self,
        path: &str,
        keys: &[&str],
    ) -> Result<BTreeMap<String, String>, ProviderFailure> {
        if path.is_empty() {
            return Err(ProviderFailure::new(
                "needs the path of a file",
                "Write the variable as ${provider:path:key}",
            ));
        }
        let file = self.allowed.checked(path)?;
        let shown = shown_part(path);
        let bytes = regular_file::read(&file).map_err(|error| {
            ProviderFailure::new(
                format!("cannot read {shown}: {error}"),
                "Check the path of the variable, and that this process may read the file",
            )
        })?;
        let text = properties::decode(&bytes).map_err(|encoding| {
            ProviderFailure::new(
                format!("cannot read {shown}: it is in {encoding}"),
                SAVE_AS_UTF_8,
            )
        })?;
        let malformed = |error: ConfigError| {
            let problem = format!("cannot read {shown}: {}", error.problem());
            ProviderFailure::new(problem, error.remedy())
        };
        let mut entries = properties::parse(&text).map_err(malformed)?.entries;
        entries.retain(|key, _| keys.contains(&key.as_str()));
        Ok(entries)
    }
}
